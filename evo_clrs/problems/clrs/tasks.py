"""The 30 tasks of CLRS-30 and the protocol that says which data they are trained and scored on.

Source: Velickovic et al., "The CLRS Algorithmic Reasoning Benchmark", 2022; Ibarz et al., "A
Generalist Neural Algorithmic Learner", 2022. Samples, specifications and the released splits are
those of the `clrs` library.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, Literal, get_args

from evo_clrs.clrs_library import clrs
from evo_clrs.errors import UserError
from evo_clrs.randomness import seed_for

# train: data of the steps. validation: search scores and the choice of a checkpoint. selection:
# picks a winner among programs. test: the final comparison only.
Split = Literal["train", "validation", "selection", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

TASKS: tuple[str, ...] = tuple(sorted(clrs.CLRS_30_ALGS_SETTINGS))

_STRING_MATCHERS = ("kmp_matcher", "naive_string_matcher")
# Graphs of these tasks have fewer edges: their trajectories are very long otherwise.
_SPARSE = ("articulation_points", "bridges", "mst_kruskal")
# Tasks whose hint `pred_h` is the same at every step.
_CONSTANT_PREDECESSOR = (
    "activity_selector",
    "binary_search",
    "find_maximum_subarray_kadane",
    "jarvis_march",
    "kmp_matcher",
    "lcs_length",
    "matrix_chain_order",
    "minimum",
    "naive_string_matcher",
    "optimal_bst",
    "task_scheduling",
)


def _expect(field: str, expected: str, got: object, holds: bool) -> None:
    if not holds:
        raise UserError(f"{field}: expected {expected}, got {got!r}")


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Which data a task is trained and scored on; the defaults are the published protocol.

    Training, validation and selection data follow the same options and differ in seed and length.
    Test data is that of the released test split: the options that name other splits, and
    `edge_probabilities`, `max_needle` and `random_positions`, do not touch it.

    Attributes:
      train_lengths: lengths cycled in training.
      validation_length: length of validation and selection data.
      test_length: length of test data, also for string matchers.
      string_length: for string matchers, length of needle and haystack together in training,
        validation and selection, instead of the lengths above.
      max_needle: for string matchers, the needle has a random length from 1 to this; 0 for the
        library's default, a fifth of the total.
      edge_probabilities: for graphs, one of these is drawn for each sample.
      sparse_factor: what they are multiplied by for articulation_points, bridges, mst_kruskal.
      random_positions: whether the input `pos` is sorted uniform instead of evenly spaced.
      predecessor_as_input: whether a hint `pred_h` that never changes becomes an input.
      permutations: whether sorting outputs are permutations (pointer and first node) instead of
        plain pointers.
      train_count: training samples at each length.
      validation_count: validation samples, before `multiply_counts`.
      selection_count: selection samples, before `multiply_counts`.
      test_count: test samples, before `multiply_counts`.
      multiply_counts: whether these three counts are multiplied for tasks with few outputs: by 32
        for Kadane's; by 64 for quickselect, minimum, binary search, both string matchers and
        segments_intersect.
      train_seed: seed of training data.
      validation_seed: seed of validation data.
      selection_seed: seed of selection data.
      test_seed: seed of test data.

    Raises:
      UserError: an option is out of its range; the message names it.
    """

    train_lengths: tuple[int, ...] = (4, 7, 11, 13, 16)
    validation_length: int = 16
    test_length: int = 64
    string_length: int = 20
    max_needle: int = 8
    edge_probabilities: tuple[float, ...] = tuple(0.1 + 0.1 * i for i in range(9))
    sparse_factor: float = 0.5
    random_positions: bool = True
    predecessor_as_input: bool = True
    permutations: bool = True
    train_count: int = 1000
    validation_count: int = 32
    selection_count: int = 32
    test_count: int = 32
    multiply_counts: bool = True
    train_seed: int = 1
    validation_seed: int = 2
    selection_seed: int = 4
    test_seed: int = 3

    def __post_init__(self) -> None:
        _expect(
            "train_lengths", "at least one length", self.train_lengths, bool(self.train_lengths)
        )
        for length in self.train_lengths:
            _expect("train_lengths", "whole numbers above 1", length, _is_whole(length, 2))
        for name in ("validation_length", "test_length", "string_length"):
            length = getattr(self, name)
            _expect(name, "a whole number above 1", length, _is_whole(length, 2))
        for split in SPLITS:
            count, seed = getattr(self, f"{split}_count"), getattr(self, f"{split}_seed")
            _expect(f"{split}_count", "a whole number above 0", count, _is_whole(count, 1))
            valid = _is_whole(seed, 0) and seed < 2**32
            _expect(f"{split}_seed", "a whole number from 0 to 2**32 - 1", seed, valid)
        seeds = (self.train_seed, self.validation_seed, self.selection_seed, self.test_seed)
        _expect("seeds", "another one for each split", seeds, len(set(seeds)) == len(seeds))
        _expect(
            "max_needle",
            "a whole number, 0 or more",
            self.max_needle,
            _is_whole(self.max_needle, 0),
        )
        _expect(
            "string_length",
            f"more than twice max_needle, which is {self.max_needle}",
            self.string_length,
            self.string_length > 2 * self.max_needle,
        )
        probabilities, factor = self.edge_probabilities, self.sparse_factor
        _expect("edge_probabilities", "at least one", probabilities, bool(probabilities))
        for probability in probabilities:
            _expect("edge_probabilities", "numbers from 0 to 1", probability, 0 <= probability <= 1)
        _expect("sparse_factor", "a number above 0, at most 1", factor, 0 < factor <= 1)


