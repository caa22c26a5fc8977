"""From result lines to pairs: the same task and seed, trained under the same options."""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence

from evo_clrs import program as program_text
from evo_clrs import programs
from evo_clrs.comparison import protocol
from evo_clrs.errors import UserError
from evo_clrs.results import Result

# Both are Triplet-GMPNN: the whole processor, and its own function in the rest of it.
BASELINES: Mapping[str, str] = {"processor": "triplet_gmpnn", "triplet": "v1_standard"}


@dataclasses.dataclass(frozen=True)
class Program:
    """A trained program.

    Attributes:
      identity: identity of its text.
      slot: the slot it fills.
      name: what to call it, unlike any other's.
      argument: what launch.train is told to train it.
    """

    identity: str
    slot: str
    name: str
    argument: str = dataclasses.field(default="", compare=False)


@functools.cache
def packaged(slot: str, name: str) -> Program:
    """Returns a program that comes with the package."""
    return Program(program_text.identity(programs.load(slot)[name]), slot, name, name)


@dataclasses.dataclass(frozen=True)
class Trainings:
    """What result lines tell, one training for each program, task and seed.

    Attributes:
      scored: for each program and task, the scored result of each seed.
      unscored: for each program and task, the last result of each seed that has no score.
      notes: what a reader must know of the lines, one sentence each.
    """

    scored: Mapping[tuple[Program, str], Mapping[int, Result]]
    unscored: Mapping[tuple[Program, str], Mapping[int, Result]]
    notes: tuple[str, ...]

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs, in order of their first line."""
        return tuple(dict.fromkeys(program for program, _ in (*self.scored, *self.unscored)))

    def find(self, name: str) -> Program:
        """Returns the program of this name, or of this identity.

        Raises:
          UserError: there is none.
        """
        for program in self.programs:
            if name in (program.name, program.identity):
                return program
        known = ", ".join(program.name for program in self.programs)
        raise UserError(f"no result of program {name!r}; there are results of: {known}")

    def tasks_of(self, program: Program) -> tuple[str, ...]:
        """Returns the tasks on which a program was trained, in order of name."""
        return tuple(sorted(t for p, t in (*self.scored, *self.unscored) if p == program))

    def of(self, program: Program, task: str) -> Mapping[int, Result]:
        """Returns the scored results of a program on a task, by seed."""
        return self.scored.get((program, task), {})

    def without_score(self, program: Program, task: str) -> Mapping[int, Result]:
        """Returns the other results of a program on a task, by seed."""
        return self.unscored.get((program, task), {})


def gather(results: Sequence[Result], notes: Sequence[str] = ()) -> Trainings:
    """Returns what result lines tell; of lines for one training the scored one counts.

    Args:
      results: the lines.
      notes: what a reader must know of how they were read.

    Raises:
      UserError: there is no line; two lines give one training different scores; or one program was
        trained on one task under different options.
    """
    if not results:
        raise UserError("no result to compare: train programs with launch.train first")
    named = _named(results)
    groups: dict[tuple[Program, str], dict[int, list[Result]]] = {}
    for result in results:
        key = named[result.program, result.slot], result.task
        groups.setdefault(key, {}).setdefault(result.seed, []).append(result)
    scored: dict[tuple[Program, str], dict[int, Result]] = {}
    unscored: dict[tuple[Program, str], dict[int, Result]] = {}
    told = list(notes)
    for (program, task), by_seed in groups.items():
        for seed, lines in sorted(by_seed.items()):
            where = f"{program.name} on {task}, seed {seed}"
            good = [line for line in lines if line.status == "scored"]
            if not good:
                unscored.setdefault((program, task), {})[seed] = lines[-1]
                continue
            if len(good) > 1:
                _expect_equal(where, good)
                told.append(f"{where}: {len(good)} equal lines, counted once")
            scored.setdefault((program, task), {})[seed] = good[0]
        kept = list(scored.get((program, task), {}).values())
        for result in kept[1:]:
            _expect_alike(f"{program.name} on {task}", kept[0], result)
    return Trainings(scored, unscored, tuple(told))


def choose(trainings: Trainings, names: Sequence[str], baseline: str = "") -> list[Program]:
    """Returns the programs of these names; for none, all but the baseline.

    Raises:
      UserError: there is no program of a name, or nothing but the baseline.
    """
    if names:
        return [trainings.find(name) for name in dict.fromkeys(names)]
    rest = [p for p in trainings.programs if not is_baseline(p, baseline)]
    if not rest:
        raise UserError("only the baseline was trained: there is nothing to compare it with")
    return rest


def is_baseline(program: Program, name: str = "") -> bool:
    """Whether a program is the baseline of this name; for none, by its text that of its slot."""
    if name:
        return name in (program.name, program.identity)
    return program.identity == packaged(program.slot, BASELINES[program.slot]).identity


def _named(results: Iterable[Result]) -> dict[tuple[str, str], Program]:
    """Returns the program of each (identity, slot), named by its first line."""
    first: dict[tuple[str, str], Result] = {}
    for result in results:
        first.setdefault((result.program, result.slot), result)
    names = [result.name for result in first.values()]
    return {
        (identity, slot): Program(
            identity,
            slot,
            result.name if names.count(result.name) == 1 else f"{result.name} ({identity[:8]})",
            protocol.argument_of(result),
        )
        for (identity, slot), result in first.items()
    }


def _expect_equal(where: str, lines: Sequence[Result]) -> None:
    for line in lines[1:]:
        _expect_alike(where, lines[0], line)
        if line.test != lines[0].test:
            raise UserError(
                f"{where}: two lines with different scores, {lines[0].test} and {line.test}; "
                "which one counts is not for this script to say: remove one, or name one file"
            )


def _expect_alike(where: str, first: Result, second: Result) -> None:
    if differing := protocol.differences(first, second):
        raise UserError(
            f"{where}: trained under different options ({differing}): name only results of one "
            "protocol with --results"
        )


def percent(result: Result) -> float:
    """Returns the test score of a scored result in percent."""
    assert result.test is not None
    return 100 * result.test


@dataclasses.dataclass(frozen=True)
class Pairs:
    """A program and the baseline on a task, seed by seed.

    Attributes:
      program: the program.
      baseline: what it is compared with.
      task: the task.
      results: for each seed, the result of the program and of the baseline.
    """

    program: Program
    baseline: Program
    task: str
    results: Mapping[int, tuple[Result, Result]]


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """What is not compared, and why.

    Attributes:
      program: name of the program.
      task: the task.
      seeds: the seeds; empty for all.
      why: why not, in words.
    """

    program: str
    task: str
    seeds: tuple[int, ...]
    why: str


@dataclasses.dataclass(frozen=True)
class Paired:
    """What a task gives to a comparison.

    Attributes:
      pairs: the pairs; None if there is nothing to compare.
      left_out: what is left out.
      missing: the trainings that were not done.
    """

    pairs: Pairs | None
    left_out: tuple[LeftOut, ...]
    missing: tuple[protocol.Missing, ...] = ()


def pair(trainings: Trainings, program: Program, baseline: Program, task: str) -> Paired:
    """Returns the pairs of a task, with what is left out.

    Raises:
      UserError: the two sides were trained under different options.
    """
    ours, theirs = trainings.of(program, task), trainings.of(baseline, task)
    if why := _idle(
        [*ours.values(), *trainings.without_score(program, task).values()],
        [*theirs.values(), *trainings.without_score(baseline, task).values()],
        baseline.name,
    ):
        return Paired(None, (LeftOut(program.name, task, (), why),))
    for one, other in itertools.product(list(ours.values())[:1], list(theirs.values())[:1]):
        _expect_alike(f"{program.name} and {baseline.name} on {task}", one, other)
    results = {seed: (ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())}
    pairs = Pairs(program, baseline, task, results) if results else None
    return Paired(pairs, *_lacking(trainings, program, baseline, task))


def _idle(ours: Sequence[Result], theirs: Sequence[Result], baseline: str) -> str:
    """Returns why a difference of scores could only be noise, as known before any training."""
    if any(result.inert for result in ours):
        return "inert: it cannot change a prediction of this task"
    if any(result.inert for result in theirs):
        return f"inert: {baseline} cannot change a prediction of this task"
    functions = {result.fingerprint for result in ours if result.fingerprint}
    if any(result.fingerprint in functions for result in theirs):
        return f"it computes the same function as {baseline}"
    return ""


def _lacking(
    trainings: Trainings, program: Program, baseline: Program, task: str
) -> tuple[tuple[LeftOut, ...], tuple[protocol.Missing, ...]]:
    """Returns the seeds that one side lacks, and the trainings that would give them."""
    left_out: list[LeftOut] = []
    missing: list[protocol.Missing] = []
    sides = {side: trainings.of(side, task) for side in (program, baseline)}
    failed = {side: trainings.without_score(side, task) for side in sides}
    asked = {seed for side in sides for seed in (*sides[side], *failed[side])}
    like = next((result for side in sides.values() for result in side.values()), None)
    for side, results in sides.items():
        for seed, result in sorted(failed[side].items()):
            why = f"{side.name} {result.status}" + (f": {result.reason}" if result.reason else "")
            left_out.append(LeftOut(program.name, task, (seed,), why))
        seeds = tuple(sorted(asked - results.keys() - failed[side].keys()))
        if seeds:
            why = f"{side.name} was not trained from them"
            left_out.append(LeftOut(program.name, task, seeds, why))
            flags = protocol.flags_like(like)
            missing.append(protocol.Missing(side.argument, task, seeds, flags))
    return tuple(left_out), tuple(missing)
