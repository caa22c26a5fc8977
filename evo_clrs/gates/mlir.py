"""StableHLO modules as plain data flow: the one place that touches the MLIR bindings.

`read` turns a serialised `jax.export` artefact, or the text of a module, into a `Program`: values,
operations and regions as frozen dataclasses, for one platform, with every call inlined. The other
files of the gate work on that and know no MLIR.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jax import export
from jax._src.interpreters import mlir as jax_mlir
from jaxlib.mlir import ir, passmanager
from jaxlib.mlir.dialects import stablehlo

from evo_clrs.errors import Rejected
from evo_clrs.records import Graph

# Run on every module before it is read. jaxlib 0.10 has no inliner for `func.call`, so calls are
# inlined below as well; the order is that of the design.
PASSES = ("inline", "canonicalize", "cse", "symbol-dce")

PLATFORM = "cpu"  # the platform that gates look at

CUSTOM_CALL = "custom_call "  # before the name of what is called, in `Program.mentions`

# Calls are inlined, so a few lines of nested `jax.jit` could stand for millions of operations.
MAX_OPERATIONS = 200_000
MAX_DEPTH = 40  # calls and regions within each other

_LONG_ATTRIBUTE = 512  # characters; longer ones (tables of constants) are kept as a digest
# These change nothing where they do not change the type.
_IDENTITIES = ("stablehlo.optimization_barrier", "stablehlo.convert", "stablehlo.reshape")

_BITS = {"i1": 8, "pred": 8, "index": 64}


@dataclasses.dataclass(frozen=True)
class Type:
    """Type of a value.

    Attributes:
      shape: its dimensions; `()` for scalars and for what is no tensor.
      dtype: element type in MLIR's words, e.g. `f32`, `i1`, `ui32`.
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of elements."""
        elements = 1
        for dimension in self.shape:
            elements *= dimension
        return elements

    @property
    def bytes(self) -> int:
        """Bytes it takes in memory."""
        digits = re.search(r"\d+", self.dtype)
        bits = _BITS.get(self.dtype) or (int(digits.group()) if digits else 0)
        return self.size * max(bits // 8, 1) * (2 if "complex" in self.dtype else 1)

    def __str__(self) -> str:
        return "x".join([*map(str, self.shape), self.dtype])


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Value:
    """One array in a program; two values are the same only if they are the same object."""

    type: Type


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Operation:
    """One operation.

    Attributes:
      name: e.g. `stablehlo.add`.
      attributes: (name, text) pairs in order of name, without locations.
      operands: values it reads.
      results: values it makes.
      regions: nested regions, e.g. condition and body of a loop.
    """

    name: str
    attributes: tuple[tuple[str, str], ...]
    operands: tuple[Value, ...]
    results: tuple[Value, ...]
    regions: tuple["Region", ...] = ()

    def attribute(self, name: str) -> str:
        """Returns the text of an attribute, empty if it has none of that name."""
        return dict(self.attributes).get(name, "")


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Region:
    """Operations in order, between the arguments they get and the values they return.

    A region may read values of the regions around it.
    """

    arguments: tuple[Value, ...]
    operations: tuple[Operation, ...]
    results: tuple[Value, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A whole module on one platform, calls inlined.

    Attributes:
      body: what it computes; its arguments are those the module kept.
      positions: for each argument of `body`, its position among all arguments of the function
        (exports drop unused ones).
      arguments: number of arguments of the function, the dropped ones included.
      mentions: names of all operations in the module, dead code and the code for other platforms
        included; for a custom call, `CUSTOM_CALL` and the name of what is called.
    """

    body: Region
    positions: tuple[int, ...]
    arguments: int
    mentions: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, eq=False)
class GraphPrograms:
    """A graph, read. Reading takes most of the gate's time, so it is done once.

    Attributes:
      graph: what was read.
      init: its initialiser at the first size.
      forward: its apply at each size.
      backward: the VJP of apply at each size. It takes the flat arguments and then the cotangents
        of the outputs, and returns the cotangents of the arguments.
    """

    graph: Graph
    init: Program
    forward: tuple[Program, ...]
    backward: tuple[Program, ...]


def walk(region: Region) -> Iterator[Operation]:
    """Yields all operations of a region and of the regions within it."""
    for operation in region.operations:
        yield operation
        for inner in operation.regions:
            yield from walk(inner)


def read(module: bytes | str) -> Program:
    """Returns the data flow of a module.

    Args:
      module: a serialised `jax.export` artefact (bytes), or StableHLO text with a `main`.

    Raises:
      Rejected: at stage `over_budget` when inlining makes too many operations, at stage `trace`
        when a shape is not static.
    """
    return (
        _read(module)
        if isinstance(module, str)
        else _read_export(export.deserialize(bytearray(module)))
    )


def read_graph(graph: Graph) -> GraphPrograms:
    """Returns the data flow of all of a graph that is ever run; raises as `read` does."""
    applied = [export.deserialize(bytearray(sized.apply)) for sized in graph.sizes]
    return GraphPrograms(
        graph=graph,
        init=read(graph.sizes[0].init),
        forward=tuple(_read_export(exported) for exported in applied),
        backward=tuple(_read_export(exported.vjp()) for exported in applied),
    )


