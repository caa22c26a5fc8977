"""What a graph costs, told from its operations before anything is compiled or run.

Matrix products and convolutions are counted exactly. Memory is that of a compiler which fuses
chains of elementwise operations and reductions into one pass over their inputs, as XLA does: what
is fused is never stored. Loops are multiplied by their number of steps where it is a constant.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence

from evo_clrs.gates import mlir
from evo_clrs.gates.dataflow import BARRIER, Operation, Program, Region, Value, walk
from evo_clrs.gates.liveness import without_dead_code
from evo_clrs.gates.mlir import GraphPrograms
from evo_clrs.records import Graph, Parameter


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# FLOPs that one element of these stands for; XLA counts them apart, as transcendentals.
TRANSCENDENTAL_FLOPS = 10
_TRANSCENDENTAL = _names(
    "atan2 cbrt cosine exponential exponential_minus_one log log_plus_one logistic power rsqrt "
    "sine sqrt tan tanh erf erf_inv"
)

# These only make or move elements, which takes no FLOPs.
_MOVES = _names(
    "broadcast broadcast_in_dim constant iota reshape slice transpose concatenate pad reverse "
    "gather dynamic_slice dynamic_update_slice convert bitcast_convert case if while"
)

# What a compiler works into the operations that read it instead of storing it. Those of the second
# set are so cheap that they are repeated for each reader.
_ELEMENTWISE = _TRANSCENDENTAL | _names(
    "abs add and ceil clamp compare complex convert divide floor imag is_finite maximum minimum "
    "multiply negate not or popcnt real remainder round_nearest_afz round_nearest_even select "
    "shift_left shift_right_arithmetic shift_right_logical sign subtract xor slice transpose "
    "reverse pad bitcast_convert"
)
_FREE = _names("constant iota broadcast broadcast_in_dim reshape")
_FUSING = _ELEMENTWISE | _FREE | {"reduce", "concatenate"}

# Arrays that one pass may read; XLA splits larger ones (MaxOperandsAndOutputsPerFusion, 96).
_MOST_SOURCES = 96


@dataclasses.dataclass(frozen=True)
class ProgramCost:
    """What one run of a program costs.

    Attributes:
      flops: floating-point operations; an element of a transcendental counts ten.
      bytes: bytes read and written, fused values left out.
      peak_bytes: most memory held at one time, arguments and results included.
      operations: number of operations, a measure of compile time.
      steps: number of operations done, those of loops as often as they run.
      unbounded: whether a loop's number of steps is not known; its body is counted once.
    """

    flops: float = 0.0
    bytes: float = 0.0
    peak_bytes: float = 0.0
    operations: int = 0
    steps: float = 0.0
    unbounded: bool = False


@dataclasses.dataclass(frozen=True)
class GraphCost:
    """What a graph costs; all but memory summed over the sizes, those for one seed alone.

    Attributes:
      initial: one initialisation, at the first size.
      forward: one forward pass.
      backward: one run of the VJP. It computes the forward pass again, but for what no gradient
        goes through.
    """

    initial: ProgramCost
    forward: ProgramCost
    backward: ProgramCost

    @property
    def phases(self) -> tuple[ProgramCost, ...]:
        """All that is ever run."""
        return (self.initial, self.forward, self.backward)

    @property
    def flops(self) -> float:
        """FLOPs of one forward pass."""
        return self.forward.flops

    @property
    def bytes(self) -> float:
        """Bytes read and written by one forward pass."""
        return self.forward.bytes

    @property
    def peak_bytes(self) -> float:
        """Largest memory of one forward pass at any size."""
        return self.forward.peak_bytes

    @property
    def training_flops(self) -> float:
        """FLOPs of one forward and backward pass."""
        return self.backward.flops

    @property
    def training_peak_bytes(self) -> float:
        """Largest memory of one forward and backward pass at any size."""
        return self.backward.peak_bytes

    @property
    def operations(self) -> int:
        """Operations of forward passes and VJPs, of which a compiler sees all."""
        return self.forward.operations + self.backward.operations

    @property
    def unbounded(self) -> bool:
        """Whether the number of steps of some loop is not known."""
        return any(phase.unbounded for phase in self.phases)


def cost(graph: Graph | GraphPrograms) -> GraphCost:
    """Returns what a graph costs; raises Rejected as `mlir.read` does."""
    programs = graph if isinstance(graph, GraphPrograms) else mlir.read_graph(graph)
    return cost_of(programs.for_seeds(None))


def cost_of(programs: GraphPrograms) -> GraphCost:
    """Returns the cost of all that is run at all of these sizes."""
    drawn = [p for p in programs.graph.parameters if p.initialiser is not None]
    initial = [_drawing(drawn)] + ([program_cost(programs.init)] if programs.init else [])
    return GraphCost(
        initial=_together(initial),
        forward=_together(map(program_cost, programs.forward)),
        backward=_together(map(program_cost, programs.backward)),
    )


def _drawing(parameters: Sequence[Parameter]) -> ProgramCost:
    """Returns what it costs to draw parameters by their descriptions, with float64 on the way."""
    numbers = float(sum(math.prod(parameter.shape) for parameter in parameters))
    return ProgramCost(TRANSCENDENTAL_FLOPS * numbers, 4 * numbers, 20 * numbers, 0, 1.0)


def _together(costs: Iterable[ProgramCost]) -> ProgramCost:
    """Returns the cost of running programs one after the other."""
    entries = list(costs)
    return ProgramCost(
        flops=sum(entry.flops for entry in entries),
        bytes=sum(entry.bytes for entry in entries),
        peak_bytes=max(entry.peak_bytes for entry in entries),
        operations=sum(entry.operations for entry in entries),
        steps=sum(entry.steps for entry in entries),
        unbounded=any(entry.unbounded for entry in entries),
    )


def program_cost(program: Program) -> ProgramCost:
    """Returns what one run of a program costs, dead code left out."""
    program = without_dead_code(program)
    inside = _Costing(program).region(program.body)
    arguments = sum(value.type.bytes for value in program.body.arguments)
    return dataclasses.replace(inside, peak_bytes=inside.peak_bytes + arguments)


class _Costing:
    """Adds up the cost of one program's regions."""

    def __init__(self, program: Program):
        self._makers = {
            result: operation for operation in walk(program.body) for result in operation.results
        }

    def region(self, region: Region) -> ProgramCost:
        """Returns the cost of a region; its arguments are held by whoever calls it."""
        storage = Storage(region)
        flops = traffic = 0.0
        operations, steps, unbounded = len(region.operations), float(len(region.operations)), False
        peaks = []
        for operation in region.operations:
            inner = self._inner(operation)
            flops += operation_flops(operation) + inner.flops
            traffic += inner.bytes + storage.traffic(operation)
            operations += inner.operations
            steps += inner.steps
            unbounded |= inner.unbounded
            peaks.append(inner.peak_bytes)
        return ProgramCost(flops, traffic, storage.peak(peaks), operations, steps, unbounded)

    def _inner(self, operation: Operation) -> ProgramCost:
        """Returns the cost of an operation's regions where they run as programs of their own."""
        if operation.name == "stablehlo.while":
            once = _together(self.region(region) for region in operation.regions)
            steps = self.steps(operation)
            times = 1 if steps is None else steps
            return dataclasses.replace(
                once,
                flops=times * once.flops,
                bytes=times * once.bytes,
                steps=times * once.steps,
                unbounded=steps is None or once.unbounded,
            )
        if operation.name in ("stablehlo.case", "stablehlo.if"):
            each = [self.region(region) for region in operation.regions]
            return ProgramCost(
                flops=max(entry.flops for entry in each),
                bytes=max(entry.bytes for entry in each),
                peak_bytes=max(entry.peak_bytes for entry in each),
                operations=sum(entry.operations for entry in each),
                steps=max(entry.steps for entry in each),
                unbounded=any(entry.unbounded for entry in each),
            )
        bodies = [inner for region in operation.regions for inner in walk(region)]
        # What is done for every element has no loops; a hidden one would run for each of them.
        loops = any(inner.name == "stablehlo.while" for inner in bodies)
        return ProgramCost(operations=len(bodies), unbounded=loops)

    def steps(self, loop: Operation) -> int | None:
        """Returns how often a loop runs, None if that is not a constant.

        Understood is what `lax.scan` and `lax.fori_loop` become: a counter that starts at a
        constant and goes up by one to a constant.
        """
        condition, body = loop.regions
        test = self._makers.get(condition.results[0])
        if test is None or test.name != "stablehlo.compare":
            return None
        if "LT" not in test.attribute("comparison_direction"):
            return None
        counter, end = test.operands
        if counter not in condition.arguments:
            return None
        position = condition.arguments.index(counter)
        if end in condition.arguments:
            place = condition.arguments.index(end)
            if body.results[place] is not body.arguments[place]:
                return None
            end = loop.operands[place]
        up = self._makers.get(body.results[position])
        if up is None or up.name != "stablehlo.add" or body.arguments[position] not in up.operands:
            return None
        step = [self._number(value) for value in up.operands if value != body.arguments[position]]
        first, last = self._number(loop.operands[position]), self._number(end)
        if step != [1] or first is None or last is None:
            return None
        return max(last - first, 0)

    def _number(self, value: Value) -> int | None:
        maker = self._makers.get(value)
        if maker is None or maker.name != "stablehlo.constant" or value.type.shape:
            return None
        number = re.match(r"dense<(-?\d+)>", maker.attribute("value"))
        return int(number.group(1)) if number else None


