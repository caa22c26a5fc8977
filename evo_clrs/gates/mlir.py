"""Reads exported graphs: the one place that touches the MLIR bindings.

`read` turns a serialised `jax.export` artefact, or the text of a module, into a `Program`: plain
data flow for one platform, with every call inlined. The other files of the gate work on that and
know no MLIR.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from typing import Any

from jax import export
from jax._src.interpreters import mlir as jax_mlir
from jaxlib.mlir import ir, passmanager
from jaxlib.mlir.dialects import stablehlo

from evo_clrs.errors import Rejected
from evo_clrs.gates.dataflow import CUSTOM_CALL, Operation, Program, Region, Type, Value
from evo_clrs.gates.inline import Tally, inline
from evo_clrs.records import Graph, seeds_at

# Run on every module before it is read. jaxlib 0.10 has no inliner for `func.call`, so `inline.py`
# inlines as well; the order is that of the design.
PASSES = ("inline", "canonicalize", "cse", "symbol-dce")

PLATFORM = "cpu"  # the platform that gates look at

# Characters; longer ones (tables of constants) are kept as a digest. Those that tell what an
# operation costs are shorter: arrays have few dimensions (`artefacts.verify`).
_LONG_ATTRIBUTE = 2048


@dataclasses.dataclass(frozen=True, eq=False)
class GraphPrograms:
    """A graph, read. Reading takes most of the gate's time, so it is done once.

    Attributes:
      graph: what was read.
      init: its initialiser at the first size; None where every parameter has a description.
      forward: its apply at each size.
      backward: the VJP of apply at each size. It takes the flat arguments and then the cotangents
        of the outputs, and returns the cotangents of the arguments.
    """

    graph: Graph
    init: Program | None
    forward: tuple[Program, ...]
    backward: tuple[Program, ...]

    @property
    def all(self) -> tuple[Program, ...]:
        """All that is ever run."""
        return (*([self.init] if self.init else []), *self.forward, *self.backward)

    def for_seeds(self, seeds: int | None) -> "GraphPrograms":
        """Returns what is run for so many seeds together, or for one alone if None."""
        entries = zip(self.graph.sizes, self.forward, self.backward, strict=True)
        kept = [entry for entry in entries if seeds_at(entry[0].size) == seeds]
        return GraphPrograms(
            graph=dataclasses.replace(self.graph, sizes=tuple(sized for sized, _, _ in kept)),
            init=self.init,
            forward=tuple(forward for _, forward, _ in kept),
            backward=tuple(backward for _, _, backward in kept),
        )


def read(module: bytes | str) -> Program:
    """Returns the data flow of a module.

    Args:
      module: a serialised `jax.export` artefact (bytes), or StableHLO text with a `main`.

    Raises:
      Rejected: at stage `over_budget` when inlining makes too many operations, at stage `trace`
        when a shape is not static.
    """
    if isinstance(module, str):
        return _read(module)
    return _read_export(export.deserialize(bytearray(module)))


def read_graph(graph: Graph) -> GraphPrograms:
    """Returns the data flow of all of a graph that is ever run.

    Raises:
      Rejected: as `read`, and at stage `trace` when the bytes are no exports.
    """
    try:
        tally = Tally()
        applied = [export.deserialize(bytearray(sized.apply)) for sized in graph.sizes]
        coded = graph.sizes[0].init
        programs = GraphPrograms(
            graph=graph,
            init=_read_export(export.deserialize(bytearray(coded)), tally) if coded else None,
            forward=tuple(_read_export(exported, tally) for exported in applied),
            backward=tuple(_read_export(exported.vjp(), tally) for exported in applied),
        )
    except Rejected:
        raise
    except Exception as error:  # the bytes come from where the program ran: they may be anything
        kind = type(error).__name__
        raise Rejected("trace", f"the export cannot be read ({kind})") from error
    _check_convention(programs)
    return programs


def _check_convention(programs: GraphPrograms) -> None:
    """Raises Rejected where numbers of arguments and results are not those of `SizedGraph`."""
    parameters = len(programs.graph.parameters)
    coded = sum(parameter.initialiser is None for parameter in programs.graph.parameters)
    found, expected = [], [(1, coded)] if coded else []
    if programs.init:
        found.append((programs.init.arguments, len(programs.init.body.results)))
    sizes = zip(programs.graph.sizes, programs.forward, programs.backward, strict=True)
    for sized, forward, backward in sizes:
        outputs = sum(shape is not None for shape in sized.outputs)
        inputs = max(forward.arguments, parameters + 1)
        found.append((forward.arguments, len(forward.body.results)))
        expected.append((inputs, outputs))
        found.append((backward.arguments, len(backward.body.results)))
        expected.append((inputs + outputs, inputs))
    if found != expected:
        raise Rejected("trace", f"the export has arguments and results {found}, not {expected}")


def _read_export(exported: export.Exported, tally: Tally | None = None) -> Program:
    platforms = exported.platforms
    first = platforms.index(PLATFORM) if PLATFORM in platforms else 0
    return _read(
        exported.mlir_module_serialized,
        platforms=(first, *(i for i in range(len(platforms)) if i != first)),
        kept=exported.module_kept_var_idx,
        arguments=len(exported.in_avals),
        tally=tally,
    )


def _read(
    module: bytes | str,
    platforms: tuple[int, ...] = (0,),
    kept: tuple[int, ...] | None = None,
    arguments: int | None = None,
    tally: Tally | None = None,
) -> Program:
    context = jax_mlir.make_ir_context()
    with context, ir.Location.unknown():
        if isinstance(module, str):
            parsed = ir.Module.parse(module)
        else:
            parsed = stablehlo.deserialize_portable_artifact(context, module)
        mentions = frozenset(_mentions(parsed.operation))
        passes = f"builtin.module({','.join(PASSES)})"
        passmanager.PassManager.parse(passes).run(parsed.operation)
        functions: dict[str, Region] = {}
        reader = _Reader()
        constants: list[bool] = []
        for function in parsed.body.operations:
            if function.operation.name == "func.func":
                name = ir.StringAttr(function.attributes["sym_name"]).value
                functions[name] = reader.region(function.regions[0])
                if name == "main":
                    constants = _constant_arguments(function, len(functions[name].arguments))
    main = functions["main"]
    index = [value for value, constant in zip(main.arguments, constants, strict=True) if constant]
    inputs = tuple(value for value in main.arguments if value not in index)
    positions = tuple(range(len(inputs))) if kept is None else tuple(kept)
    count = len(inputs) if arguments is None else arguments
    programs: list[Program] = []
    for platform in platforms:
        found = inline(functions, main, dict.fromkeys(index, platform), tally)
        body = Region(inputs, found.body.operations, found.body.results)
        programs.append(Program(body, positions, count, mentions))
        if not found.differs:
            break
    return dataclasses.replace(programs[0], elsewhere=tuple(programs[1:]))


def _mentions(operation: Any) -> Iterator[str]:
    """Yields what an operation and those within it are called."""
    for region in operation.regions:
        for block in region.blocks:
            for view in block.operations:
                inner = view.operation
                if inner.name == "stablehlo.custom_call":
                    target = ir.StringAttr(inner.attributes["call_target_name"]).value
                    yield CUSTOM_CALL + target
                else:
                    yield inner.name
                yield from _mentions(inner)


def _constant_arguments(function: Any, count: int) -> list[bool]:
    """Returns for each argument whether it is the index of the platform."""
    if "arg_attrs" not in function.attributes:
        return [False] * count
    return [
        "jax.global_constant" in str(attributes) for attributes in function.attributes["arg_attrs"]
    ]


def _parse_type(text: str) -> Type:
    tensor = re.fullmatch(r"tensor<((?:[^x<>]+x)*?)([a-z][^x]*|[a-z].*<.*>)>", text)
    if tensor is None:
        return Type((), text)
    dimensions = tensor.group(1).split("x")[:-1]
    if "?" in dimensions:
        raise Rejected("trace", f"an array has no static shape: {text}")
    return Type(tuple(map(int, dimensions)), tensor.group(2))


class _Reader:
    """Reads the regions of a module; calls stay calls."""

    def __init__(self) -> None:
        self._values: dict[Any, Value] = {}
        # Printing is what takes time, and many operations may share one large constant.
        self._types: dict[Any, Type] = {}
        self._texts: dict[Any, str] = {}

    def region(self, region: Any) -> Region:
        if len(region.blocks) != 1:
            raise Rejected("trace", "a region has more than one block")
        block = region.blocks[0]
        arguments = tuple(self._new(argument) for argument in block.arguments)
        *operations, last = block.operations
        return Region(
            arguments,
            tuple(self._operation(operation.operation) for operation in operations),
            tuple(self._values[operand] for operand in last.operation.operands),
        )

    def _operation(self, operation: Any) -> Operation:
        operands = tuple(self._values[operand] for operand in operation.operands)
        regions = tuple(self.region(region) for region in operation.regions)
        results = tuple(self._new(result) for result in operation.results)
        return Operation(operation.name, self._attributes(operation), operands, results, regions)

    def _new(self, value: Any) -> Value:
        type_ = value.type
        if type_ not in self._types:
            self._types[type_] = _parse_type(str(type_))
        self._values[value] = Value(self._types[type_])
        return self._values[value]

    def _attributes(self, operation: Any) -> tuple[tuple[str, str], ...]:
        """Returns the attributes as text; both ways of iterating them are understood."""
        attributes = operation.attributes
        names = [item if isinstance(item, str) else item.name for item in attributes]
        return tuple(sorted((name, self._text(attributes[name])) for name in names))

    def _text(self, attribute: Any) -> str:
        if attribute not in self._texts:
            self._texts[attribute] = _attribute_text(attribute)
        return self._texts[attribute]


def _attribute_text(attribute: Any) -> str:
    text = str(attribute)
    if len(text) <= _LONG_ATTRIBUTE:
        return text
    return "blake2b:" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