def _read_export(exported: export.Exported) -> Program:
    platforms = exported.platforms
    return _read(
        exported.mlir_module_serialized,
        platform=platforms.index(PLATFORM) if PLATFORM in platforms else 0,
        kept=exported.module_kept_var_idx,
        arguments=len(exported.in_avals),
    )


def _read(
    module: bytes | str,
    platform: int = 0,
    kept: tuple[int, ...] | None = None,
    arguments: int | None = None,
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
    platform_index = {
        value: platform
        for value, constant in zip(main.arguments, constants, strict=True)
        if constant
    }
    body = _Inliner(functions, platform_index).inline(main, {})
    inputs = tuple(value for value in main.arguments if value not in platform_index)
    body = Region(inputs, body.operations, body.results)
    positions = tuple(range(len(inputs))) if kept is None else tuple(kept)
    return Program(body, positions, len(inputs) if arguments is None else arguments, mentions)


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
        self._types: dict[Any, Type] = {}  # printing a type is what takes time

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
        return Operation(operation.name, _attributes(operation), operands, results, regions)

    def _new(self, value: Any) -> Value:
        type_ = value.type
        if type_ not in self._types:
            self._types[type_] = _parse_type(str(type_))
        self._values[value] = Value(self._types[type_])
        return self._values[value]


def _attributes(operation: Any) -> tuple[tuple[str, str], ...]:
    """Returns the attributes as text; both ways that bindings have iterated them are understood."""
    attributes = operation.attributes
    names = [item if isinstance(item, str) else item.name for item in attributes]
    return tuple(sorted((name, _attribute_text(attributes[name])) for name in names))


def _attribute_text(attribute: Any) -> str:
    text = str(attribute)
    if len(text) <= _LONG_ATTRIBUTE:
        return text
    return "blake2b:" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class _Inliner:
    """Copies a region with calls inlined, choices by a known index made, identities dropped."""

    def __init__(self, functions: Mapping[str, Region], known: Mapping[Value, int]):
        self._functions = functions
        self._known = dict(known)
        self._operations = 0
        self._depth = 0

    def inline(self, region: Region, env: dict[Value, Value]) -> Region:
        """Returns a copy of the region; `env` maps values of the original to those of the copy."""
        arguments = tuple(env.setdefault(argument, argument) for argument in region.arguments)
        out: list[Operation] = []
        results = self._copy(region, env, out)
        return Region(arguments, tuple(out), results)

    def _copy(
        self, region: Region, env: dict[Value, Value], out: list[Operation]
    ) -> tuple[Value, ...]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Rejected("over_budget", f"calls and loops nested more than {MAX_DEPTH} deep")
        for operation in region.operations:
            self._operations += 1
            if self._operations > MAX_OPERATIONS:
                raise Rejected("over_budget", f"more than {MAX_OPERATIONS} operations")
            operands = tuple(env[operand] for operand in operation.operands)
            replaced = self._replace(operation, operands, env, out)
            if replaced is None:
                replaced = self._emit(operation, operands, env, out)
            env.update(zip(operation.results, replaced, strict=True))
        self._depth -= 1
        return tuple(env[result] for result in region.results)

    def _replace(
        self,
        operation: Operation,
        operands: tuple[Value, ...],
        env: dict[Value, Value],
        out: list[Operation],
    ) -> tuple[Value, ...] | None:
        """Returns the values that stand for the operation's results if it need not stay."""
        if operation.name in _IDENTITIES and all(
            operand.type == result.type
            for operand, result in zip(operands, operation.results, strict=True)
        ):
            return operands
        callee = None
        if operation.name in ("func.call", "call"):
            callee = operation.attribute("callee")
        elif operation.name == "stablehlo.composite":
            callee = operation.attribute("decomposition")
        if callee is not None:
            function = self._functions[callee.removeprefix("@").strip('"')]
            return self._copy(function, dict(zip(function.arguments, operands, strict=True)), out)
        if operation.name == "stablehlo.case" and operands[0] in self._known:
            last = len(operation.regions) - 1
            index = self._known[operands[0]]
            chosen = operation.regions[index if 0 <= index <= last else last]
            return self._copy(chosen, env, out)
        return None

    def _emit(
        self,
        operation: Operation,
        operands: tuple[Value, ...],
        env: dict[Value, Value],
        out: list[Operation],
    ) -> tuple[Value, ...]:
        results = tuple(Value(result.type) for result in operation.results)
        if operation.name == "stablehlo.constant" and results[0].type == Type((), "i32"):
            number = re.match(r"dense<(-?\d+)>", operation.attribute("value"))
            if number:
                self._known[results[0]] = int(number.group(1))
        regions = []
        for region in operation.regions:
            inner = {argument: Value(argument.type) for argument in region.arguments}
            regions.append(self.inline(region, _Scope(env, inner)))
        out.append(
            Operation(operation.name, operation.attributes, operands, results, tuple(regions))
        )
        return results


class _Scope(dict[Value, Value]):
    """A dictionary that falls back on that of the scope around it."""

    def __init__(self, outer: Mapping[Value, Value], own: Mapping[Value, Value]):
        super().__init__(own)
        self._outer = outer

    def __missing__(self, value: Value) -> Value:
        return self._outer[value]