CLRS30 = Protocol()


@dataclasses.dataclass(frozen=True)
class Feature:
    """One input, hint or output of a task.

    Attributes:
      name: its name, e.g. `pi_h`.
      stage: `input`, `hint` or `output`.
      location: `node`, `edge` or `graph`.
      type: `scalar`, `categorical`, `mask`, `mask_one`, `pointer` or `permutation_pointer`.
    """

    name: str
    stage: str
    location: str
    type: str


@dataclasses.dataclass(frozen=True)
class Task:
    """A task of CLRS-30 as a protocol poses it.

    Attributes:
      name: its name, one of `TASKS`.
      features: its inputs, hints and outputs after the protocol's changes to them, in the order in
        which the library's samples and models have them.
      multiplier: how many times more samples it is scored on, since it has few outputs.
    """

    name: str
    features: tuple[Feature, ...]
    multiplier: int

    def _of(self, stage: str) -> tuple[Feature, ...]:
        return tuple(feature for feature in self.features if feature.stage == stage)

    @property
    def inputs(self) -> tuple[Feature, ...]:
        """Features known from the start, shapes [S, N], [S, N, N] or [S] and classes."""
        return self._of(clrs.Stage.INPUT)

    @property
    def hints(self) -> tuple[Feature, ...]:
        """Features of every step of the algorithm, with a leading axis of T steps."""
        return self._of(clrs.Stage.HINT)

    @property
    def outputs(self) -> tuple[Feature, ...]:
        """Features to be predicted."""
        return self._of(clrs.Stage.OUTPUT)

    @property
    def spec(self) -> dict[str, tuple[str, str, str]]:
        """The features as the library's models want them: name to stage, location and type."""
        return {f.name: (f.stage, f.location, f.type) for f in self.features}

    @property
    def matches_strings(self) -> bool:
        """Whether this is a string matcher, whose length is needle and haystack together."""
        return self.name in _STRING_MATCHERS

    @property
    def on_graphs(self) -> bool:
        """Whether its samples are random graphs."""
        return any(feature.name == "adj" for feature in self.inputs)

    def nodes(self, length: int) -> int:
        """Returns how many nodes N a sample of this length has."""
        if self.name == "segments_intersect":
            return 4  # The end points of two segments, whatever the length.
        return length + 1 if self.name == "optimal_bst" else length


def task(name: str, protocol: Protocol = CLRS30) -> Task:
    """Returns the task of this name as the protocol poses it.

    Raises:
      UserError: there is no such task; the message names close ones.
    """
    if name not in TASKS:
        close = difflib.get_close_matches(name, TASKS, n=3) or TASKS
        raise UserError(f"unknown task {name!r}; did you mean one of: {', '.join(close)}?")
    spec: Mapping[str, tuple[str, str, str]] = clrs.SPECS[name]
    if moves_predecessor(name, protocol):
        spec, _ = clrs.process_pred_as_input(spec, iter(()))
    spec, _ = clrs.process_permutations(spec, iter(()), protocol.permutations)
    features = tuple(Feature(key, *kind) for key, kind in spec.items())
    return Task(name, features, clrs.CLRS_30_ALGS_SETTINGS[name]["num_samples_multiplier"])


def moves_predecessor(name: str, protocol: Protocol) -> bool:
    """Returns whether the hint `pred_h` of the task becomes the input `pred`."""
    return protocol.predecessor_as_input and name in _CONSTANT_PREDECESSOR


def split_lengths(task: Task, protocol: Protocol, split: Split) -> tuple[int, ...]:
    """Returns the lengths of a split's samples, as the library's samplers understand length."""
    if task.name == "segments_intersect":
        return (task.nodes(0),)  # One size only: cycling lengths would repeat the same data.
    if split == "test":
        return (protocol.test_length,)
    if task.matches_strings:
        return (protocol.string_length,)
    return protocol.train_lengths if split == "train" else (protocol.validation_length,)


def split_count(task: Task, protocol: Protocol, split: Split) -> int:
    """Returns how many samples a split has at each of its lengths."""
    count: int = getattr(protocol, f"{split}_count")
    multiplied = protocol.multiply_counts and split != "train"
    return count * task.multiplier if multiplied else count


def split_seed(protocol: Protocol, split: Split, length: int, part: int = 0) -> int:
    """Returns the seed of a split's samples.

    Part 0 of validation, selection and test data has the seed that the protocol names, so that
    test data equals the released one. Training data, and later parts, have seeds of their own.

    Args:
      protocol: names the seeds.
      split: the split.
      length: length of the samples.
      part: which of the independent parts of the split, from 0; training beyond a first pool of
        samples goes on with part 1.
    """
    seed: int = getattr(protocol, f"{split}_seed")
    if split != "train" and part == 0:
        return seed
    return seed_for(seed, split, length, part) % 2**32


def sampler_options(task: Task, protocol: Protocol, split: Split) -> dict[str, Any]:
    """Returns what a split's sampler is told beyond length, count and seed."""
    if split == "test":
        return {}  # The released test split is drawn with the library's defaults.
    if task.on_graphs:
        factor = protocol.sparse_factor if task.name in _SPARSE else 1.0
        return {"p": tuple(p * factor for p in protocol.edge_probabilities)}
    if task.matches_strings and protocol.max_needle:
        return {"length_needle": -protocol.max_needle}
    return {}
