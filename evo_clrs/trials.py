"""Many searches of one problem, each to its end in memory: what a strategy is worth on a table.

Every trial is a whole search through the loop of `experiment`, with its own run seed. What it gives
is its curve: after so many evaluations, the score by which the best program so far was chosen, and
that program's test score, which is read when the search is over.
"""

import dataclasses
import functools
import hashlib
import io
import json
import math
import multiprocessing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evo_clrs import executors, experiment, problems, proposers, strategies
from evo_clrs.errors import UserError
from evo_clrs.problems.cells.problem import TableProblem
from evo_clrs.records import Candidate
from evo_clrs.report.progress import Progress
from evo_clrs.store import Store
from evo_clrs.strategies.base import Learner, is_scored, metric


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way of searching one table.

    Attributes:
      strategy: name of the strategy.
      data: what the table holds, for people, e.g. `cifar10`.
      problem: name of the problem.
      problem_options: its options; the rest have their defaults.
      strategy_options: options of the strategy; the rest have their defaults.
      evaluations: numbers of evaluations after which the best is looked at, ascending.
      content: checksum of the tables it reads, so that trials on others are not taken for its own.
      note: what sets it apart from another arm of the same strategy.
    """

    strategy: str
    data: str
    problem: str
    problem_options: Mapping[str, Any]
    strategy_options: Mapping[str, Any]
    evaluations: tuple[int, ...]
    content: str = ""
    note: str = ""

    @property
    def key(self) -> str:
        """Tells this arm's trials from any other's; the place of files does not matter."""
        told = dataclasses.asdict(self)
        told["problem_options"] = {k: v for k, v in self.problem_options.items() if k != "table"}
        told["strategy_options"] = {k: v for k, v in self.strategy_options.items() if k != "source"}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Point:
    """The best of a search after so many evaluations.

    Attributes:
      evaluations: programs scored by then, each one counted as often as it was proposed.
      chosen_by: the best search score, in percent.
      test: the test score of the program that has it, the first of equals, in percent.
      arch: that program's design, whose test score was read.
    """

    evaluations: int
    chosen_by: float
    test: float
    arch: str


def run_trials(
    arms: Sequence[Arm], seeds: Mapping[str, Sequence[int]], folder: Path, workers: int
) -> Iterator[tuple[Arm, int, Sequence[Point]]]:
    """Yields the curve of every trial; those already in `folder/trials.jsonl` are not repeated.

    Args:
      arms: what to try.
      seeds: run seeds of each arm, by its key.
      folder: where trials are kept, one JSON line each.
      workers: processes.

    Raises:
      UserError: an arm's table or options are at fault.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made a folder: {error.strerror}") from None
    known = {arm.key: arm for arm in arms}
    done = set()
    for key, seed, points in _kept(folder / "trials.jsonl"):
        if key in known and seed in seeds[key]:
            done.add((key, seed))
            yield known[key], seed, points
    missing = [(arm, s) for arm in arms for s in seeds[arm.key] if (arm.key, s) not in done]
    with (folder / "trials.jsonl").open("a") as lines:
        for (arm, seed), points in _in_processes(missing, workers):
            entry = {
                "arm": arm.key,
                "strategy": arm.strategy,
                "data": arm.data,
                "seed": seed,
                "points": [dataclasses.astuple(point) for point in points],
            }
            lines.write(json.dumps(entry) + "\n")
            lines.flush()
            yield arm, seed, points


def run_trial(arm: Arm, seed: int) -> Sequence[Point]:
    """Runs one search to its end and returns its curve.

    Raises:
      UserError: the table or an option is at fault.
    """
    problem = _problem(arm.problem, json.dumps(dict(arm.problem_options), sort_keys=True))
    strategy = strategies.make(arm.strategy, arm.strategy_options, seed)
    if isinstance(strategy, Learner):
        strategy.teach(problem.examples(strategy.source, strategy.source_top))
    settings = experiment.Settings(seed=seed, finalists=1, selection_trainings=1)
    with (
        Store.in_memory({"problem": arm.problem, "strategy": arm.strategy, "seed": seed}) as store,
        executors.make("local", problem, executors.Placement()) as executor,
    ):
        experiment.Experiment(
            problem,
            strategy,
            proposers.make("grammar"),
            executor,
            None,
            store,
            Progress(stream=io.StringIO()),
            settings,
        ).run()
        return curve(problem, store.candidates(), arm.evaluations)


def curve(
    problem: TableProblem, candidates: Iterable[Candidate], evaluations: Sequence[int]
) -> Sequence[Point]:
    """Returns the best of these candidates, in order, after so many evaluations each."""
    read: list[str] = []
    final = problem.open_test(read.append)
    points: list[Point] = []
    best, chosen = -math.inf, ""
    for scored, candidate in enumerate(filter(is_scored, candidates), start=1):
        accuracy = metric(candidate, "val_accuracy")
        if accuracy > best:
            best, chosen = accuracy, final.arch(candidate.source)
        if scored in evaluations:
            points.append(Point(scored, 100 * best, 100 * final.test_accuracy(chosen), chosen))
    assert set(read) == {point.arch for point in points}
    return points


@functools.lru_cache(maxsize=4)
def _problem(name: str, options: str) -> TableProblem:
    """A table is read once in each process."""
    problem = problems.make(name, json.loads(options))
    if not isinstance(problem, TableProblem):
        raise UserError(f"problem {name} has no table")
    return problem


def _kept(path: Path) -> Iterator[tuple[str, int, Sequence[Point]]]:
    """Yields the trials of a file; a last line cut off by a kill is left out."""
    if not path.exists():
        return
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            entry = json.loads(line)
            points = [Point(*point) for point in entry["points"]]
            yield entry["arm"], entry["seed"], points
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path} is damaged in line {number}: take the line out") from None


def _in_processes(
    trials: Sequence[tuple[Arm, int]], workers: int
) -> Iterator[tuple[tuple[Arm, int], Sequence[Point]]]:
    if workers < 2 or len(trials) < 2:
        for trial in trials:
            yield trial, run_trial(*trial)
        return
    with multiprocessing.get_context("spawn").Pool(min(workers, len(trials))) as pool:
        yield from pool.imap(_attempt, trials)


def _attempt(trial: tuple[Arm, int]) -> tuple[tuple[Arm, int], Sequence[Point]]:
    return trial, run_trial(*trial)
