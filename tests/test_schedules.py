"""The two schedules: what a search comes to depends on neither order, speed nor interruptions.

Workers are simulated, so that it is known exactly who worked when: the clock stands still while
the loop works, and moves on to the next training that ends when the loop waits.
"""

import hashlib
import heapq
import io
import itertools
from collections import deque
from concurrent.futures import Future

import pytest

from evo_clrs import experiment, scoring, strategies
from evo_clrs.errors import UserError
from evo_clrs.executors.base import evaluate
from evo_clrs.jail.jail import Jail
from evo_clrs.proposers.grammar.proposer import Grammar
from evo_clrs.randomness import generator
from evo_clrs.records import Cost, Evaluation, Facts, Proposal
from evo_clrs.report.progress import Progress
from evo_clrs.slots import CELL
from evo_clrs.store import Store, selection, summarise
from evo_clrs.strategies import islands
from evo_clrs.training.rungs import Climb
from tests import toy_run
from tests.toy import ToyProblem

BUDGET = {"rounds": 5, "prompts_per_round": 6, "samples_per_prompt": 2}
STEADY = (
    *("evoprompting", "regularized_evolution", "random", "best_of_n", "random_parents"),
    "hill_climb",
)
schedules = pytest.mark.parametrize("schedule", experiment.SCHEDULES)


class Cells:
    """Cells with a score drawn from their arch string; one in ten fails."""

    name = title = score_key = "toy"
    options = {}
    identity = {"problem": "toy", "task": "toy"}
    slot = CELL
    sizes = ()
    training_seeds = (0,)
    instant = False
    remark = ""

    def seeds(self):
        return {"plain": CELL.space.write((1,) * 6), "deep": CELL.space.write((3,) * 6)}

    def examine(self, work):
        parameters = 1000 * (1 + sum(work.choices))
        return Facts(parameters, parameters, 1e6, 1e6, 1e6, 10, work.arch)

    def evaluate(self, work, split, seeds):
        draw = generator(0, work.arch)
        if draw.random() < 0.1:
            return Evaluation("rejected", "failed", "loss is not finite at step 1")
        accuracy = 0.5 + 0.4 * draw.random()
        metrics = {"val_accuracy": accuracy, "val_error": 1 - accuracy, "accuracy": accuracy}
        return Evaluation("scored", "scored", metrics=metrics, seeds=tuple(seeds), cost=Cost())

    def metrics(self, evaluation, facts):
        error = evaluation.metrics["val_error"]
        added = {"num_params": facts.parameters, "flops": 1.0, "fitness": -facts.parameters * error}
        return {**evaluation.metrics, **added}


class Climbing(Cells):
    """The same cells, validated on the way: some are slow to begin with."""

    looks = range(10, 40, 10)

    def evaluate(self, work, split, seeds, rungs=()):
        whole = super().evaluate(work, split, seeds)
        if not whole.scored:
            return whole
        climb = Climb(rungs)
        slowness = generator(0, f"slowness {work.arch}").random()
        accuracy = whole.metrics["val_accuracy"]
        for step in self.looks:
            if climb(step, accuracy * (step / 40) ** slowness):
                accuracy = climb.scores[step]
                break
        metrics = {"val_accuracy": accuracy, "val_error": 1 - accuracy, **climb.metrics}
        if split != "validation":
            metrics["accuracy"] = accuracy
        budget = climb.budget(40)
        return Evaluation("scored", climb.stage, climb.reason, metrics, budget=budget, seeds=seeds)


class Workers:
    """An executor in simulated time.

    Attributes:
      idle: worker seconds without work while there was more to ask for.
      busy: worker seconds of work.
    """

    platform = "cpu"

    def __init__(
        self, problem, workers=2, order=0, spread=0.5, more=lambda: False, ends_after=None
    ):
        """Takes a function that tells whether there is more to ask for.

        Each training takes 1 second, give or take `spread`, drawn from `order`. The process is
        interrupted when `ends_after` of them have ended.
        """
        self.workers, self.idle, self.busy = workers, 0.0, 0.0
        self._problem, self._order, self._spread, self._more = problem, order, spread, more
        self._left = ends_after
        self._now = 0.0
        self._queue = deque()
        self._running = []
        self._numbers = itertools.count()

    def submit(self, job):
        future = Future()
        self._queue.append((job, future))
        self._start()
        return future

    def wait(self, futures, timeout, return_when):
        """Stands for `concurrent.futures.wait`."""
        if timeout and not any(future.done() for future in futures):
            self._go_on()
        done = {future for future in futures if future.done()}
        return done, set(futures) - done

    def _start(self):
        while self._queue and len(self._running) < self.workers:
            job, future = self._queue.popleft()
            draw = generator(self._order, f"seconds {job.fingerprint}")
            end = self._now + 1 + self._spread * (2 * draw.random() - 1)
            heapq.heappush(self._running, (end, next(self._numbers), job, future))

    def _go_on(self):
        if self._left is not None:
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
        passed = self._running[0][0] - self._now
        self.busy += passed * len(self._running)
        if self._more():
            self.idle += passed * (self.workers - len(self._running))
        self._now, _, job, future = heapq.heappop(self._running)
        future.set_result(evaluate(self._problem, job))
        self._start()


