"""From requests to candidates: prompts, replies, repairs, and what a proposer learns from them.

Every step is looked for in the record before it is taken, and recorded when it was.
"""

import collections
import dataclasses
import time
from collections.abc import Iterator, Sequence

from evo_clrs.mending import Mender
from evo_clrs.problems.base import Problem
from evo_clrs.proposers import answers, prompts
from evo_clrs.proposers.base import Lesson, Preparer, Proposer, Tuner
from evo_clrs.records import Candidate, Evaluation, Proposal, Request
from evo_clrs.report.progress import Progress
from evo_clrs.slots import Slot
from evo_clrs.store import Store

# Stages whose reasons a prompt may tell: what a model can do better. A copy has no such reason.
_TELLING = ("static", "trace", "inert", "over_budget", "failed")


class Asking:
    """Asks the proposer, and makes candidates of what it answers.

    Attributes:
      places: indices of candidates given out so far; those of replies that never came are empty.
    """

    def __init__(
        self,
        problem: Problem,
        proposer: Proposer,
        templates: prompts.Prompts,
        rejections_shown: int,
        mender: Mender,
        store: Store,
        progress: Progress,
        seed: int,
    ):
        """Begins before the first request; a resumed run asks again, and is answered by the store.

        Args:
          problem: whose seeds and slot.
          proposer: who answers.
          templates: what writes its prompts.
          rejections_shown: how many of the last refused programs a prompt may show.
          mender: who sends refused replies back.
          store: the record.
          progress: where to tell what is under way.
          seed: the run seed.
        """
        self._problem = problem
        self._slot: Slot = problem.slot
        self._proposer = proposer
        # What a proposer can do is asked once: protocols are slow to check, and rounds may be fast.
        self._preparer = proposer if isinstance(proposer, Preparer) else None
        self._tuner = proposer if isinstance(proposer, Tuner) and proposer.tunes else None
        self._prompts = templates
        self._rejections: collections.deque[prompts.Rejection] = collections.deque(
            maxlen=rejections_shown
        )
        self._mender = mender
        self._store = store
        self._progress = progress
        self._seed = seed
        self.places = len(problem.seeds())

    @property
    def tunes(self) -> bool:
        """Whether the proposer learns from the programs of each round."""
        return self._tuner is not None

    def seeds(self) -> Iterator[Candidate]:
        """Yields the seeds as candidates."""
        for position, (name, source) in enumerate(self._problem.seeds().items()):
            yield self._enrol(
                Candidate(
                    index=position,
                    program=_identity(source, self._slot),
                    source=source,
                    sample=position,
                    name=name,
                )
            )

    def children(self, requests: Sequence[Request]) -> Iterator[Candidate]:
        """Yields the candidates of a round in order; the proposer works while others train."""
        self._prepare(requests)
        for request in requests:
            first = self.places
            self.places += request.samples  # a request keeps its places, answered or not
            proposals = self.proposals(request)
            if self._mender.mends and request.operation != "principles":
                enrolled = self._store.candidate(first) is not None
                proposals = self._mender.mended(request, self._ask(request), proposals, enrolled)
            for sample, proposal in enumerate(proposals):
                yield self._enrol(
                    Candidate(
                        index=first + sample,
                        program=_identity(proposal.source, self._slot),
                        source=proposal.source,
                        parents=tuple(parent.program for parent in request.parents),
                        request=request.index,
                        sample=sample,
                        proposer=self._proposer.name,
                        edits=proposal.edits,
                        evaluation=_unread(proposal),
                    )
                )

    def proposals(self, request: Request) -> Sequence[Proposal]:
        """Returns the replies to a request, from the store if they are there."""
        recorded = self._store.proposals(request.index)
        if recorded is not None:
            return recorded
        prompt = self._ask(request)
        self._progress.update(doing=f"asking {self._proposer.name}")
        started = time.monotonic()
        proposals = self._proposer.propose(request, self._slot, prompt, self._seed)
        proposals = _timed(proposals, time.monotonic() - started)
        self._store.record_proposals(request.index, proposals)
        return proposals

    def tune(self, step: int, children: Sequence[Candidate]) -> None:
        """Lets the proposer learn from programs of a round, if it does."""
        if self._tuner is None:
            return
        asked = [self._store.request(child.request or 0) for child in children]
        lessons = [
            self._lesson(*recorded, child)
            for child, recorded in zip(children, asked, strict=True)
            if recorded is not None
        ]
        self._progress.update(doing=f"tuning {self._proposer.name} on {len(lessons)} programs")
        self._tuner.tune(step, lessons, self._slot, self._seed)

    def note_rejections(self, children: Sequence[Candidate]) -> None:
        """Keeps the last refused programs for the prompts to come."""
        for child in children:
            evaluation = child.evaluation
            if evaluation is not None and evaluation.stage in _TELLING:
                self._rejections.append(prompts.Rejection(child.source, evaluation.reason))

    def _lesson(self, request: Request, prompt: str, child: Candidate) -> Lesson:
        """Returns what may be learnt from a child, with the sizes that were measured."""
        measured = child.evaluation.metrics if child.evaluation else {}
        told = [*(parent.metrics for parent in request.parents), measured]
        counts = tuple(metrics["num_params"] for metrics in told if "num_params" in metrics)
        replies = {n: p.reply for n, p in enumerate(self._store.proposals(request.index) or ())}
        # Of a reply that was sent back, what came of it in the end.
        replies |= {r.sample: r.proposal.reply for r in self._store.repairs(request.index)}
        reply = replies.get(child.sample)
        return Lesson(
            prompt=prompt,
            parents=tuple(parent.source for parent in request.parents),
            source=child.source,
            counts=counts if len(counts) == len(told) else (),
            changes=() if reply is None else answers.changes(reply),
        )

    def _ask(self, request: Request) -> str:
        """Returns the prompt of a request, as it was recorded or will be from now on."""
        recorded = self._store.request(request.index)
        if recorded is not None:
            return recorded[1]
        prompt = self._prompts.build(request, self._slot, tuple(self._rejections))
        self._store.record_request(request, prompt)
        return prompt

    def _prepare(self, requests: Sequence[Request]) -> None:
        """Tells a proposer that can use it what it will be asked."""
        if self._preparer is not None:
            unanswered = [r for r in requests if self._store.proposals(r.index) is None]
            asked = [(request, self._ask(request)) for request in unanswered]
            self._preparer.prepare(asked, self._slot, self._seed)

    def _enrol(self, candidate: Candidate) -> Candidate:
        recorded = self._store.candidate(candidate.index)
        if recorded is not None:
            return recorded
        self._store.record_candidate(candidate)
        self._progress.finished(candidate)  # where the reply held no program at all
        return candidate


def _timed(proposals: Sequence[Proposal], seconds: float) -> Sequence[Proposal]:
    """Shares the time of a request among its replies, where the proposer does not tell theirs."""
    if any(proposal.seconds for proposal in proposals):
        return proposals
    share = seconds / max(1, len(proposals))
    return [dataclasses.replace(proposal, seconds=share) for proposal in proposals]


def _unread(proposal: Proposal) -> Evaluation | None:
    """Returns the rejection of a reply that holds no program, None for any other."""
    if proposal.source or not proposal.note:
        return None
    return Evaluation("rejected", "static", proposal.note)


def _identity(source: str, slot: Slot) -> str:
    """Returns the program's identity, or the empty string where the text does not parse."""
    try:
        return slot.identity(source)
    except ValueError:
        return ""
