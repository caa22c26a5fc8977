"""The loop that joins strategy, proposer, gates, jail, executor and store, and nothing else.

The store is the memory: every step first looks whether it was taken before. A fresh run and a
resumed one are the same code, and a run killed anywhere goes on as if it had not been.
"""

import collections
import dataclasses
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from evo_clrs.asking import Asking
from evo_clrs.errors import BudgetSpent, Rejected, UserError
from evo_clrs.executors.base import Executor, Job
from evo_clrs.gates import static
from evo_clrs.jail.jail import Jail
from evo_clrs.mending import Mender
from evo_clrs.problems.base import Problem
from evo_clrs.proposers import prompts
from evo_clrs.proposers.base import PromptReader, Proposer
from evo_clrs.randomness import seed_for
from evo_clrs.records import Candidate, Evaluation, Request
from evo_clrs.report.progress import Progress
from evo_clrs.scoring import Scoring
from evo_clrs.stopping import Stopping
from evo_clrs.store import Store, selection, summary
from evo_clrs.strategies.base import Learner, Steady, Strategy
from evo_clrs.training.rungs import Halving

SCHEDULES = ("rounds", "steady")

_SUMMARY_SECONDS = 0.5  # rounds of looked-up scores are shorter than writing the summary takes


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a run is conducted.

    Attributes:
      seed: the run seed; every random draw is keyed by it.
      finalists: how many of the best children are trained again on selection data, with all seeds.
      selection_trainings: how many fresh training seeds each of them gets.
      schedule: rounds (a round ends before the next begins), or steady (no worker waits for a
        round: each request is asked when the one `lag` before it was told).
      lag: in the steady schedule, how many requests are under way: what a request draws from is
        that many tells old, whatever took how long.
      rungs: training steps at which a program that falls behind is stopped; empty for none. They
        must be steps that are followed by a look at validation data. Seeds are never stopped.
      keep: share of the programs at a rung that go on, by the fitness they would have there.
      least_at_rung: programs that must have been told at a rung before any is stopped there.
      repairs: how often a reply of a language model that is refused before training is sent back
        with the reason.
      prompt: template of the prompts: paper, edits, chat, or a file; empty for what suits the
        proposer.
      rejections_shown: how many of the last refused programs a prompt may show, with the reasons.
      max_scored: ask for no more once so many children were trained or looked up; a round that has
        begun is ended. 0 for no such limit.
    """

    seed: int = 0
    finalists: int = 3
    selection_trainings: int = 3
    schedule: str = "rounds"
    lag: int = 4
    rungs: tuple[int, ...] = ()
    keep: float = 0.5
    least_at_rung: int = 6
    repairs: int = 0
    prompt: str = ""
    rejections_shown: int = 3
    max_scored: int = 0

    def __post_init__(self) -> None:
        for name in ("finalists", "selection_trainings", "lag"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("repairs", "rejections_shown", "max_scored"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name} must be 0 or more, got {getattr(self, name)}")
        if self.schedule not in SCHEDULES:
            raise UserError(
                f"--schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}"
            )
        Halving(self.rungs, self.keep, self.least_at_rung)  # refuses what is out of range

    @property
    def halving(self) -> Halving:
        """When trainings are stopped early."""
        return Halving(self.rungs, self.keep, self.least_at_rung)

    @property
    def identity(self) -> Mapping[str, str | int | float]:
        """Those of the settings that shape what a search comes to."""
        told: dict[str, str | int | float] = {
            name: getattr(self, name) for name in ("seed", "schedule", "lag")
        }
        if self.repairs:
            told["repairs"] = self.repairs
        if self.rungs:
            told["rungs"] = ",".join(map(str, self.rungs))
            told |= {name: getattr(self, name) for name in ("keep", "least_at_rung")}
        return told


class Experiment:
    """One search, from the seeds to the winner on selection data."""

    def __init__(
        self,
        problem: Problem,
        strategy: Strategy,
        proposer: Proposer,
        executor: Executor,
        jail: Jail | None,
        store: Store,
        progress: Progress,
        settings: Settings,
    ):
        self._problem = problem
        self._strategy = strategy
        self._executor = executor
        self._store = store
        self._progress = progress
        self._settings = settings
        self._stopping = Stopping(problem, settings.halving)
        self._scoring = Scoring(problem, executor, jail, store, progress, self._stopping)
        mender = Mender(
            settings.repairs, proposer, self._scoring, store, problem.slot, settings.seed
        )
        self._asking = Asking(
            problem,
            proposer,
            prompts.load(template_of(proposer, settings)),
            settings.rejections_shown,
            mender,
            store,
            progress,
            settings.seed,
        )
        self._learnt = 0
        self._scored = 0
        self._clock = time.monotonic()
        self._summary_due = 0.0

    def run(self) -> None:
        """Searches until the strategy asks for nothing more, then picks the winner.

        Raises:
          UserError: a seed is at fault, or the strategy cannot follow the schedule.
          Stopped: the proposer stops the run; what a budget allowed still has its winner picked.
        """
        seeds = self._scoring.score(self._asking.seeds())
        _refuse_broken(seeds)
        self._strategy.tell(seeds)
        self._stopping.tell(seeds)
        self._end_round()
        stop: BudgetSpent | None = None
        try:
            if self._settings.schedule == "rounds":
                self._go_by_rounds()
            else:
                self._go_steadily()
        except BudgetSpent as error:
            self._scoring.drain()
            stop = error
        self._select(seeds)
        self._end_round(last=True)
        if stop is not None:
            raise stop

    def _go_by_rounds(self) -> None:
        while not self._spent and (requests := self._strategy.ask()):
            if requests[0].operation == "principles":
                self._learn(requests[0])
            else:
                children = self._scoring.score(self._asking.children(requests))
                self._strategy.tell(children)
                self._note(children)
                if self._asking.tunes:
                    self._asking.tune(requests[0].round + 1, self._strategy.tuning_set())
            self._end_round()

    def _go_steadily(self) -> None:
        """Keeps `lag` requests under way; they are told in the order asked."""
        strategy = self._strategy
        if self._asking.tunes:
            raise UserError("--tune_lm goes by rounds: leave out --schedule=steady")
        if not isinstance(strategy, Steady):
            raise UserError("this strategy goes by rounds: leave out --schedule=steady")
        under_way: collections.deque[list[Candidate]] = collections.deque()
        more = True
        while more or under_way:
            while more and len(under_way) < self._settings.lag:
                request = None if self._spent else strategy.ask_one()
                more = request is not None
                if request is not None:
                    under_way.append(self._scoring.admit_all(self._asking.children([request])))
            if under_way:
                children = self._scoring.finished(under_way.popleft())
                strategy.tell_one(children)
                self._note(children)
                self._end_round()

    @property
    def _spent(self) -> bool:
        return 0 < self._settings.max_scored <= self._scored

    def _note(self, children: Sequence[Candidate]) -> None:
        """Takes in what was told: for the rungs, for prompts to come, and for the budget."""
        self._stopping.tell(children)
        self._asking.note_rejections(children)
        told = [child.evaluation for child in children if child.evaluation is not None]
        self._scored += sum(each.stage in ("scored", "stopped") for each in told)

    def _learn(self, request: Request) -> None:
        """Tells a strategy the words it asked for, and records what it made of them."""
        strategy = self._strategy
        assert isinstance(strategy, Learner)
        strategy.learn([proposal.source for proposal in self._asking.proposals(request)])
        self._learnt += 1
        if len(self._store.events("principles")) < self._learnt:
            self._store.record_event("principles", {"text": strategy.principles})

    # The end of a round and of the run.

    def _end_round(self, last: bool = False) -> None:
        now = time.monotonic()
        if now < self._summary_due and not last:
            return
        self._summary_due = now + _SUMMARY_SECONDS
        self._store.add_seconds(now - self._clock)
        self._clock = now
        winner = selection.winner(self._store)
        summary.write(self._store, None if winner is None else winner.candidate.index)

    def _select(self, seeds: Sequence[Candidate]) -> None:
        """Trains finalists and seeds from fresh seeds and scores them on selection data."""
        known = {selected.candidate.index for selected in selection.read(self._store)}
        settings = self._settings
        trainings = tuple(
            seed_for(settings.seed, "selection", index) % 2**31
            for index in range(settings.selection_trainings)
        )
        waiting: dict[Future[Evaluation], Candidate] = {}
        for candidate in self._finalists(seeds):
            if candidate.index in known:
                continue
            assert candidate.evaluation is not None and candidate.evaluation.facts is not None
            fingerprint = candidate.evaluation.facts.fingerprint
            job = Job(self._scoring.work(candidate), "selection", trainings, fingerprint)
            waiting[self._executor.submit(job)] = candidate
        while waiting:
            self._progress.update(doing=f"selecting, {len(waiting)} to go")
            done, _ = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in done:
                self._record_selection(waiting.pop(future), future.result())

    def _finalists(self, seeds: Sequence[Candidate]) -> Sequence[Candidate]:
        """The best programs of the search and all seeds that were scored, each once.

        Programs whose training was stopped early are left out, unless all were.
        """
        ranked = self._strategy.best(self._asking.places)
        fittest: dict[str, Candidate] = {}
        bred = [candidate for candidate in ranked if candidate.request is not None]
        whole = [c for c in bred if c.evaluation is not None and not c.evaluation.stopped]
        for candidate in whole or bred:
            fittest.setdefault(candidate.program, candidate)
        children = list(fittest.values())[: self._settings.finalists]
        chosen = {candidate.index: candidate for candidate in [*seeds, *children]}
        return [c for c in chosen.values() if c.evaluation is not None and c.evaluation.scored]

    def _record_selection(self, candidate: Candidate, evaluation: Evaluation) -> None:
        assert candidate.evaluation is not None and candidate.evaluation.facts is not None
        if evaluation.scored:
            metrics = self._problem.metrics(evaluation, candidate.evaluation.facts)
            evaluation = dataclasses.replace(evaluation, metrics=metrics)
        selection.record(self._store, candidate, evaluation)


def template_of(proposer: Proposer, settings: Settings) -> str:
    """Returns the template of the prompts: the one asked for, else what suits the proposer."""
    own = proposer.prompt if isinstance(proposer, PromptReader) else "paper"
    return settings.prompt or own


def check_seeds(problem: Problem) -> None:
    """Raises UserError, naming the seed, where one does not pass the static gate."""
    for name, source in problem.seeds().items():
        try:
            static.check(source, problem.slot)
        except Rejected as rejection:
            raise UserError(f"seed {name}: {rejection.reason}") from None


def _refuse_broken(seeds: Sequence[Candidate]) -> None:
    """Raises UserError where a seed is at fault itself, as against one that cannot matter here."""
    for seed in seeds:
        if seed.evaluation is not None and seed.evaluation.stage in ("static", "trace", "failed"):
            raise UserError(f"seed {seed.name}: {seed.evaluation.reason}")
