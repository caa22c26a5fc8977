"""Among how many programs one was picked: asked for, or read in the summary of its run."""

import json
from collections.abc import Sequence
from pathlib import Path

from evo_clrs.comparison.paired import LookedAt
from evo_clrs.errors import UserError


def looked_at(names: Sequence[str], given: int = 0) -> LookedAt:
    """Returns how many programs were looked at.

    Every proposal of a run from which a program was taken counts, rejected ones and duplicates too,
    which is stricter than need be; every program from elsewhere counts once.

    Args:
      names: what launch.train was told to train; `RUN:PROGRAM` for one of a run.
      given: the number, if a person said it; 0 to find out.

    Raises:
      UserError: the summary of a run is missing or damaged.
    """
    if given:
        return LookedAt(given, "as told by --looked_at")
    runs = dict.fromkeys(name.rpartition(":")[0] for name in names if ":" in name)
    counts = {run: _proposed(Path(run)) for run in runs}
    others = sum(":" not in name for name in names)
    told = [f"{count:,} proposed in {run}" for run, count in counts.items()]
    if others:
        told.append(f"{others} named here")
    return LookedAt(max(sum(counts.values()) + others, len(names), 1), ", ".join(told))


def _proposed(run: Path) -> int:
    path = run / "summary.json"
    advice = "say with --looked_at how many programs were looked at"
    try:
        count = json.loads(path.read_text(encoding="utf-8"))["counts"]["proposed"]
    except OSError:
        raise UserError(f"{path} cannot be read: {advice}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is damaged: {advice}") from None
    if not isinstance(count, int) or count < 0:
        raise UserError(f"{path} is damaged: {advice}")
    return count
