"""The graph gate: what may go on to the trainer, told from the graph alone."""

import dataclasses
from collections.abc import Sequence

from evo_clrs.errors import Rejected
from evo_clrs.gates import mlir, operations
from evo_clrs.gates.cost import GraphCost, ProgramCost, cost_of, program_cost
from evo_clrs.gates.dataflow import CUSTOM_CALL
from evo_clrs.gates.mlir import GraphPrograms
from evo_clrs.records import Graph, seeds_at

_GIB = 1024.0**3


@dataclasses.dataclass(frozen=True)
class GraphLimits:
    """What a graph may cost, see `cost.GraphCost`.

    For S seeds together it may take S times the FLOPs and bytes, but no more memory.

    Attributes:
      flops: FLOPs of one forward pass of the slot, of its VJP, or of its initialisation, summed
        over the sizes.
      peak_bytes: memory of any of them at any size.
      bytes: bytes read and written, counted as FLOPs are.
      steps: operations done, those of loops as often as they run, counted likewise; each takes a
        microsecond or more, however little it does.
      operations: operations of forward passes and VJPs, summed over the sizes; compile time
        grows with it.
      custom_calls: names of the library calls that are allowed. Ordinary programs need none, top_k,
        sort, erf, cumsum and random numbers included; linear algebra does.
    """

    flops: float = 1e12
    peak_bytes: float = 4 * _GIB
    bytes: float = 1e12
    steps: float = 1e6
    operations: int = 50_000
    custom_calls: frozenset[str] = frozenset()


def check(graph: Graph | GraphPrograms, limits: GraphLimits) -> GraphCost:
    """Checks what a graph calls and what it will cost.

    Returns:
      The cost of the graph.

    Raises:
      Rejected: at stage `trace` for an operation or a library call that is not allowed, on
        whatever platform; at stage `over_budget` when the prediction is over a limit, or when a
        loop may run for ever.
    """
    programs = graph if isinstance(graph, GraphPrograms) else mlir.read_graph(graph)
    for program in programs.all:
        for name in sorted(program.mentions):
            _check_name(name, limits)
    kinds = dict.fromkeys(seeds_at(sized.size) for sized in programs.graph.sizes)
    costs = {seeds: _check_kind(programs.for_seeds(seeds), seeds, limits) for seeds in kinds}
    return costs[None]


def _check_kind(programs: GraphPrograms, seeds: int | None, limits: GraphLimits) -> GraphCost:
    """Checks the cost of what is run for so many seeds together, or for one alone; returns it."""
    times = seeds or 1
    limits = dataclasses.replace(limits, flops=times * limits.flops, bytes=times * limits.bytes)
    predicted = cost_of(programs)
    try:
        _check_cost(predicted, limits)
        for program in programs.all:
            for other in program.elsewhere:
                _check_phases((program_cost(other),), limits)
    except Rejected as rejection:
        if seeds is None:
            raise
        raise Rejected(rejection.stage, f"{seeds} seeds together: {rejection.reason}") from None
    return predicted


def _check_name(name: str, limits: GraphLimits) -> None:
    call = name.removeprefix(CUSTOM_CALL)
    if call != name:
        if call not in limits.custom_calls:
            raise Rejected("trace", f"custom call {call} is not allowed")
    elif name not in operations.ALLOWED:
        raise Rejected("trace", f"operation {name} is not allowed")


def _check_cost(predicted: GraphCost, limits: GraphLimits) -> None:
    _check_phases(predicted.phases, limits)
    if predicted.operations > limits.operations:
        raise Rejected(
            "over_budget", f"{predicted.operations} operations, limit {limits.operations}"
        )


def _check_phases(phases: Sequence[ProgramCost], limits: GraphLimits) -> None:
    if any(phase.unbounded for phase in phases):
        raise Rejected("over_budget", "the number of steps of a loop is not known in advance")
    peak = max(phase.peak_bytes for phase in phases)
    if peak > limits.peak_bytes:
        needed, allowed = peak / _GIB, limits.peak_bytes / _GIB
        raise Rejected(
            "over_budget", f"predicted {needed:.3g} GiB of memory, limit {allowed:.3g} GiB"
        )
    for what, most, limit in (
        ("FLOPs", max(phase.flops for phase in phases), limits.flops),
        ("bytes moved", max(phase.bytes for phase in phases), limits.bytes),
        ("steps of loops", max(phase.steps for phase in phases), limits.steps),
    ):
        if most > limit:
            raise Rejected("over_budget", f"predicted {most:.2g} {what}, limit {limit:.2g}")
