"""What the jail's child hands over for a graph, read as data from an enemy.

`unpack` takes nothing from a serialised export but the StableHLO module of each function and the
list of arguments that the module takes; it never runs `jax.export.deserialize`, which is made for
trusted bytes, on them. What else an export says must be what was asked for, and is written anew
from that. `verify` holds each module to the signature asked for and to an allow-list of
operations; it runs MLIR's parser and passes, so the jail calls it in a confined process.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax._src import dtypes
from jax._src.export import serialization, serialization_generated
from jax._src.export._export import Exported, maximum_supported_calling_convention_version
from jax._src.interpreters import mlir as jax_mlir
from jaxlib.mlir import ir, passmanager
from jaxlib.mlir.dialects import stablehlo

from evo_clrs.errors import Rejected
from evo_clrs.gates import mlir, operations
from evo_clrs.records import Graph, Parameter, SizedGraph, seeds_at
from evo_clrs.slots import Slot

PLATFORMS = ("cpu", "cuda", "tpu")

_VERSION = maximum_supported_calling_convention_version
_KEY = jax.core.ShapedArray((2,), np.dtype(np.uint32))
_PLATFORM_INDEX = "tensor<i32>"
_DEEPEST = 100  # regions within each other
_MOST_DIMENSIONS = 32  # of an array: more make whoever counts its elements slow

_ELEMENTS = {"float32": "f32", "uint32": "ui32", "float0": "i1"}
_TYPE = re.compile(
    r"tensor<(?:\d+x)*(?:i1|u?i(?:8|16|32|64)|f16|bf16|f32|f64|complex<f32>|complex<f64>)>"
)
_MODULE_ATTRIBUTES = {
    "jax.uses_shape_polymorphism": ("true", "false"),
    "mhlo.num_partitions": ("1 : i32",),
    "mhlo.num_replicas": ("1 : i32",),
}
_FUNCTION_ATTRIBUTES = {"sym_name", "function_type", "sym_visibility", "arg_attrs", "res_attrs"}

_Avals = tuple[jax.core.ShapedArray, ...]


@dataclasses.dataclass(frozen=True)
class Module:
    """One function's StableHLO, with the signature that it must have.

    Attributes:
      what: the function, for people, e.g. `apply at N=4`.
      code: the serialised module.
      arguments: MLIR types of the arguments of its `main`, e.g. `tensor<4x8xf32>`.
      results: those of its results.
    """

    what: str
    code: bytes
    arguments: tuple[str, ...]
    results: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Function:
    """A function as it was asked for.

    Attributes:
      what: the function, for people.
      name: what it is called in exports.
      arguments: a tuple or tree of its arguments.
      results: shapes and types of its results.
      orders: how many orders of VJP go with it.
    """

    what: str
    name: str
    arguments: tuple[Any, ...]
    results: _Avals
    orders: int

    @property
    def flat(self) -> _Avals:
        return tuple(jax.tree_util.tree_leaves(self.arguments))

    @property
    def vjp(self) -> "_Function":
        """Its VJP: arguments and cotangents of the results, to cotangents of the arguments."""
        cotangents = tuple(map(_cotangent, self.flat))
        arguments = (*self.flat, *map(_cotangent, self.results))
        return _Function(
            f"VJP of {self.what}", "fun_vjp_jax", arguments, cotangents, self.orders - 1
        )


def unpack(graph: Graph, slot: Slot) -> tuple[Graph, tuple[Module, ...]]:
    """Takes the modules out of a graph's artefacts, and writes the artefacts anew around them.

    Args:
      graph: as the jail's child sent it, its form checked.
      slot: what was asked for.

    Returns:
      The graph with artefacts that trusted code wrote, and its modules, which `verify` must see
      before anything else reads them.

    Raises:
      Rejected: at stage `trace`, where an artefact is not of what was asked for.
    """
    modules: dict[Module, None] = {}
    known: dict[bytes, bytes] = {}  # the initialiser is often the same at all sizes
    entries = []
    for entry in graph.sizes:
        init, apply = _functions(graph.parameters, slot, entry)
        if bool(entry.init) is not bool(init.results):
            raise Rejected("trace", f"{init.what}: {len(init.results)} parameters need it")
        artefacts = []
        for function, artefact in ((init, entry.init), (apply, entry.apply)):
            if function is init and not init.results:
                artefacts.append(b"")
                continue
            if function is init and artefact in known:
                artefacts.append(known[artefact])
                continue
            exported = _unpack(function, artefact, modules)
            artefacts.append(bytes(exported.serialize(vjp_order=function.orders)))
        known[entry.init] = artefacts[0]
        entries.append(dataclasses.replace(entry, init=artefacts[0], apply=artefacts[1]))
    return dataclasses.replace(graph, sizes=tuple(entries)), tuple(modules)


def _functions(
    parameters: Sequence[Parameter], slot: Slot, entry: SizedGraph
) -> tuple[_Function, _Function]:
    """Returns init and apply as `SizedGraph` says they are."""
    weights = tuple(_float32(parameter.shape) for parameter in parameters)
    coded = tuple(_float32(p.shape) for p in parameters if p.initialiser is None)
    inputs = tuple(_float32(tensor.at(entry.size)) for tensor in slot.arguments)
    outputs = tuple(_float32(shape) for shape in entry.outputs if shape is not None)
    where = ", ".join(f"{name}={value}" for name, value in entry.size)
    arguments, results, seeds = (weights, _KEY, inputs), outputs, seeds_at(entry.size)
    if seeds is not None:
        arguments, results = jax.tree.map(
            lambda aval: jax.core.ShapedArray((seeds, *aval.shape), aval.dtype),
            (arguments, results),
        )
    return (
        _Function(f"init at {where}", "init", (_KEY,), coded, 0),
        _Function(f"apply at {where}", "apply", arguments, results, 1),
    )


def _float32(shape: Sequence[int]) -> jax.core.ShapedArray:
    return jax.core.ShapedArray(tuple(shape), np.dtype(np.float32))


def _cotangent(aval: jax.core.ShapedArray) -> jax.core.ShapedArray:
    """Returns what a cotangent of an array is: that of whole numbers holds nothing."""
    floating = np.issubdtype(aval.dtype, np.floating)
    return aval if floating else jax.core.ShapedArray(aval.shape, dtypes.float0)


def _unpack(function: _Function, artefact: bytes, modules: dict[Module, None]) -> Exported:
    """Returns the export of a function with its modules, which are added to `modules`."""
    try:
        table = serialization_generated.Exported.GetRootAsExported(bytearray(artefact))
        return _rewrite(function, table, modules)
    except Rejected:
        raise
    except Exception as error:  # offsets that lead nowhere, text that is none
        reason = f"{function.what} is no export ({type(error).__name__})"
        raise Rejected("trace", reason) from error


def _rewrite(function: _Function, table: Any, modules: dict[Module, None]) -> Exported:
    _check_words(function, table)
    _check_declared(function, table, "In", function.flat)
    _check_declared(function, table, "Out", function.results)
    code = _bytes(table.MlirModuleSerializedAsNumpy())
    kept = tuple(np.atleast_1d(table.ModuleKeptVarIdxAsNumpy()).tolist())
    if not table.ModuleKeptVarIdxLength():
        kept = ()
    ordered = all(a < b for a, b in zip(kept, kept[1:], strict=False))
    _demand(function, ordered and all(k < len(function.flat) for k in kept), "its arguments")
    arguments = tuple(_type(function.flat[k]) for k in kept)
    results = tuple(map(_type, function.results))
    modules[Module(function.what, code, (_PLATFORM_INDEX, *arguments), results)] = None
    derived = _rewrite(function.vjp, table.Vjp(), modules) if function.orders else None
    return Exported(
        fun_name=function.name,
        in_tree=jax.tree_util.tree_structure((function.arguments, {})),
        in_avals=function.flat,
        out_tree=jax.tree_util.tree_structure(function.results),
        out_avals=function.results,
        _has_named_shardings=True,
        _in_named_shardings=(None,) * len(function.flat),
        _out_named_shardings=(None,) * len(function.results),
        in_shardings_hlo=(None,) * len(function.flat),
        out_shardings_hlo=(None,) * len(function.results),
        nr_devices=1,
        platforms=PLATFORMS,
        ordered_effects=(),
        unordered_effects=(),
        disabled_safety_checks=(),
        mlir_module_serialized=code,
        calling_convention_version=_VERSION,
        module_kept_var_idx=kept,
        uses_global_constants=True,  # the index of the platform
        _get_vjp=None if derived is None else lambda _: derived,
    )


def _bytes(array: Any) -> bytes:
    return array.tobytes() if isinstance(array, np.ndarray) else b""


def _check_words(function: _Function, table: Any) -> None:
    """Demands of an export what has nothing to do with shapes."""
    same = table.PlatformsLength() == len(PLATFORMS) and all(
        table.Platforms(i) == platform.encode() for i, platform in enumerate(PLATFORMS)
    )
    _demand(function, same, f"the platforms {', '.join(PLATFORMS)}")
    version = table.CallingConventionVersion()
    _demand(function, version == _VERSION, f"calling convention {_VERSION}")
    devices = table.NrDevices() or table.NrDevicesShort()
    sharded = table.UniqueNamedShardingsLength() + table.UniqueAbstractMeshesLength()
    _demand(function, devices == 1 and not sharded, "one device")
    effects = table.OrderedEffectsLength() + table.UnorderedEffectsLength()
    _demand(function, not effects, "no effects")
    _demand(function, not table.DisabledChecksLength(), "all safety checks")
    _demand(function, (table.Vjp() is not None) == (function.orders > 0), "its orders of VJP")


def _check_declared(function: _Function, table: Any, side: str, expected: _Avals) -> None:
    """Demands that an export declares these arguments (`In`) or results (`Out`)."""
    name = {"In": "argument", "Out": "result"}[side]
    length = getattr(table, f"{side}AvalsIdxsLength")()
    _demand(function, length == len(expected), f"{len(expected)} {name}s")
    for number, aval in enumerate(expected):
        index = getattr(table, f"{side}AvalsIdxs")(number)
        declared = table.UniqueAvals(index) if index < table.UniqueAvalsLength() else None
        same = (
            declared is not None
            and declared.ShapeLength() == aval.ndim
            and all(declared.Shape(i) == b"%d" % n for i, n in enumerate(aval.shape))
            and serialization._dtype_kind_to_dtype[declared.Dtype()] == aval.dtype
        )
        _demand(function, same, f"{name} {number} as {aval.str_short()}")


def _demand(function: _Function, holds: bool, wanted: str) -> None:
    if not holds:
        raise Rejected("trace", f"{function.what} is not exported with {wanted}")


def _type(aval: jax.core.ShapedArray) -> str:
    """Returns the MLIR type of an array."""
    element = _ELEMENTS["float0" if aval.dtype == dtypes.float0 else aval.dtype.name]
    return f"tensor<{''.join(f'{n}x' for n in aval.shape)}{element}>"


def verify(module: Module) -> None:
    """Checks that a module is what it was said to be, and has nothing in it that is not allowed.

    Library calls are left to the graph gate, which has the list of those that are allowed.

    Raises:
      Rejected: at stage `trace`.
    """
    try:
        _verify(module)
    except Rejected as rejection:
        raise Rejected("trace", f"{module.what}: {rejection.reason}") from None
    except Exception as error:  # what MLIR says of it may hold anything
        reason = f"{module.what} is no StableHLO ({type(error).__name__})"
        raise Rejected("trace", reason) from error


def _verify(module: Module) -> None:
    context = jax_mlir.make_ir_context()
    with context, ir.Location.unknown():
        parsed = stablehlo.deserialize_portable_artifact(context, module.code)
        root = parsed.operation
        if not root.verify():
            raise Rejected("trace", "the module is malformed")
        _check_module_attributes(root)
        functions = {}
        for view in parsed.body.operations:
            if view.operation.name != "func.func":
                raise Rejected("trace", f"operation {view.operation.name} is not allowed")
            functions[ir.StringAttr(view.attributes["sym_name"]).value] = view.operation
        if "main" not in functions:
            raise Rejected("trace", "there is no function main")
        _check_signature(functions["main"], module)
        seen: set[Any] = set()
        for operation in _walk(root):
            _check_operation(operation, seen)
        passes = f"builtin.module({','.join(mlir.PASSES)})"
        passmanager.PassManager.parse(passes).run(root)


def _attributes(operation: Any) -> dict[str, Any]:
    """Returns attributes by name; both ways that bindings have iterated them are understood."""
    names = [item if isinstance(item, str) else item.name for item in operation.attributes]
    return {name: operation.attributes[name] for name in names}


def _check_module_attributes(root: Any) -> None:
    for name, value in _attributes(root).items():
        if name != "sym_name" and str(value) not in _MODULE_ATTRIBUTES.get(name, ()):
            raise Rejected("trace", f"attribute {name} is not allowed")


def _check_signature(main: Any, module: Module) -> None:
    """Raises Rejected where `main` takes or gives anything but what it should."""
    attributes = _attributes(main)
    signature = ir.FunctionType(ir.TypeAttr(attributes["function_type"]).value)
    found = tuple(map(str, signature.inputs)), tuple(map(str, signature.results))
    if found != (module.arguments, module.results):
        for one, (have, want) in enumerate(
            zip(found, (module.arguments, module.results), strict=True)
        ):
            kind = ("argument", "result")[one]
            if len(have) != len(want):
                raise Rejected("trace", f"main has {len(have)} {kind}s, not {len(want)}")
            for number, (this, that) in enumerate(zip(have, want, strict=True)):
                if this != that:
                    raise Rejected("trace", f"main has {kind} {number} of {this}, not {that}")
    constants = [
        number
        for number, given in enumerate(attributes.get("arg_attrs", ()))
        if "jax.global_constant" in str(given)
    ]
    if constants != [0]:
        raise Rejected("trace", "main does not take the index of the platform first")


def _walk(root: Any) -> Iterator[Any]:
    """Yields the operations within one."""
    rest = [(root, 0)]
    while rest:
        operation, depth = rest.pop()
        if depth > _DEEPEST:
            raise Rejected("trace", f"regions are nested more than {_DEEPEST} deep")
        for region in operation.regions:
            for block in region.blocks:
                for view in block.operations:
                    yield view.operation
                    rest.append((view.operation, depth + 1))


def _check_operation(operation: Any, seen: set[Any]) -> None:
    """Raises Rejected for a name, an attribute or a type that is not allowed."""
    name, attributes = operation.name, _attributes(operation)
    if name not in operations.ALLOWED and name != "stablehlo.custom_call":
        raise Rejected("trace", f"operation {name} is not allowed")
    if name == "stablehlo.composite":
        called = ir.StringAttr(attributes["name"]).value
        if not called.startswith("chlo."):
            raise Rejected("trace", f"composite {called[:100]} is not allowed")
    if name == "func.func":
        _check_function(attributes)
        return
    for attribute in attributes:
        # Those of another dialect: shardings, layouts, hints to a compiler.
        known = name == "stablehlo.custom_call" and attribute == "mhlo.backend_config"
        if "." in attribute and not known:
            raise Rejected("trace", f"attribute {attribute} is not allowed")
    for result in operation.results:
        _check_type(result.type, seen)
    for region in operation.regions:
        for block in region.blocks:
            for argument in block.arguments:
                _check_type(argument.type, seen)


def _check_function(attributes: dict[str, Any]) -> None:
    """Raises Rejected for a function or an argument that is marked: as donated, as sharded."""
    for attribute in attributes:
        if attribute not in _FUNCTION_ATTRIBUTES:
            raise Rejected("trace", f"attribute {attribute} is not allowed")
    given = [
        ir.DictAttr(d) for side in ("arg_attrs", "res_attrs") for d in attributes.get(side, ())
    ]
    marks = {entry[number].name for entry in given for number in range(len(entry))}
    for mark in sorted(marks - {"jax.global_constant", "jax.result_info"}):
        raise Rejected("trace", f"attribute {mark} is not allowed")


def _check_type(type_: Any, seen: set[Any]) -> None:
    if type_ not in seen:
        if not _TYPE.fullmatch(str(type_)):
            raise Rejected("trace", f"arrays of type {str(type_)[:100]} are not allowed")
        shape = ir.RankedTensorType(type_).shape
        if len(shape) > _MOST_DIMENSIONS:
            raise Rejected("trace", f"an array has more than {_MOST_DIMENSIONS} dimensions")
        if math.prod(shape) >= 1 << 40:
            raise Rejected("trace", f"an array of type {str(type_)[:100]} is too large")
        seen.add(type_)
