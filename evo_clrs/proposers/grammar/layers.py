"""Shapes of Haiku modules and parameters."""

from collections.abc import Mapping

from evo_clrs.proposers.grammar import sequences
from evo_clrs.proposers.grammar.rules import Shape, axes_of, shape_of
from evo_clrs.proposers.grammar.values import (
    NONE,
    UNKNOWN,
    VARYING,
    Array,
    Items,
    Layer,
    ShapeError,
    Size,
    Value,
)


def parameter(name: Value, shape: Value, dtype: Value = NONE, init: Value = NONE) -> Value:
    """Returns what `hk.get_parameter` returns."""
    dims = shape_of(shape)
    if dims is None:
        return UNKNOWN
    return Array(_constant_sized(dims))


def _constant_sized(dims: Shape) -> Shape:
    if any(dim.symbols & VARYING for dim in dims):
        raise ShapeError("a parameter's shape depends on the number of nodes")
    return dims


def apply(layer: Layer, args: list[Value]) -> Value:
    """Returns what a Haiku module returns for these inputs."""
    if not args or not isinstance(args[0], Array):
        return UNKNOWN
    shape = args[0].shape
    if layer.kind == "hk.Linear":
        width = layer.get("output_size")
        _constant_sized(shape[-1:])
        return Array((*shape[:-1], width.dim)) if isinstance(width, Size) else UNKNOWN
    if layer.kind == "hk.nets.MLP":
        widths = shape_of(layer.get("output_sizes"))
        _constant_sized(shape[-1:])
        return Array((*shape[:-1], widths[-1])) if widths else UNKNOWN
    if layer.kind in ("hk.LayerNorm", "hk.RMSNorm"):
        axes = axes_of(layer.get("axis"), len(shape))
        if axes is None:
            return UNKNOWN
        _constant_sized(tuple(shape[i] for i in axes))
        return args[0]
    if layer.kind == "hk.GRU" and len(args) == 2:
        width = layer.get("hidden_size")
        if len(shape) > 2:
            raise ShapeError("hk.GRU takes at most two axes")
        out = Array((*shape[:-1], width.dim)) if isinstance(width, Size) else UNKNOWN
        return Items((out, out))
    if layer.kind in sequences.CORES and len(args) == 2:
        return sequences.step(layer, args[0], args[1])
    if layer.kind in sequences.LAYERS and len(args) == 1:
        return sequences.LAYERS[layer.kind](layer, args[0])
    return UNKNOWN


# Haiku modules whose shapes are known, with the names of their positional settings.
LAYERS: Mapping[str, tuple[str, ...]] = {
    "hk.Linear": ("output_size", "with_bias", "w_init", "b_init", "name"),
    "hk.nets.MLP": ("output_sizes", "w_init", "b_init", "with_bias", "activation"),
    "hk.LayerNorm": ("axis", "create_scale", "create_offset", "eps"),
    "hk.RMSNorm": ("axis", "eps"),
    "hk.GRU": ("hidden_size",),
    **sequences.SETTINGS,
}


def construct(kind: str, args: list[Value], kwargs: Mapping[str, Value]) -> Layer:
    """Returns the Haiku module of this kind with these settings."""
    settings = dict(zip(LAYERS[kind], args, strict=False)) | dict(kwargs)
    return Layer(kind, tuple(sorted(settings.items(), key=lambda item: item[0])))
