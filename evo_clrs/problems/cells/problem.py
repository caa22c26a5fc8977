"""A design space with a table of scores as a problem: evaluating a design is looking it up."""

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evo_clrs import spaces
from evo_clrs.errors import Rejected, UserError
from evo_clrs.problems.cells.seeds import find_designs
from evo_clrs.problems.cells.table import Row, Table, best, refuse_twin
from evo_clrs.records import Design, Evaluation, Facts, Parent, Size, Work
from evo_clrs.slots import Slot

FITNESSES = ("accuracy", "size_times_error")

_SPLITS = ("validation", "selection", "test")


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """What is searched on a table, and within which bounds.

    Attributes:
      table: file or folder of the table; third_party/DATA.md says where it comes from.
      seeds: names of well-known designs or files of programs to start from; none for no seeds,
        empty for the usual ones.
      max_params: parameters a network may have, in millions; 0 for no bound.
      max_flops: multiply-adds a network may take for one image, in millions; 0 for no bound.
      fitness: what is best: accuracy (on validation data), or size_times_error (small networks
        with few errors, as EvoPrompting).

    Raises:
      UserError: an option is out of range.
    """

    table: str = ""
    seeds: tuple[str, ...] = ()
    max_params: float = 0.0
    max_flops: float = 0.0
    fitness: str = "accuracy"

    def __post_init__(self) -> None:
        for name in ("max_params", "max_flops"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise UserError(f"--{name} must be 0 (no bound) or more, got {value}")
        if self.fitness not in FITNESSES:
            raise UserError(
                f"--fitness must be one of {', '.join(FITNESSES)}, got {self.fitness!r}"
            )


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What tells one tabular problem from another.

    Attributes:
      name: its name in the registry.
      slot: what programs define; a slot with a design space.
      designs: well-known designs by name, as arch strings; the usual seeds.
      read: reads what `--table` names, about a data set; without one, about what the content
        tells.
      facts: parameters, live parameters and multiply-adds of a design with a table row, on a data
        set.
    """

    name: str
    slot: Slot
    designs: Mapping[str, str]
    read: Callable[[str, str], Table]
    facts: Callable[[Design, Row, str], "Counts"]


# Parameters, live parameters and multiply-adds of a network.
Counts = tuple[int, int, float]


class TableProblem:
    """A design space with known scores; see `problems.base.Problem` for the contract.

    Attributes:
      remark: what a reader of its scores must know, in one sentence.
      table: the table.
    """

    instant = True
    sizes: tuple[Size, ...] = ()
    training_seeds = (0,)  # a table's accuracies are means over its own training seeds

    def __init__(
        self,
        benchmark: Benchmark,
        options: TableOptions,
        data: str,
        record_test: Callable[[str], None] | None = None,
        table: Table | None = None,
    ):
        """Reads the table.

        Args:
          benchmark: what the table is of.
          options: what is searched.
          data: the data set the table is about.
          record_test: called with the arch string before each reading of a test accuracy. Only a
            final comparison has one: without it, as in a search, asking for one is an error.
          table: the table, if it was read before.

        Raises:
          UserError: the table is missing or damaged.
        """
        self._benchmark = benchmark
        self._options = options
        self._record_test = record_test
        self.name = benchmark.name
        self.slot: Slot = benchmark.slot
        self.title = f"{benchmark.name}-{data}"
        self.options: Mapping[str, object] = vars(options)
        self.table = benchmark.read(options.table, data) if table is None else table
        own = "Selection scores are the table's validation scores: it has no other but test."
        self.remark = self.table.remark or own
        self._data = data
        self._counts: dict[str, Counts] = {}
        self._examples: dict[tuple[str, int], Sequence[Parent]] = {}

    def open_test(self, record_test: Callable[[str], None]) -> "TableProblem":
        """Returns this problem with its test accuracies open, for a final comparison.

        Args:
          record_test: called with the arch string before each reading of a test accuracy.
        """
        return TableProblem(self._benchmark, self._options, self._data, record_test, self.table)

    @functools.cached_property
    def identity(self) -> Mapping[str, str | int | float]:
        """Options that shape results, with the table and the seeds by their content."""
        shaping = {k: v for k, v in self.options.items() if isinstance(v, str | int | float)}
        seeds = [spaces.identity(self._space, self._read(n, s)) for n, s in self.seeds().items()]
        return shaping | {"table": self.table.checksum, "seeds": ",".join(seeds)}

    @functools.cached_property
    def score_key(self) -> str:
        """All that shapes a score besides the design."""
        shaping = {k: v for k, v in self.identity.items() if k != "seeds"}
        return json.dumps({"problem": self.name, **shaping}, sort_keys=True)

    def seeds(self) -> Mapping[str, str]:
        """Returns the designs that the options name, or else the usual ones, as programs."""
        return find_designs(self._space, self._options.seeds, self._benchmark.designs)

    def program(self, arch: str) -> str:
        """Returns the program of an arch string.

        Raises:
          ValueError: the string is damaged or belongs to another space.
        """
        return self._space.write(self._space.from_arch(arch))

    def arch(self, source: str) -> str:
        """Returns the arch string of a program.

        Raises:
          ValueError: it is not a design of this space.
        """
        return self._space.arch(self._space.read(source))

    def examine(self, work: Work) -> Facts:
        """Returns what is known of a design before looking it up, see `Problem.examine`.

        Raises:
          Rejected: `over_budget`, with how much it is over the bound, or `failed`, if the design is
            not in the table.
        """
        assert isinstance(work, Design)
        parameters, live, flops = self._benchmark.facts(work, self._row(work.arch), self._data)
        _check_bound("parameters", parameters, self._options.max_params)
        _check_bound("FLOPs", flops, self._options.max_flops)
        return Facts(parameters, live, flops, 0.0, 0.0, 0, work.arch)  # nothing is run

    def evaluate(self, work: Work, split: str, seeds: Sequence[int]) -> Evaluation:
        """Looks a design up, see `Problem.evaluate`.

        Validation and selection are the table's validation accuracy: it is a mean over training
        seeds already, and there is no other that is not test.

        Raises:
          Rejected: at stage `failed`, if the design is not in the table.
          UserError: the test split is asked for inside a search, or there is no such split.
        """
        assert isinstance(work, Design)
        row = self._row(work.arch)
        accuracy = row.validation / 100
        metrics = {"val_accuracy": accuracy, "val_error": 1.0 - accuracy}
        if split != "validation":
            metrics["accuracy"] = self._accuracy(work.arch, row, split)
        if row.latency is not None:
            metrics["latency"] = row.latency
        if row.train_seconds is not None:
            metrics["train_seconds"] = row.train_seconds
        return Evaluation("scored", "scored", metrics=metrics, seeds=tuple(seeds))

    def metrics(self, evaluation: Evaluation, facts: Facts) -> Mapping[str, float]:
        """Adds sizes and fitness to what was looked up, see `Problem.metrics`."""
        measured = evaluation.metrics
        accuracy = measured.get("accuracy", measured["val_accuracy"])
        if self._options.fitness == "accuracy":
            fitness = accuracy
        else:
            fitness = -facts.parameters * (1.0 - accuracy)
        return {
            **measured,
            "num_params": facts.parameters,
            "live_params": facts.live_parameters,
            "flops": facts.flops,
            "fitness": fitness,
        }

    def test_accuracy(self, arch: str) -> float:
        """Returns a design's test accuracy, 0 to 1, and records the reading.

        Raises:
          Rejected: at stage `failed`, if the design is not in the table.
          UserError: test accuracies are closed, as in a search; see `open_test`.
        """
        return self._accuracy(arch, self._row(arch), "test")

    def examples(self, path: str, count: int) -> Sequence[Parent]:
        """Returns the best designs of another table of this space, by validation accuracy.

        Args:
          path: its file or folder; `:DATA` behind an official one says which data set is meant.
          count: how many.

        Returns:
          Designs as programs with their metrics, best first.

        Raises:
          UserError: the table is missing, damaged, of another space, or tells the scores that are
            searched for.
        """
        if (path, count) not in self._examples:  # many trials ask for the same ones
            self._examples[path, count] = self._read_examples(path, count)
        return self._examples[path, count]

    def _read_examples(self, path: str, count: int) -> Sequence[Parent]:
        name, separator, data = path.rpartition(":")
        if not separator or Path(path).exists():
            name, data = path, ""
        source = self._benchmark.read(name, data)
        refuse_twin(source, self.table)
        about = source.data or self._data
        return [self._example(arch, row, about) for arch, row in best(source, count)]

    def _example(self, arch: str, row: Row, data: str) -> Parent:
        choices = self._space.from_arch(arch)
        design = Design(self.slot.name, arch, choices)
        parameters, _, _ = self._benchmark.facts(design, row, data)
        metrics = {"num_params": parameters, "val_accuracy": row.validation / 100}
        return Parent(spaces.identity(self._space, choices), self._space.write(choices), metrics)

    @property
    def _space(self) -> spaces.Space:
        assert self.slot.space is not None
        return self.slot.space

    def _read(self, name: str, source: str) -> spaces.Choices:
        try:
            return self._space.read(source)
        except ValueError as error:
            raise UserError(f"seed {name}: {error}") from None

    def _row(self, arch: str) -> Row:
        row = self.table.row(arch)
        if row is None:
            held = len(self.table.archs)
            raise Rejected("failed", f"{arch} is not in the table, which has {held:,} designs")
        return row

    def _accuracy(self, arch: str, row: Row, split: str) -> float:
        """Returns the accuracy on a split, 0 to 1."""
        if split not in _SPLITS:
            raise UserError(f"unknown split {split!r}; expected one of: {', '.join(_SPLITS)}")
        if split != "test":
            return row.validation / 100
        if self._record_test is None:
            raise UserError("test accuracies are for the final comparison only: use selection")
        self._record_test(arch)
        return row.test / 100


def _check_bound(what: str, value: float, millions: float) -> None:
    """Raises Rejected where a value is over a bound; 0 is no bound."""
    over = value / 1e6 - millions
    if millions and over > 0:
        raise Rejected(
            "over_budget",
            f"{value / 1e6:.4g} M {what}, over the bound of {millions:g} M by {over:.4g} M",
        )
