"""Sends refused replies back with the reason (`--repairs`), before they become candidates.

A reply that static gate or jail refuse is answered once more by the same proposer, and what comes
back takes its place: each proposal is one candidate and counted once, however often it was mended.
The refused replies, the reasons and the answers are in the record.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from evo_clrs.proposers import prompts
from evo_clrs.proposers.base import Proposer, Refusal, Repairer
from evo_clrs.records import Proposal, Repair, Request
from evo_clrs.scoring import Scoring
from evo_clrs.slots import Slot
from evo_clrs.store import Store


@dataclasses.dataclass(frozen=True)
class _Refused:
    """A reply with what was asked for it, and why it was refused."""

    sample: int
    prompt: str
    proposal: Proposal
    reason: str
    trace_seconds: float


class Mender:
    """Sends refused replies back, up to a number of times each.

    Attributes:
      mends: whether it does so at all.
    """

    def __init__(
        self,
        repairs: int,
        proposer: Proposer,
        scoring: Scoring,
        store: Store,
        slot: Slot,
        seed: int,
    ):
        """Takes how often a reply may be sent back, and who answers, judges and keeps."""
        self.mends = repairs > 0
        self._repairs = repairs
        self._proposer = proposer
        self._scoring = scoring
        self._store = store
        self._slot = slot
        self._seed = seed

    def mended(
        self, request: Request, prompt: str, proposals: Sequence[Proposal], recorded_only: bool
    ) -> Sequence[Proposal]:
        """Returns the replies to a request, each refused one with the last answer in its place.

        Args:
          request: what was asked.
          prompt: in which words.
          proposals: the replies.
          recorded_only: whether this was done before, so that nothing is sent back again.
        """
        result, asked = list(proposals), [prompt] * len(proposals)
        recorded = self._store.repairs(request.index)
        for attempt in range(self._repairs):
            repairs = [repair for repair in recorded if repair.attempt == attempt]
            if not repairs:
                if recorded_only or not isinstance(self._proposer, Repairer):
                    break
                refused = list(self._refused(result, asked))
                if not refused:
                    break
                repairs = self._send_back(request, attempt, refused)
                self._store.record_repairs(repairs)
            for repair in repairs:
                result[repair.sample] = repair.proposal
                asked[repair.sample] = repair.prompt
        return result

    def _refused(self, proposals: Sequence[Proposal], asked: Sequence[str]) -> Iterator[_Refused]:
        """Yields the replies that the gates refuse."""
        for sample, (proposal, prompt) in enumerate(zip(proposals, asked, strict=True)):
            reason, seconds = proposal.note, 0.0
            if proposal.source:
                reason, seconds = self._scoring.objection(proposal.source)
            if reason:
                yield _Refused(sample, prompt, proposal, reason, seconds)

    def _send_back(
        self, request: Request, attempt: int, refused: Sequence[_Refused]
    ) -> list[Repair]:
        assert isinstance(self._proposer, Repairer)
        parents = tuple(parent.source for parent in request.parents)
        refusals = []
        for each in refused:
            source = each.proposal.source
            reply = each.proposal.reply or source
            text = prompts.repair(each.prompt, reply, source, each.reason, self._slot)
            shown = (source, *parents) if source and text != each.prompt else parents
            refusals.append(Refusal(request, each.sample, attempt, text, shown))
        answers = self._proposer.repair(refusals, self._slot, self._seed)
        return [
            Repair(
                request=request.index,
                sample=each.sample,
                attempt=attempt,
                reason=each.reason,
                prompt=refusal.prompt,
                proposal=answer,
                trace_seconds=each.trace_seconds,
            )
            for each, refusal, answer in zip(refused, refusals, answers, strict=True)
        ]
