"""What passes between rooms: plain, frozen data.

A `Request` goes from strategy to proposer, `Proposal`s come back, each becomes a `Candidate`,
the jail makes a `Graph` of it, the gates add `Facts`, and its `Evaluation` goes to the store and
back to the strategy. Nothing here knows JAX.
"""

import dataclasses
import operator
from collections.abc import Mapping

# A size is what fixes every dimension of a slot: (("B", 32), ("H", 128), ("K", 8), ("N", 16)).
# With a dimension S, a graph at it is called for S trainings together, see `SizedGraph`.
Size = tuple[tuple[str, int], ...]

_SEEDS = "S"

# Where a program's way can end short of a score, in the order of the way. The names are those of
# `counts` in summary.json, where static and trace are prefixed with `rejected_`.
REJECTION_STAGES = (
    "static",  # the source text: syntax, signature, imports, size
    "duplicate_text",  # the same program was proposed before in this run: its score is reused
    "trace",  # the jail could not trace and export it within its limits
    "inert",  # cannot change a prediction of this task
    "over_budget",  # predicted memory, FLOPs or compile time too large
    "duplicate_graph",  # the same function was scored before: its score is reused
    "failed",  # training broke, ran out of memory or time, or gave non-finite values
)

# All stages at which a way can end.
STAGES = (
    *REJECTION_STAGES,
    "stopped",  # training fell behind at a rung: the score is that of the steps done
    "scored",
)


def make_size(**dimensions: int) -> Size:
    """Returns the `Size` with these dimensions, e.g. `make_size(B=32, N=16, H=128, K=8)`."""
    return tuple(sorted(dimensions.items()))


def for_seeds(size: Size, seeds: int) -> Size:
    """Returns the size at which a slot is called for so many seeds together."""
    return make_size(**{**dict(size), _SEEDS: seeds})


def seeds_at(size: Size) -> int | None:
    """Returns for how many seeds together a slot is called at a size, None for one alone."""
    return dict(size).get(_SEEDS)


@dataclasses.dataclass(frozen=True)
class Parent:
    """A program shown to the proposer, with what is known of it.

    Attributes:
      program: identity of the program.
      source: its source text.
      metrics: what the prompt tells of it, e.g. `{"num_params": 4800, "val_accuracy": 0.865}`.
    """

    program: str
    source: str
    metrics: Mapping[str, float]


# What a request asks for; a proposer that knows no finer difference may treat the first five alike.
OPERATIONS = (
    "vary",  # change and combine the parents freely
    "mutate",  # make the smallest change to the first parent
    "crossover",  # combine the parents
    "improve",  # like vary, from the parent with the best accuracy
    "random",  # draw from the whole space; the parents are examples only
    "principles",  # words instead of programs: what makes the parents good, see strategies.lapt
)


@dataclasses.dataclass(frozen=True)
class Request:
    """What a strategy asks a proposer for.

    Attributes:
      index: position among all requests of the run, from 0.
      round: round of the search, from 0.
      parents: programs to vary and combine, in prompt order.
      targets: metrics that the children should reach.
      temperatures: one sampling temperature for each child wanted.
      instruction: optional words for a language model.
      operation: one of `OPERATIONS`.
      kinds: kinds of edits that stand for the instruction where no language model reads it; empty
        for all. A proposer leaves out those it does not know, and all of them if it knows none.
      allowed: for a slot with a design space, the options allowed at each of its places, in its
        order; empty for all.
    """

    index: int
    round: int
    parents: tuple[Parent, ...]
    targets: Mapping[str, float]
    temperatures: tuple[float, ...]
    instruction: str = ""
    operation: str = "vary"
    kinds: tuple[str, ...] = ()
    allowed: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise ValueError(f"operation: expected one of {OPERATIONS}, got {self.operation!r}")

    @property
    def samples(self) -> int:
        """How many children are asked for."""
        return len(self.temperatures)