class Storage:
    """Which values of a region a compiler stores, what is read and written, and what is held.

    Cheap operations are worked into all that read them, other elementwise ones into their only
    reader if that is elementwise or a reduction; what else is made is stored.
    """

    def __init__(self, region: Region):
        self._region = region
        self._reads = [_reads(operation) for operation in region.operations]
        readers: dict[Value, list[Operation]] = {}
        for operation, reads in zip(region.operations, self._reads, strict=True):
            for value in reads:
                readers.setdefault(value, []).append(operation)
        results = set(region.results)
        self._sources: dict[Value, frozenset[Value]] = {}
        self._stored: set[Value] = set()
        for operation, reads in zip(region.operations, self._reads, strict=True):
            if operation.name == BARRIER:  # what it hands on was stored before it
                pairs = zip(operation.results, operation.operands, strict=True)
                self._sources.update({value: self.sources([given]) for value, given in pairs})
                continue
            sources = self.sources(reads)
            for value in operation.results:
                fused = value not in results and _fused(operation, readers.get(value, []))
                if fused and len(sources) <= _MOST_SOURCES:
                    self._sources[value] = sources
                else:
                    self._stored.add(value)

    def sources(self, values: Iterable[Value]) -> frozenset[Value]:
        """Returns the stored values that these values are made of."""
        found = [self._sources.get(value, frozenset((value,))) for value in values]
        return frozenset().union(*found)

    def traffic(self, operation: Operation) -> float:
        """Returns the bytes an operation reads and writes, 0 if it is worked into its readers."""
        if operation.results[0] not in self._stored or operation.name == "stablehlo.while":
            return 0.0
        reads = self.sources(operation.operands)
        return sum(value.type.bytes for value in (*reads, *operation.results))

    def peak(self, inside: Sequence[float]) -> float:
        """Returns the most bytes held at one time by what the region makes.

        Args:
          inside: for each operation, what its own regions hold while they run.
        """
        last: dict[Value, int] = {}
        for number, operation in enumerate(self._region.operations):
            if operation.results[0] in self._stored:
                for value in self.sources(self._reads[number]):
                    last[value] = number
        for value in self._region.results:
            last[value] = len(self._region.operations)
        leaving: dict[int, float] = {}
        held = most = 0.0
        for number, operation in enumerate(self._region.operations):
            for value in operation.results:
                if value in self._stored:
                    held += value.type.bytes
                    end = last.get(value, number)
                    leaving[end] = leaving.get(end, 0.0) + value.type.bytes
            most = max(most, held + inside[number])
            held -= leaving.pop(number, 0.0)
        return most


