"""What was reached beside what is published, for all 30 tasks.

Published figures stay in fields of that name, and reached ones come from result lines only.
"""

import dataclasses
import functools
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from evo_clrs import program as program_text
from evo_clrs import programs
from evo_clrs.comparison import protocol
from evo_clrs.comparison.pairing import BASELINES, Program, Trainings, packaged, percent
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.clrs import counting
from evo_clrs.problems.clrs.counting import Counted
from evo_clrs.problems.clrs.published import TABLE3, Score
from evo_clrs.records import Graph, Size
from evo_clrs.results import Result
from evo_clrs.slots import SLOTS
from evo_clrs.store import files

_SEEDS = (0, 1, 2)  # what a command for a training that is missing proposes


@dataclasses.dataclass(frozen=True)
class Reached:
    """Test scores of trainings, in percent.

    Attributes:
      mean: their mean.
      spread: their standard deviation; None for one.
      seeds: their training seeds.
      full_protocol: whether all were trained under the published protocol.
    """

    mean: float
    spread: float | None
    seeds: tuple[int, ...]
    full_protocol: bool


@dataclasses.dataclass(frozen=True)
class Entry:
    """A program on a task.

    Attributes:
      task: the task.
      program: name of the program; empty for the best that the paper found without naming it.
      slot: the slot it fills.
      published: the score in EvoPrompting's Table 3; None for a program that is not in it.
      published_ibarz: for Triplet-GMPNN, the score in Ibarz et al. 2022.
      published_parameters: for Triplet-GMPNN, the parameters in Table 3.
      reached: what was reached; None where it was not trained.
      parameters, live_parameters, inert: as counted by the method, at the width of the published
        protocol; for a program without a known text, as its result lines tell at theirs. None where
        neither is known.
    """

    task: str
    program: str
    slot: str
    published: Score | None
    published_ibarz: Score | None
    published_parameters: int | None
    reached: Reached | None
    parameters: int | None
    live_parameters: int | None
    inert: bool | None


@dataclasses.dataclass(frozen=True)
class Table:
    """All entries, by task.

    Attributes:
      entries: the entries.
      reduced: what makes the protocol of results a reduced one, in words; empty for none.
      commands: what would train everything that is missing, one command for each program.
      notes: what a reader must know of the result lines.
    """

    entries: tuple[Entry, ...]
    reduced: str
    commands: tuple[str, ...]
    notes: tuple[str, ...]


def table(
    trainings: Trainings,
    kept: Path | None = None,
    tasks: Sequence[str] = tuple(TABLE3),
    told: Callable[[str], None] = lambda about: None,
) -> Table:
    """Returns what was reached beside what is published.

    Triplet-GMPNN and the paper's named winners are always there, every other program on the tasks
    on which it was trained.

    Args:
      trainings: what was trained.
      kept: a JSON file of parameters counted before, which grows; None for none.
      tasks: names of tasks.
      told: called with what is being counted.
    """
    entries: list[Entry] = []
    used: list[Result] = []
    with Jail() as jail:
        counts = _Counts(kept, told, jail)
        for task in tasks:
            for program in _shown(trainings, task):
                results = list(trainings.of(program, task).values())
                counted = counts.of(program, task, results) if program.name else None
                entries.append(_entry(program, task, results, counted))
                used += results
    return Table(
        entries=tuple(entries),
        reduced=protocol.reduction(used),
        commands=protocol.commands(_missing(entries)),
        notes=trainings.notes,
    )


def _shown(trainings: Trainings, task: str) -> list[Program]:
    """Returns what is shown of a task; a winner that the authors do not name has no name here."""
    found = [program for program in trainings.programs if trainings.of(program, task)]
    gmpnn = packaged("processor", BASELINES["processor"])  # trains where its function is inert
    ours = [program for program in found if _is_triplet_gmpnn(program)] or [gmpnn]
    name = TABLE3[task].winner
    winner = packaged("triplet", name) if name else Program("", "triplet", "")
    rest = [p for p in found if p not in ours and not _is(p, winner)]
    return [*ours, next((p for p in found if _is(p, winner)), winner), *rest]


def _is_triplet_gmpnn(program: Program) -> bool:
    """Whether it is the packaged one: by its text, for a name is easily taken."""
    return any(_is(program, packaged(slot, name)) for slot, name in BASELINES.items())


def _is(program: Program, other: Program) -> bool:
    return (program.identity, program.slot) == (other.identity, other.slot)


def _entry(
    program: Program, task: str, results: Sequence[Result], counted: Counted | None
) -> Entry:
    row = TABLE3[task]
    gmpnn = _is_triplet_gmpnn(program)
    best = not program.name or row.winner and _is(program, packaged("triplet", row.winner))
    return Entry(
        task=task,
        program=program.name,
        slot=program.slot,
        published=row.rerun if gmpnn else row.best if best else None,
        published_ibarz=row.ibarz if gmpnn else None,
        published_parameters=row.parameters if gmpnn else None,
        reached=_reached(results),
        parameters=counted.parameters if counted else None,
        live_parameters=counted.live if counted else None,
        inert=counted.inert if counted else None,
    )


def _reached(results: Sequence[Result]) -> Reached | None:
    if not results:
        return None
    scores = [percent(result) for result in results]
    return Reached(
        mean=statistics.fmean(scores),
        spread=statistics.stdev(scores) if len(scores) > 1 else None,
        seeds=tuple(result.seed for result in results),
        full_protocol=all(result.full_protocol for result in results),
    )


def _missing(entries: Sequence[Entry]) -> list[protocol.Missing]:
    """Returns the trainings that were not done; what is inert is never trained."""
    return [
        protocol.Missing(entry.program, entry.task, _SEEDS)
        for entry in entries
        if entry.program and entry.reached is None and not entry.inert
    ]


class _Counts:
    """Parameters of programs on tasks, counted when they are asked for, each once."""

    def __init__(self, kept: Path | None, told: Callable[[str], None], jail: Jail):
        self._kept, self._told, self._jail = kept, told, jail
        self._known = _read(kept)
        self._graphs: dict[tuple[Program, Size], Graph] = {}

    def of(self, program: Program, task: str, results: Sequence[Result]) -> Counted | None:
        """Returns the counts of a packaged program, or else what its results tell, if anything."""
        source = _sources(program.slot).get(program.identity)
        if source is None:
            told = (Counted(r.parameters, r.live_parameters, r.inert) for r in results)
            return next(told, None)
        key = f"{program.slot}:{program.identity}:{task}:jax {jax.__version__}"
        if key not in self._known:
            self._told(f"counting parameters of {program.name} on {task}")
            size = counting.size_in(task)
            if (program, size) not in self._graphs:
                graph = self._jail.trace(SLOTS[program.slot], source, (size,))
                self._graphs[program, size] = graph
            counted = counting.count(program.slot, self._graphs[program, size], task)
            self._known[key] = dataclasses.asdict(counted)
            if self._kept is not None:
                files.write_atomically(self._kept, json.dumps(self._known, indent=1) + "\n")
        return Counted(**self._known[key])


@functools.cache
def _sources(slot: str) -> Mapping[str, str]:
    """Returns the source text of each packaged program, by identity."""
    return {program_text.identity(source): source for source in programs.load(slot).values()}


def _read(kept: Path | None) -> dict[str, Mapping[str, Any]]:
    """Returns what was kept; nothing where the file is damaged, for all can be counted again."""
    try:
        found = json.loads(kept.read_text()) if kept is not None and kept.exists() else {}
        for values in found.values():
            Counted(**values)
    except (ValueError, TypeError, AttributeError):
        return {}
    return found