@dataclasses.dataclass(frozen=True)
class Proposal:
    """One reply of a proposer.

    Attributes:
      source: source text of the child (may be anything; the static gate looks at it).
      edits: kinds of edits that made it, when the proposer knows.
      prompt_tokens: tokens read for it (0 without a language model).
      completion_tokens: tokens written for it.
      seconds: time spent on it.
      reply: what a language model answered, where the source was read from it; else empty.
      note: what had to be done to read it, e.g. that it was cut off; why there is no program,
        where the source is empty.
    """

    source: str
    edits: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    reply: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Repair:
    """A refused reply that was sent back with its reason, and what came of it.

    Attributes:
      request: index of the request.
      sample: which reply to it, from 0.
      attempt: which time it was sent back, from 0.
      reason: why it was refused, in one line.
      prompt: what was asked.
      proposal: what was answered.
      trace_seconds: what the jail took to find the reason.
    """

    request: int
    sample: int
    attempt: int
    reason: str
    prompt: str
    proposal: Proposal
    trace_seconds: float = 0.0


_LARGEST = 1e6

# Kinds of initialisers, with what their numbers are.
INITIALISERS = {
    "constant": ("value",),
    "normal": ("stddev", "mean"),
    "truncated_normal": ("stddev", "mean", "lower", "upper"),  # bounds in standard deviations
    "uniform": ("low", "high"),
}


@dataclasses.dataclass(frozen=True)
class Initialiser:
    """How the numbers of a parameter are drawn, each by itself.

    Attributes:
      kind: one of `INITIALISERS`.
      numbers: what `INITIALISERS` names, of magnitude 1e6 at most, lower bounds below upper ones.

    Raises:
      ValueError: it is no such thing, whoever wrote it.
    """

    kind: str
    numbers: tuple[float, ...]

    def __post_init__(self) -> None:
        known = isinstance(self.kind, str) and self.kind in INITIALISERS
        if not known or len(self.numbers) != len(INITIALISERS[self.kind]):
            raise ValueError("not an initialiser with its numbers")
        # Whole numbers of other writers may be too large to be floats; a NaN compares false.
        if not all(type(n) in (int, float) and abs(n) <= _LARGEST for n in self.numbers):
            raise ValueError(f"numbers: expected magnitudes up to {_LARGEST:g}")
        if self.kind in ("truncated_normal", "uniform") and not self.numbers[-2] < self.numbers[-1]:
            raise ValueError("bounds: expected the lower one below the upper one")


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter array of a graph.

    Attributes:
      name: Haiku path, e.g. `mpnn/linear/w`; for people only, never part of an identity.
      shape: its shape, the same at every size.
      dtype: its NumPy dtype name.
      initialiser: how it is drawn, the same at every size; None where only code tells.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    initialiser: Initialiser | None = None


@dataclasses.dataclass(frozen=True)
class SizedGraph:
    """A slot's functions at one size, as serialised `jax.export` artefacts (StableHLO).

    Calling convention, all flat:
      init: `(key: uint32[2]) -> (parameter, ...)` in the order of `Graph.parameters`, those with
        an `Initialiser` left out.
      apply: `((parameter, ...), key: uint32[2], (input, ...)) -> (output, ...)` with inputs and
        outputs in the slot's order, absent optional outputs left out; exported with its VJP.
        At a size for S seeds together all of these have a leading axis of S, the key as well, and
        each seed is computed from what is its own, as `jax.vmap` does. Nothing else changes: init
        is for one seed, and `outputs` are shapes for one.

    Attributes:
      size: the dimensions this was traced at.
      init: serialised export of init; empty where it would return nothing.
      apply: serialised export of apply, with one order of VJP.
      outputs: shape of each output of the slot, None where an optional one is absent.
    """

    size: Size
    init: bytes
    apply: bytes
    outputs: tuple[tuple[int, ...] | None, ...]


@dataclasses.dataclass(frozen=True)
class Graph:
    """What is left of a program once traced: the slot alone, once per input size.

    Attributes:
      slot: name of the slot.
      parameters: shapes of its parameters, the same at every size.
      sizes: one entry per size, in the order asked; init of the first one is used.
      properties: static yes/no answers of the program, e.g. `{"inf_bias": False}`.
      trace_seconds: time the jail took.
    """

    slot: str
    parameters: tuple[Parameter, ...]
    sizes: tuple[SizedGraph, ...]
    properties: Mapping[str, bool]
    trace_seconds: float = 0.0

    def at(self, size: Size) -> SizedGraph:
        """Returns the entry of this size; raises KeyError if it was not traced."""
        for entry in self.sizes:
            if entry.size == size:
                return entry
        raise KeyError(f"graph was not traced at {dict(size)}")