def _reads(operation: Operation) -> list[Value]:
    """Returns operands and, after them, what its regions may read of the region around it."""
    inner = [value for region in operation.regions for value in region.results]
    for region in operation.regions:
        for nested in walk(region):
            inner += nested.operands
    return [*operation.operands, *inner]


def _fused(operation: Operation, readers: Sequence[Operation]) -> bool:
    if any(_short(reader) not in _FUSING for reader in readers):
        return False
    kind = _short(operation)
    return kind in _FREE or (kind in _ELEMENTWISE and len(readers) <= 1)


def _short(operation: Operation) -> str:
    return operation.name.partition(".")[2]


def operation_flops(operation: Operation) -> float:
    """Returns the FLOPs of one operation, its loops' and branches' regions left out."""
    kind, size = _short(operation), max(result.type.size for result in operation.results)
    if kind in _MOVES or operation.name == BARRIER:
        return 0.0
    if kind == "dot_general":
        return 2.0 * size * _contracted(operation)
    if kind == "convolution":
        return 2.0 * size * _kernel_elements(operation)
    given = operation.operands[0].type.size if operation.operands else size
    body = sum(_body_flops(region) for region in operation.regions)
    if kind == "reduce":
        return float(given * body)
    if kind == "map":
        return float(size * body)
    if kind in ("reduce_window", "select_and_scatter"):
        return float(size * math.prod(_numbers(operation.attribute("window_dimensions"))) * body)
    if kind == "sort":
        return given * math.log2(max(given, 2)) * body
    if kind == "scatter":
        return float(operation.operands[-1].type.size * body)
    if kind == "fft":
        return 5.0 * size * math.log2(max(size, 2))
    if kind in ("cholesky", "triangular_solve"):
        return float(size * operation.operands[0].type.shape[-1])
    return float(size * (TRANSCENDENTAL_FLOPS if kind in _TRANSCENDENTAL else 1))


def _body_flops(region: Region) -> float:
    """Returns the FLOPs of what is done for each element, at least one for each scalar made."""
    return sum(
        max(operation_flops(inner), sum(result.type.size for result in inner.results))
        for inner in walk(region)
        if inner.results
    )


def _contracted(operation: Operation) -> int:
    """Returns how many products add up to one element of a `dot_general`."""
    text = operation.attribute("dot_dimension_numbers")
    found = re.search(r"lhs_contracting_dimensions = \[([^\]]*)\]", text)
    shape = operation.operands[0].type.shape
    return math.prod(shape[axis] for axis in _numbers(found.group(1) if found else ""))


def _kernel_elements(operation: Operation) -> int:
    """Returns how many products add up to one element of a convolution."""
    kernel = operation.operands[1].type
    text = operation.attribute("dimension_numbers")
    layout = re.search(r"x\[([^\]]*)\]->", text)
    if layout is None:
        raise ValueError(f"expected the dimension numbers of a convolution, got {text!r}")
    axes = [axis.strip() for axis in layout.group(1).split(",")]
    return kernel.size // max(kernel.shape[axes.index("o")], 1)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"-?\d+", text.partition(":")[2] or text)]