class Counting:
    """A proposer whose designs are all different."""

    name = "counting"

    def __init__(self):
        self.asked = 0

    def propose(self, request, slot, prompt, seed):
        self.asked += 1
        first = 7 * (1 + request.index * request.samples)
        return [Proposal(_numbered(first + 7 * sample)) for sample in range(request.samples)]


def _numbered(number):
    return CELL.space.write(tuple(number // 5**place % 5 for place in range(6)))


@pytest.fixture
def search(monkeypatch):
    """Runs a search with simulated workers."""

    def run(store, strategy, workers, schedule="steady", lag=4, proposer=None, rungs=()):
        monkeypatch.setattr(scoring, "wait", workers.wait)
        monkeypatch.setattr(experiment, "wait", workers.wait)
        settings = experiment.Settings(
            seed=1, finalists=2, schedule=schedule, lag=lag, rungs=rungs, least_at_rung=2
        )
        experiment.Experiment(
            workers._problem,
            strategy,
            proposer or Grammar(),
            workers,
            None,
            store,
            Progress(stream=io.StringIO()),
            settings,
        ).run()
        return store

    return run


def new_store():
    return Store.in_memory(Cells.identity)


def made(name, mixing=None):
    return strategies.make(name, BUDGET, 1, mixing)


@schedules
@pytest.mark.parametrize("name", STEADY)
def test_the_order_in_which_trainings_end_changes_nothing(name, schedule, search):
    first, second = (
        toy_run.outcome(search(new_store(), made(name), Workers(Cells(), order=order), schedule))
        for order in (0, 1)
    )
    assert first == second


@schedules
@pytest.mark.parametrize("count", [1, 3])
def test_the_number_of_workers_changes_nothing(count, schedule, search):
    many = search(new_store(), made("evoprompting"), Workers(Cells(), workers=9), schedule)
    few = search(new_store(), made("evoprompting"), Workers(Cells(), workers=count), schedule)
    assert toy_run.outcome(few) == toy_run.outcome(many)


@pytest.mark.parametrize("mixing", [None, islands.Options(3)], ids=["one_population", "islands"])
@schedules
@pytest.mark.parametrize("name", ["evoprompting", "regularized_evolution"])
def test_interrupted_searches_end_as_uninterrupted_ones(name, schedule, mixing, search):
    whole = search(new_store(), made(name, mixing), Workers(Cells(), order=0), schedule)
    store = new_store()
    interrupted = 0
    for order, ends_after in enumerate(itertools.cycle([0, 1, 4, 2, 9])):
        workers = Workers(Cells(), order=order, ends_after=ends_after)
        try:
            search(store, made(name, mixing), workers, schedule)
            break
        except KeyboardInterrupt:
            interrupted += 1
    assert interrupted > 8
    assert toy_run.outcome(store) == toy_run.outcome(whole)


@schedules
def test_which_trainings_are_stopped_depends_on_neither_order_nor_number_of_workers(
    schedule, search
):
    outcomes = []
    for workers, order in ((2, 0), (2, 1), (9, 2), (1, 3)):
        store = new_store()
        simulated = Workers(Climbing(), workers, order)
        search(store, made("evoprompting"), simulated, schedule, rungs=(10, 20))
        outcomes.append(toy_run.outcome(store))
    stages = [c.evaluation.stage for c in store.candidates()]
    assert 10 < stages.count("stopped") < 50
    assert all(outcome == outcomes[0] for outcome in outcomes)


@schedules
def test_programs_that_were_stopped_are_counted_once_and_not_chosen(schedule, search):
    store = search(new_store(), made("random"), Workers(Climbing()), schedule, rungs=(10, 20))
    stopped = [c for c in store.candidates() if c.evaluation.stopped]
    assert stopped and all(c.request is not None and c.evaluation.scored for c in stopped)
    own = [c.evaluation for c in stopped if c.evaluation.reused_from is None]
    assert all(e.stage == "stopped" and "was needed" in e.reason for e in own)
    assert {tuple(e.budget.items()) for e in own} == {
        (("steps", 10), ("planned_steps", 40)),
        (("steps", 20), ("planned_steps", 40)),
    }
    counts = summarise(store)["counts"]
    assert counts["stopped"] == len(own)
    assert sum(counts.values()) == 2 * counts["proposed"]
    chosen = [selected.candidate for selected in selection.read(store)]
    assert len(chosen) == 4 and not any(c.evaluation.stopped for c in chosen)
    assert not store.best().evaluation.stopped


@schedules
def test_interrupted_searches_stop_the_same_trainings(schedule, search):
    whole, store = new_store(), new_store()
    search(whole, made("evoprompting"), Workers(Climbing()), schedule, rungs=(10, 20))
    interrupted = 0
    for order, ends_after in enumerate(itertools.cycle([0, 1, 4, 2, 9])):
        workers = Workers(Climbing(), order=order, ends_after=ends_after)
        try:
            search(store, made("evoprompting"), workers, schedule, rungs=(10, 20))
            break
        except KeyboardInterrupt:
            interrupted += 1
    assert interrupted > 8
    assert toy_run.outcome(store) == toy_run.outcome(whole)


@pytest.mark.parametrize("lag", [1, 2, 4, 7])
@pytest.mark.parametrize("name", STEADY)
def test_request_number_i_has_seen_exactly_the_tells_up_to_i_minus_lag(name, lag, search):
    strategy = made(name)
    seen = []
    ask_one = strategy.ask_one

    def watched():
        told = strategy.told
        request = ask_one()
        if request is not None:
            seen.append((request.index, told))
        return request

    strategy.ask_one = watched
    search(new_store(), strategy, Workers(Cells()), lag=lag)
    requests = BUDGET["rounds"] * BUDGET["prompts_per_round"]
    assert seen == [(index, max(0, index - lag + 1)) for index in range(requests)]


@schedules
@pytest.mark.parametrize("name", STEADY)
def test_both_schedules_ask_for_the_same_number_of_children(name, schedule, search):
    store = search(new_store(), made(name), Workers(Cells()), schedule)
    children = [candidate for candidate in store.candidates() if candidate.request is not None]
    assert len(children) == made(name).children == 60
    rounds = [store.request(candidate.request)[0].round for candidate in children]
    assert rounds == [number for number in range(5) for _ in range(12)]


def idle_share(search, schedule, workers, lag, spread, samples=1):
    """Returns the share of the workers' time that is lost while there is more to ask for."""
    budget = {"rounds": 20, "prompts_per_round": 6, "samples_per_prompt": samples}
    proposer = Counting()
    simulated = Workers(Cells(), workers, spread=spread, more=lambda: 0 < proposer.asked < 120)
    strategy = strategies.make("evoprompting", budget, 1)
    search(new_store(), strategy, simulated, schedule, lag, proposer)
    return simulated.idle / (simulated.idle + simulated.busy)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("workers", [2, 4])
def test_no_worker_of_a_steady_search_idles_with_twice_as_many_requests_under_way(
    workers, samples, search
):
    assert idle_share(search, "steady", workers, 2 * workers, spread=0.0, samples=samples) == 0
    # Where one training takes three times as long as another, telling in order costs a little.
    assert idle_share(search, "steady", workers, 2 * workers, spread=0.5, samples=samples) < 0.02
    assert idle_share(search, "rounds", workers, 2 * workers, spread=0.5, samples=samples) > 0.02


def test_a_lag_of_one_waits_for_each_request(search):
    assert idle_share(search, "steady", workers=2, lag=1, spread=0.0) == pytest.approx(
        0.5, abs=0.03
    )


def test_strategies_that_go_by_rounds_say_so(search):
    with pytest.raises(UserError, match="leave out --schedule=steady"):
        search(new_store(), strategies.make("genius", {}, 1), Workers(Cells()))


class Shuffled(toy_run.ThreadExecutor):
    """Trains in threads; of two trainings the one with the smaller hash ends first."""

    def __init__(self, problem, order):
        super().__init__(problem)
        self._last = Future()
        self._last.set_result(None)
        self._order = order

    def submit(self, job):
        text = f"{self._order} {job.fingerprint}".encode()
        future = super().submit(job)
        if hashlib.sha256(text).digest()[0] % 2:
            future.result()  # ended before the loop goes on; others end whenever they do
        return future


@pytest.mark.slow
def test_a_steady_search_of_traced_programs_is_repeatable():
    outcomes = []
    for order in range(2):
        problem = ToyProblem()
        store = Store.in_memory(ToyProblem.identity)
        with Jail() as jail, Shuffled(problem, order) as executor:
            experiment.Experiment(
                problem,
                strategies.make("evoprompting", toy_run.OPTIONS | {"samples_per_prompt": 1}, 1),
                Grammar(),
                executor,
                jail,
                store,
                Progress(stream=io.StringIO()),
                experiment.Settings(seed=1, selection_trainings=1, schedule="steady", lag=3),
            ).run()
        outcomes.append(toy_run.outcome(store))
    assert outcomes[0] == outcomes[1]
