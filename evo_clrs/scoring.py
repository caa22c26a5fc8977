"""The way of a candidate to its score: gates, jail, trainer, and twins that share a score.

A candidate is admitted, trained while others are admitted, and finished when its evaluation is in
the store. One with the text or the function of an earlier one is not trained: it follows that one.
"""

import dataclasses
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from evo_clrs.errors import Rejected, UserError
from evo_clrs.executors.base import Executor, Job
from evo_clrs.gates import static
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.base import Problem
from evo_clrs.records import Candidate, Cost, Design, Evaluation, Facts, Work
from evo_clrs.report.progress import Progress
from evo_clrs.stopping import Stopping
from evo_clrs.store import Store


@dataclasses.dataclass(frozen=True)
class _Admitted:
    """A candidate past the gates: what is known of it until its score arrives.

    Attributes:
      candidate: the candidate.
      facts: what the graph gate found; None where the text alone told that it is known.
      cost: what the way took so far.
      stage: `scored`, or the duplicate stage by which it follows an earlier candidate.
    """

    candidate: Candidate
    facts: Facts | None
    cost: Cost
    stage: str = "scored"


class Scoring:
    """Takes candidates to their scores, several at a time."""

    def __init__(
        self,
        problem: Problem,
        executor: Executor,
        jail: Jail | None,
        store: Store,
        progress: Progress,
        stopping: Stopping,
    ):
        """Takes up where the store stands: functions that were scored before are known."""
        self._problem = problem
        self._executor = executor
        self._jail = jail
        self._store = store
        self._progress = progress
        self._stopping = stopping
        self._training: dict[Future[Evaluation], _Admitted] = {}
        self._twins: dict[int, list[_Admitted]] = {}
        self._first_with: dict[str, int] = {}  # by fingerprint
        self._first_as: dict[str, int] = {}  # by program
        self._ended: dict[int, Candidate] = {}
        self._traced: dict[str, tuple[Work, float]] = {}  # by source, until they are admitted
        for candidate in store.candidates():  # in order: the first of a kind is kept
            self._first_as.setdefault(candidate.program, candidate.index)
            self._remember(candidate)

    def score(self, candidates: Iterable[Candidate]) -> Sequence[Candidate]:
        """Returns the candidates with their evaluations, in order."""
        return self.finished(self.admit_all(candidates))

    def admit_all(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Sends candidates on their way, while others train; returns them as they were."""
        admitted = []
        for candidate in candidates:
            admitted.append(candidate)
            self._first_as.setdefault(candidate.program, candidate.index)
            if candidate.evaluation is None:
                self._admit(candidate)
                self._collect(timeout=0.0)
        return admitted

    def objection(self, source: str) -> tuple[str, float]:
        """Returns why static gate or jail refuse a program, and the seconds the jail took.

        The reason is empty where they do not; what was traced is then kept for its admission.
        """
        started = time.monotonic()
        try:
            static.check(source, self._problem.slot)
            started = time.monotonic()
            known = self._problem.slot.identity(source) in self._first_as
            if not known and source not in self._traced:
                work = self._read(source)
                self._traced[source] = work, time.monotonic() - started
        except Rejected as rejection:
            return rejection.reason, time.monotonic() - started
        return "", 0.0

    def drain(self) -> None:
        """Waits for everything that was sent on its way."""
        while self._training:
            self._progress.update(doing=f"training, {len(self._training)} to go")
            self._collect(timeout=1.0)

    def finished(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Waits for these candidates and returns them with their evaluations."""
        waiting = {c.index for c in candidates if c.evaluation is None}
        while not waiting <= self._ended.keys():
            self._progress.update(doing=f"training, {len(self._training)} to go")
            self._collect(timeout=1.0)
        return [self._ended.pop(c.index) if c.index in waiting else c for c in candidates]

    def _admit(self, candidate: Candidate) -> None:
        """Takes a candidate through gates and jail to the trainer, or records why not."""
        facts, cost = None, Cost()
        known = self._traced.pop(candidate.source, None)
        try:
            static.check(candidate.source, self._problem.slot)
            first = self._first_as[candidate.program]
            if first != candidate.index:
                self._follow(_Admitted(candidate, None, cost, "duplicate_text"), first)
                return
            started = time.monotonic()
            try:
                work = known[0] if known else self.work(candidate)
            finally:
                cost = Cost(trace_seconds=known[1] if known else time.monotonic() - started)
            facts = self._examine(work)
        except Rejected as rejection:
            self._finish(candidate, _rejected(rejection, facts, cost))
            return
        twin = self._first_with.setdefault(facts.fingerprint, candidate.index)
        if twin != candidate.index:
            self._follow(_Admitted(candidate, facts, cost, "duplicate_graph"), twin)
            return
        job = Job(
            work,
            "validation",
            self._problem.training_seeds,
            facts.fingerprint,
            self._stopping.rungs(candidate, facts),
        )
        future, admitted = self._executor.submit(job), _Admitted(candidate, facts, cost)
        if future.done():
            self._record(admitted, future.result())
        else:
            self._training[future] = admitted

    def _examine(self, work: Work) -> Facts:
        """Examines a graph; what no gate foresaw costs this candidate and not the run."""
        try:
            return self._problem.examine(work)
        except (Rejected, UserError):
            raise
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise Rejected("failed", f"its graph could not be examined: {reason}") from error

    def work(self, candidate: Candidate) -> Work:
        """Traces a program in the jail, or reads the design it writes."""
        if self._problem.slot.space is None:
            self._progress.update(doing=f"tracing program {candidate.index}")
        return self._read(candidate.source)

    def _read(self, source: str) -> Work:
        slot = self._problem.slot
        if slot.space is not None:
            choices = slot.space.read(source)
            return Design(slot.name, slot.space.arch(choices), choices)
        assert self._jail is not None
        return self._jail.trace(slot, source, self._problem.sizes)

    def _collect(self, timeout: float) -> None:
        """Records the trainings that have ended, waiting for one at most `timeout` seconds."""
        if not self._training:
            return
        done, _ = wait(self._training, timeout=timeout, return_when=FIRST_COMPLETED)
        for future in done:
            self._record(self._training.pop(future), future.result())

    def _record(self, admitted: _Admitted, evaluation: Evaluation) -> None:
        """Records what came of a training."""
        assert admitted.facts is not None
        metrics = evaluation.metrics
        if evaluation.scored:
            metrics = self._problem.metrics(evaluation, admitted.facts)
        cost = evaluation.cost + admitted.cost
        self._finish(
            admitted.candidate,
            dataclasses.replace(evaluation, metrics=metrics, facts=admitted.facts, cost=cost),
        )

    def _follow(self, admitted: _Admitted, twin: int) -> None:
        """Gives a candidate the score of an earlier one with the same text or function."""
        first = self._store.candidate(twin)
        if first is None or first.evaluation is None:
            self._twins.setdefault(twin, []).append(admitted)
            return
        original = first.evaluation
        facts = admitted.facts or original.facts
        if original.scored:
            assert facts is not None
            evaluation = dataclasses.replace(
                original,
                stage=admitted.stage,
                metrics=self._problem.metrics(original, facts),
                reused_from=twin if original.reused_from is None else original.reused_from,
            )
        else:
            what = "program" if admitted.stage == "duplicate_text" else "function"
            reason = f"the same {what} as number {twin}, which failed: {original.reason}"
            evaluation = _rejected(Rejected(admitted.stage, reason), None, Cost())
        self._finish(
            admitted.candidate,
            dataclasses.replace(evaluation, facts=facts, cost=admitted.cost),
        )

    def _finish(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self._store.record_evaluation(candidate.index, evaluation)
        finished = dataclasses.replace(candidate, evaluation=evaluation)
        self._ended[candidate.index] = finished
        self._remember(finished)
        self._progress.finished(finished)
        for follower in self._twins.pop(candidate.index, []):
            self._follow(follower, candidate.index)

    def _remember(self, candidate: Candidate) -> None:
        """Keeps who was first with a function; `candidates` come in order when resuming."""
        evaluation = candidate.evaluation
        if evaluation is not None and evaluation.facts is not None:
            self._first_with.setdefault(evaluation.facts.fingerprint, candidate.index)


def _rejected(rejection: Rejected, facts: Facts | None, cost: Cost) -> Evaluation:
    return Evaluation(
        status="rejected",
        stage=rejection.stage,
        reason=rejection.reason,
        facts=facts,
        cost=cost,
    )
