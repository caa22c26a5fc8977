"""How many parameters a program has, told from its text."""

import ast
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from evo_clrs import slots
from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.prepare import prepare
from evo_clrs.proposers.grammar.rules import FALSE, axes_of, shape_of
from evo_clrs.proposers.grammar.sequences import CORES, LOOPS
from evo_clrs.proposers.grammar.values import (
    Array,
    Items,
    Layer,
    Library,
    Local,
    ShapeError,
    Size,
    Value,
)

# Functions of Haiku that make no parameters; initialisers and layers that are known come on top.
_WITHOUT = frozenset({"hk.avg_pool", "hk.max_pool", "hk.Flatten", "hk.next_rng_key", *LOOPS})


def parameters(source: str, slot: slots.Slot) -> Dim | None:
    """Returns the numbers in all parameters of a program, by the symbols of its slot.

    None where the text does not tell: layers within functions of the program, loops or branches,
    modules or shapes that are not known.
    """
    try:
        draft = Draft(prepare(source, slot), slot)
        return sum(_counts(draft), start=Dim.of(0))
    except (ShapeError, LookupError, ValueError, RecursionError):
        return None


def count_parameters(source: str, slot: slots.Slot, sizes: Mapping[str, int]) -> int | None:
    """Returns `parameters` where symbols have these sizes."""
    told = parameters(source, slot)
    return None if told is None else int(told.at(sizes))


def _counts(draft: Draft) -> Sequence[Dim]:
    """Returns the parameters of each layer of the main body, each layer once.

    Raises:
      LookupError: there are others, or one is not known.
    """
    counts: dict[ast.AST, Dim] = {}
    seen: set[ast.AST] = set()
    for node, _ in draft.expressions():
        seen.add(node)
        if not isinstance(node, ast.Call):
            continue
        name, function = draft.called(node), draft.value(node.func)
        if name == "hk.get_parameter":
            counts[node] = _product(_shape(draft.value(node)))
        elif name in LOOPS and len(node.args) > 1:
            counts[_made(draft, node.args[0])] = _of_layer(
                draft.value(node.args[0]), draft.value(node.args[1])
            )
        elif isinstance(function, Layer) and node.args:
            counts[_made(draft, node.func)] = _of_layer(function, draft.value(node.args[0]))
        elif isinstance(function, Local) and _mentions_haiku(function.function):
            raise LookupError("a function of the program makes layers")
        elif isinstance(function, Library) and not _is_known(name, draft.value(node)):
            raise LookupError(f"{name} is not known")
    for statement in draft.body:
        hidden = (node for node in ast.walk(statement) if node not in seen)
        if any(isinstance(node, ast.Call) and _mentions_haiku(node.func) for node in hidden):
            raise LookupError("a layer within a loop, a branch or a function")
    return list(counts.values())


def _is_known(name: str, value: Value) -> bool:
    library, _, rest = name.partition(".")
    if library != "hk" or rest.startswith("initializers.") or name in _WITHOUT:
        return True
    return isinstance(value, Layer)


def _mentions_haiku(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "hk" for node in ast.walk(tree))


def _made(draft: Draft, node: ast.expr) -> ast.AST:
    """Returns the expression that makes a layer: where two calls share it, it counts once."""
    made = draft.definition(node)
    if not isinstance(made, ast.Call):
        raise LookupError("where a layer is made is not known")
    return made


def _of_layer(layer: Value, x: Value) -> Dim:
    """Returns the parameters of a layer that is applied to an array.

    Raises:
      LookupError: they are not known.
    """
    if not isinstance(layer, Layer):
        raise LookupError("no layer")
    shape = _shape(x)
    inner, bias = shape[-1], layer.get("with_bias") != FALSE
    match layer.kind:
        case "hk.Linear":
            return _dense([inner, _width(layer, "output_size")], bias)
        case "hk.nets.MLP":
            return _dense([inner, *_known(shape_of(layer.get("output_sizes")))], bias)
        case "hk.LayerNorm" | "hk.RMSNorm":
            axes = _known(axes_of(layer.get("axis"), len(shape)))
            flags = ["create_scale", "create_offset"] if layer.kind == "hk.LayerNorm" else [""]
            given = sum(layer.get(flag) != FALSE for flag in flags)
            return _product([shape[axis] for axis in axes]) * Dim.of(given)
        case "hk.Bias":
            axes = _known(axes_of(layer.get("bias_dims"), len(shape)))
            return _product([shape[axis] for axis in axes])
        case "hk.Conv1D":
            width = _width(layer, "output_channels")
            return _dense([inner * _reach(layer), width], bias)
        case "hk.DepthwiseConv1D":
            width = inner * _width(layer, "channel_multiplier")
            return _dense([_reach(layer), width], bias)
        case "hk.Flatten":
            return Dim.of(0)
    if layer.kind in CORES:
        return _recurrent(layer, inner)
    raise LookupError(f"{layer.kind} is not known")


def _recurrent(layer: Layer, inner: Dim) -> Dim:
    width = _width(layer, "hidden_size")
    gates, biases = {"hk.GRU": (3, 3), "hk.LSTM": (4, 4), "hk.VanillaRNN": (1, 2)}[layer.kind]
    return (inner + width) * width * Dim.of(gates) + width * Dim.of(biases)


def _dense(widths: Sequence[Dim], bias: bool) -> Dim:
    total = Dim.of(0)
    for before, after in itertools.pairwise(widths):
        total += before * after
        total += after if bias else Dim.of(0)
    return total


def _reach(layer: Layer) -> Dim:
    """Returns the kernel's size."""
    value = layer.get("kernel_shape")
    if isinstance(value, Items) and len(value.items) == 1:
        (value,) = value.items
    if not isinstance(value, Size):
        raise LookupError("the kernel's size is not known")
    return value.dim


def _width(layer: Layer, name: str) -> Dim:
    value = layer.get(name)
    if not isinstance(value, Size):
        raise LookupError(f"{name} is not known")
    return value.dim


def _shape(value: Value) -> Sequence[Dim]:
    if not isinstance(value, Array) or not value.shape:
        raise LookupError("a shape is not known")
    return value.shape


def _known(value: Sequence[Any] | None) -> Sequence[Any]:
    if value is None:
        raise LookupError("a setting is not known")
    return value


def _product(dims: Sequence[Dim]) -> Dim:
    return math.prod(dims, start=Dim.of(1))
