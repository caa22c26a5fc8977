"""`summary.json` and `best.py` of a run folder, rewritten atomically after each round."""

import json
import math
from pathlib import Path
from typing import Any

from evo_clrs.records import STAGES, Candidate
from evo_clrs.store import files
from evo_clrs.store.store import Store

# Names of `counts` for the stages; each proposal is counted once, under the stage it ended at.
COUNT_NAMES = {
    "static": "rejected_static",
    "trace": "rejected_trace",
    **{stage: stage for stage in STAGES if stage not in ("static", "trace")},
}
_ORDER = (
    "rejected_static",
    "rejected_trace",
    "duplicate_text",
    "duplicate_graph",
    "inert",
    "over_budget",
    "failed",
    "stopped",
    "scored",
)


def summarise(store: Store) -> dict[str, Any]:
    """Returns the contents of `summary.json`: plain JSON data, null for what is not known.

    Seeds are not proposals, so `counts` leaves them out; `best` may be a seed. A proposal under
    way counts as proposed only, so the other counts add up to `proposed` when a round is done.
    """
    ended = store.stage_counts()
    counts = dict.fromkeys(("proposed", *_ORDER), 0)
    counts["proposed"] = sum(ended.values())
    for stage, number in ended.items():
        if stage is not None:
            counts[COUNT_NAMES[stage]] += number
    identity = {
        key: store.identity.get(key)
        for key in ("problem", "task", "slot", "strategy", "lm", "seed")
    }
    return {
        "run": store.folder.absolute().name if store.folder is not None else "",
        **identity,
        "counts": counts,
        "seeds_best": _entry(store.best(seeds_only=True)),
        "best": _entry(store.best()),
        "ledger": {**vars(store.cost()), "wall_seconds": store.wall_seconds()},
    }


def write(store: Store, best: int | None = None) -> dict[str, Any]:
    """Writes `summary.json` and `best.py` of a run that has a folder; returns the summary.

    Args:
      store: the run.
      best: the candidate for `best.py`; the one of highest fitness if None.

    Raises:
      UserError: a file cannot be written; the old one is left as it was.
    """
    if store.folder is None:
        return summarise(store)
    write_best(store.folder, store, best)
    return write_summary(store.folder, store)


def write_summary(folder: Path, store: Store) -> dict[str, Any]:
    """Writes `summary.json` atomically and returns its contents.

    Raises:
      UserError: it cannot be written; the old one is left as it was.
    """
    summary = summarise(store)
    text = json.dumps(_finite(summary), indent=2, allow_nan=False)
    files.write_atomically(Path(folder) / "summary.json", text + "\n")
    return summary


def write_best(folder: Path, store: Store, index: int | None = None) -> Path | None:
    """Writes a program to `best.py` atomically: a comment that says what it is, then its source.

    Args:
      folder: the run folder.
      store: the run.
      index: the candidate to write; the one of highest fitness if None.

    Returns:
      The path, or None if no candidate has a score yet (nothing is written then).

    Raises:
      UserError: it cannot be written; the old one is left as it was.
    """
    candidate = store.best() if index is None else store.candidate(index)
    if candidate is None or candidate.evaluation is None:
        return None
    path = Path(folder) / "best.py"
    files.write_atomically(path, _heading(store, candidate) + candidate.source.rstrip("\n") + "\n")
    return path


def _entry(candidate: Candidate | None) -> dict[str, Any] | None:
    if candidate is None or candidate.evaluation is None:
        return None
    metrics = dict(candidate.evaluation.metrics)
    return {"program": candidate.program, "fitness": metrics["fitness"], "metrics": metrics}


def _finite(value: Any) -> Any:
    """Returns the data with null for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _heading(store: Store, candidate: Candidate) -> str:
    """Returns comment lines, so that the program's own docstring stays its docstring."""
    about = [f"Program {candidate.program}, candidate {candidate.index} of its run."]
    if candidate.name:
        about.append(f"It is the seed {candidate.name}.")
    if store.folder is not None:
        about.append(f"run: {store.folder.absolute().name}")
    identity = store.identity
    about += [f"{key}: {identity[key]}" for key in ("problem", "task", "slot") if key in identity]
    if candidate.evaluation is not None:
        metrics = candidate.evaluation.metrics.items()
        about += [f"{key}: {value:.9g}" for key, value in metrics]
    return "".join(f"# {_one_line(words)}\n" for words in about) + "\n"


def _one_line(words: str) -> str:
    """Returns the words without what ends a comment or acts in a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())
