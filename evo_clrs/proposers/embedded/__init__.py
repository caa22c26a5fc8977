"""The language model that ships with the package: `--lm=embedded`, with no download and no key.

A small decoder, trained from scratch by `launch.pretrain_lm` on what the grammar operator proposes.
The folder `model` holds it, with what was measured of it in its README.md; it is run as any other
local model, and writes search/replace edits of the programs that a prompt shows.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from evo_clrs import records, slots
from evo_clrs.errors import UserError
from evo_clrs.proposers import local
from evo_clrs.proposers.local import Options

__all__ = ["MODEL", "SLOTS", "Embedded", "Options", "make"]

MODEL = Path(__file__).parent / "model"
SLOTS = ("processor", "triplet", "network")  # whose programs it learnt from
_PROMPT = "edits"
_CANDIDATES = 6  # replies for each program, where options leave it open
_MOST_TOKENS = 192  # of a reply; those that it learnt from had at most 150
_BATCH = 32  # replies that are written side by side, at least


class Embedded(local.Local):
    """Samples the packaged model; see `local.Local`."""

    def propose(
        self, request: records.Request, slot: slots.Slot, prompt: str, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns one sample for each child asked for, see `proposers.base.Proposer`.

        It knows no words, so that requests for principles have an empty answer.

        Raises:
          UserError: it learnt from no programs of this slot.
        """
        if slot.name not in SLOTS:
            raise UserError(
                f"--lm=embedded writes programs of the slots {', '.join(SLOTS)}, and none of "
                f"{slot.name}: give --lm=grammar or another language model"
            )
        if request.operation == "principles":
            return [records.Proposal(source="")] * request.samples
        return super().propose(request, slot, prompt, seed)


def make(place: str, options: Options, folder: Path | None) -> Embedded:
    """Returns the proposer that samples the packaged model.

    Raises:
      UserError: a place is given, or torch or transformers are not installed.
    """
    if place:
        raise UserError("--lm=embedded takes no place: the model is in the package")
    local.check_installed("embedded", options)
    fitted = dataclasses.replace(
        options,
        lm_candidates=options.lm_candidates or _CANDIDATES,
        lm_batch=max(options.lm_batch, _BATCH),
        max_new_tokens=min(options.max_new_tokens, _MOST_TOKENS),
    )
    return Embedded(str(MODEL), fitted, folder, name="embedded", prompt=_PROMPT)
