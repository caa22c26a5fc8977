"""Gives the replies of a finished run again: `--lm=replay:RUN`.

With the flags of that run, the search asks the same questions and ends with the same programs, and
no language model is asked anything.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from evo_clrs import records, slots
from evo_clrs.errors import UserError
from evo_clrs.proposers.base import Refusal
from evo_clrs.store import Store


@dataclasses.dataclass(frozen=True)
class Options:
    """A replay has no options."""


class Replay:
    """Answers from the record of a run; see `proposers.base.Proposer`.

    The replies cost nothing now, so that their tokens and seconds are not counted again.
    """

    name = "replay"

    def __init__(self, run: Path):
        """Opens the run.

        Raises:
          UserError: there is none.
        """
        self._run = run
        self._store = Store.read(run)

    def propose(
        self, request: records.Request, slot: slots.Slot, prompt: str, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns what was answered to the request of this number.

        Raises:
          UserError: the run has no answer to it, or asked for something else.
        """
        recorded = self._store.request(request.index)
        proposals = self._store.proposals(request.index)
        if recorded is None or proposals is None:
            raise UserError(
                f"{self._run} has no replies to request {request.index}: it did not go on so far"
            )
        for field in dataclasses.fields(request):
            if getattr(recorded[0], field.name) != getattr(request, field.name):
                raise UserError(
                    f"request {request.index} of {self._run} differs in its {field.name}: "
                    f"repeat that run with --flagfile={self._run}/flags.txt --lm=replay:{self._run}"
                )
        return [_free(proposal) for proposal in proposals]

    def repair(
        self, refusals: Sequence[Refusal], slot: slots.Slot, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns what was answered to these refusals.

        Raises:
          UserError: one of them was not sent back in that run.
        """
        answers = []
        for refusal in refusals:
            place = refusal.sample, refusal.attempt
            known = {
                (repair.sample, repair.attempt): repair.proposal
                for repair in self._store.repairs(refusal.request.index)
            }
            if place not in known:
                raise UserError(
                    f"{self._run} did not send reply {refusal.sample} to request "
                    f"{refusal.request.index} back: leave out --repairs"
                )
            answers.append(_free(known[place]))
        return answers


def make(place: str, options: Options, folder: Path | None) -> Replay:
    """Returns the proposer that replays the run in the folder `place`."""
    if not place:
        raise UserError("--lm=replay needs the folder of a run: --lm=replay:RUN")
    return Replay(Path(place))


def _free(proposal: records.Proposal) -> records.Proposal:
    return dataclasses.replace(proposal, prompt_tokens=0, completion_tokens=0, seconds=0.0)