@dataclasses.dataclass(frozen=True)
class Design:
    """What is left of a program whose slot has a design space: one option for each place.

    Attributes:
      slot: name of the slot.
      arch: the design as its field writes it, e.g. `|none~0|+|skip_connect~0|none~1|+...`.
      choices: number of the option chosen at each place of the space.
    """

    slot: str
    arch: str
    choices: tuple[int, ...]


# What a problem scores: a traced graph, or a design that was read from the text.
Work = Graph | Design


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of a graph or design before training.

    Attributes:
      parameters: parameters of the whole model with this program in its slot.
      live_parameters: those of them that can change a prediction of the task.
      flops: FLOPs of one forward pass of the slot, summed over the sizes used by one seed alone.
      bytes: bytes read and written by it, summed likewise.
      peak_bytes: predicted largest memory of one forward pass of the slot.
      operations: StableHLO operations of slot and VJP, a measure of compile time.
      fingerprint: equal for equal functions, whatever the text.
    """

    parameters: int
    live_parameters: int
    flops: float
    bytes: float
    peak_bytes: float
    operations: int
    fingerprint: str


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one step of the way took, in seconds and tokens; costs add up to the run's ledger."""

    lm_seconds: float = 0.0
    lm_prompt_tokens: int = 0
    lm_completion_tokens: int = 0
    trace_seconds: float = 0.0
    compile_seconds: float = 0.0
    train_seconds: float = 0.0
    score_seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*map(operator.add, vars(self).values(), vars(other).values()))


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The outcome of scoring one candidate.

    Attributes:
      status: `scored` or `rejected`.
      stage: `scored`, or where it was rejected: one of `REJECTION_STAGES`. A candidate whose
        score was reused has status `scored` and stage `duplicate_text` or `duplicate_graph`, one
        whose training was stopped early status `scored` and stage `stopped`.
      reason: why it was rejected or stopped, in one line; else empty.
      metrics: what was measured, e.g. num_params, val_accuracy, val_error, fitness.
      facts: what the graph gate found; None if it was not reached.
      cost: what it took.
      seeds: training seeds behind the metrics.
      budget: the training budget behind the metrics, e.g. `{"steps": 2000}`; with the steps
        planned where it was stopped, e.g. `{"steps": 500, "planned_steps": 2000}`.
      reused_from: index of the candidate whose score this is, if it was not trained itself.
    """

    status: str
    stage: str
    reason: str = ""
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    facts: Facts | None = None
    cost: Cost = Cost()
    seeds: tuple[int, ...] = ()
    budget: Mapping[str, float] = dataclasses.field(default_factory=dict)
    reused_from: int | None = None

    @property
    def scored(self) -> bool:
        """Whether the candidate has a score, its own or a reused one."""
        return self.status == "scored"

    @property
    def stopped(self) -> bool:
        """Whether the score, its own or a reused one, is of a training that was stopped early."""
        return "planned_steps" in self.budget


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A program with its provenance and, once known, its evaluation.

    Attributes:
      index: position among all candidates of the run, seeds first, from 0.
      program: identity of the program (`program.identity`), empty if it does not parse.
      source: source text as proposed.
      parents: identities of the parents in its prompt; empty for a seed.
      request: index of the request, None for a seed.
      sample: which reply to the request, from 0; for a seed its position.
      proposer: who wrote it, e.g. `grammar`; `seed` for a seed.
      edits: kinds of edits, when the proposer knows.
      name: name of the seed, else empty.
      evaluation: outcome, None while it is under way.
    """

    index: int
    program: str
    source: str
    parents: tuple[str, ...] = ()
    request: int | None = None
    sample: int = 0
    proposer: str = "seed"
    edits: tuple[str, ...] = ()
    name: str = ""
    evaluation: Evaluation | None = None
