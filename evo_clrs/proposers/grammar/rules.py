"""Shapes of what library functions return, one small rule for each family.

A rule has the parameters of the function it stands for, gets values and returns a value. It
returns UNKNOWN where it cannot tell and raises ShapeError where the call would fail. Functions
that treat nodes by their position (`jnp.arange`, `jnp.cumsum`) have no rule on purpose: what they
return is unknown, so no edit builds on it.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping

from evo_clrs.proposers.grammar.dims import ONE, Dim
from evo_clrs.proposers.grammar.values import (
    NONE,
    UNKNOWN,
    Array,
    Constant,
    Items,
    ShapeError,
    Size,
    Value,
    broadcast,
)

Shape = tuple[Dim, ...]
FALSE = Constant(False)
ZERO = Size(Dim.of(0))
LAST = Size(Dim.of(-1))


def call(name: str, args: list[Value], kwargs: Mapping[str, Value]) -> Value:
    """Returns what the library function `name` returns for these values."""
    return bound(RULES[name], args, kwargs) if name in RULES else UNKNOWN


def bound(rule: Callable[..., Value], args: list[Value], kwargs: Mapping[str, Value]) -> Value:
    """Returns what a rule says, UNKNOWN where it has no place for an argument."""
    try:
        inspect.signature(rule).bind(*args, **kwargs)
    except TypeError:
        return UNKNOWN
    return rule(*args, **kwargs)


def axes_of(value: Value, rank: int) -> list[int] | None:
    """Returns axes as indices from 0, None if they are not known."""
    entries = value.items if isinstance(value, Items) else (value,)
    axes = []
    for entry in entries:
        number = entry.dim.number if isinstance(entry, Size) else None
        if number is None:
            return None
        if not -rank <= number < rank:
            raise ShapeError(f"axis {number} is out of range for rank {rank}")
        axes.append(number % rank)
    return axes


def axis_of(value: Value, rank: int) -> int | None:
    """Returns one axis as an index from 0, None if it is not known."""
    axes = axes_of(value, rank)
    if axes is not None and len(axes) != 1:
        raise ShapeError(f"{len(axes)} axes where one is taken")
    return axes[0] if axes else None


def shape_of(value: Value) -> Shape | None:
    """Returns the shape that a tuple of sizes (or one size) says, None if it is not known."""
    entries = value.items if isinstance(value, Items) else (value,)
    dims = [entry.dim for entry in entries if isinstance(entry, Size)]
    return tuple(dims) if len(dims) == len(entries) else None


def operand(value: Value) -> Shape | None:
    """Returns the shape of an array or of a plain number, None if it is neither."""
    if isinstance(value, Array):
        return value.shape
    if isinstance(value, Size) or (
        isinstance(value, Constant) and isinstance(value.value, (bool, float))
    ):
        return ()
    return None


def pointwise(*operands: Value) -> Value:
    """Broadcasting of any number of operands."""
    shapes = [operand(value) for value in operands]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return UNKNOWN
    return Array(broadcast(*known))


def _first(x: Value, *others: Value, **settings: Value) -> Value:
    return pointwise(x)


def _unary(x: Value) -> Value:
    return pointwise(x)


def _binary(x: Value, y: Value) -> Value:
    return pointwise(x, y)


def comparison(x: Value, y: Value) -> Value:
    """Broadcasting comparison."""
    result = pointwise(x, y)
    return dataclasses.replace(result, boolean=True) if isinstance(result, Array) else UNKNOWN


def _normaliser(x: Value, axis: Value = NONE, where: Value = NONE) -> Value:
    return x if isinstance(x, Array) else UNKNOWN


def _sort(a: Value, axis: Value = LAST) -> Value:
    """Nodes once sorted are nodes no more: their axis gets the symbol S."""
    axes = axes_of(axis, len(a.shape)) if isinstance(a, Array) else None
    if axes is None or not isinstance(a, Array):
        return UNKNOWN
    order = Dim.of("S")
    return Array(
        tuple(order if i in axes and dim == Dim.of("N") else dim for i, dim in enumerate(a.shape))
    )


def _where(condition: Value, x: Value, y: Value) -> Value:
    return pointwise(condition, x, y)


def reduction(
    a: Value,
    axis: Value = NONE,
    keepdims: Value = FALSE,
    where: Value = NONE,
    initial: Value = NONE,
) -> Value:
    """max, sum, mean and the like."""
    if not isinstance(a, Array) or not isinstance(keepdims, Constant):
        return UNKNOWN
    every = list(range(len(a.shape)))
    axes = every if axis == NONE else axes_of(axis, len(a.shape))
    if axes is None:
        return UNKNOWN
    kept = [(ONE if i in axes else d) for i, d in enumerate(a.shape)]
    if keepdims.value:
        return Array(tuple(kept))
    return Array(tuple(d for i, d in enumerate(a.shape) if i not in axes))


def _expand_dims(a: Value, axis: Value) -> Value:
    if not isinstance(a, Array):
        return UNKNOWN
    entries = len(axis.items) if isinstance(axis, Items) else 1
    rank = len(a.shape) + entries
    axes = axes_of(axis, rank)
    if axes is None:
        return UNKNOWN
    if len(set(axes)) < entries:
        raise ShapeError("repeated axis in expand_dims")
    rest = iter(a.shape)
    shape = tuple(ONE if i in axes else next(rest) for i in range(rank))
    return Array(shape, a.boolean)


def _squeeze(a: Value, axis: Value = NONE) -> Value:
    if not isinstance(a, Array):
        return UNKNOWN
    axes = None if axis == NONE else axes_of(axis, len(a.shape))
    if axes is None:
        return UNKNOWN
    if any(a.shape[i] != ONE for i in axes):
        raise ShapeError(f"cannot squeeze axes {axes} of {a}")
    return Array(tuple(d for i, d in enumerate(a.shape) if i not in axes))


def _reshape(a: Value, shape: Value) -> Value:
    dims = shape_of(shape)
    if not isinstance(a, Array) or dims is None:
        return UNKNOWN
    total, known = ONE, ONE
    for dim in a.shape:
        total *= dim
    free = [i for i, dim in enumerate(dims) if dim.number == -1]
    for dim in dims:
        known = known if dim.number == -1 else known * dim
    if not free:
        if total != known:
            raise ShapeError(f"cannot reshape {a} to {Array(dims)}")
        return Array(dims)
    rest = total.over(known)
    if len(free) > 1 or rest is None:
        return UNKNOWN
    return Array(tuple(rest if i in free else dim for i, dim in enumerate(dims)))


def _transpose(a: Value, axes: Value = NONE) -> Value:
    if not isinstance(a, Array):
        return UNKNOWN
    if axes == NONE:
        return Array(a.shape[::-1])
    order = axes_of(axes, len(a.shape))
    if order is None:
        return UNKNOWN
    if sorted(order) != list(range(len(a.shape))):
        raise ShapeError(f"cannot transpose {a} by {order}")
    return Array(tuple(a.shape[i] for i in order))


def _swapaxes(a: Value, axis1: Value, axis2: Value) -> Value:
    if not isinstance(a, Array):
        return UNKNOWN
    axes = axes_of(Items((axis1, axis2)), len(a.shape))
    if axes is None:
        return UNKNOWN
    shape = list(a.shape)
    shape[axes[0]], shape[axes[1]] = shape[axes[1]], shape[axes[0]]
    return Array(tuple(shape))


def _concatenate(arrays: Value, axis: Value = ZERO) -> Value:
    if not isinstance(arrays, Items) or not arrays.items:
        return UNKNOWN
    shapes = [value.shape for value in arrays.items if isinstance(value, Array)]
    if len(shapes) < len(arrays.items):
        return UNKNOWN
    at = axis_of(axis, len(shapes[0]))
    if at is None:
        return UNKNOWN
    others = {(len(shape), shape[:at] + shape[at + 1 :]) for shape in shapes}
    if len(others) > 1:
        raise ShapeError("cannot concatenate arrays of these shapes")
    total = Dim.of(0)
    for shape in shapes:
        total += shape[at]
    return Array(shapes[0][:at] + (total,) + shapes[0][at + 1 :])


def _stack(arrays: Value, axis: Value = ZERO) -> Value:
    if not isinstance(arrays, Items) or len(set(arrays.items)) != 1:
        return UNKNOWN
    (first,) = set(arrays.items)
    if not isinstance(first, Array):
        return UNKNOWN
    at = axis_of(axis, len(first.shape) + 1)
    if at is None:
        return UNKNOWN
    return Array(first.shape[:at] + (Dim.of(len(arrays.items)),) + first.shape[at:])


def _split(ary: Value, indices_or_sections: Value, axis: Value = ZERO) -> Value:
    if not isinstance(ary, Array) or not isinstance(indices_or_sections, Size):
        return UNKNOWN
    at = axis_of(axis, len(ary.shape))
    parts = indices_or_sections.dim.number
    if at is None or parts is None or not 0 < parts <= 64:
        return UNKNOWN
    dim = ary.shape[at].over(Dim.of(parts))
    if dim is None or dim * Dim.of(parts) != ary.shape[at]:
        return UNKNOWN
    part = Array(ary.shape[:at] + (dim,) + ary.shape[at + 1 :])
    return Items((part,) * parts)


def _broadcast_to(array: Value, shape: Value) -> Value:
    dims, have = shape_of(shape), operand(array)
    if dims is None or have is None:
        return UNKNOWN
    if broadcast(have, dims) != dims:
        raise ShapeError("cannot broadcast to this shape")
    return Array(dims)


def _tile(A: Value, reps: Value) -> Value:
    times = shape_of(reps)
    if not isinstance(A, Array) or times is None or len(times) != len(A.shape):
        return UNKNOWN
    return Array(tuple(dim * time for dim, time in zip(A.shape, times, strict=True)))


def _repeat(a: Value, repeats: Value, axis: Value = NONE) -> Value:
    if not isinstance(a, Array) or not isinstance(repeats, Size) or axis == NONE:
        return UNKNOWN
    axes = axes_of(axis, len(a.shape))
    if axes is None:
        return UNKNOWN
    return Array(tuple(d * repeats.dim if i in axes else d for i, d in enumerate(a.shape)))


def _filled(shape: Value, *settings: Value, dtype: Value = NONE) -> Value:
    dims = shape_of(shape)
    return UNKNOWN if dims is None else Array(dims)


def _eye(N: Value, dtype: Value = NONE) -> Value:
    return Array((N.dim, N.dim)) if isinstance(N, Size) else UNKNOWN


def matmul(a: Value, b: Value) -> Value:
    """Product over the last axis of a and the last but one of b, batched."""
    if not isinstance(a, Array) or not isinstance(b, Array):
        return UNKNOWN
    if len(a.shape) < 2 or len(b.shape) < 2:
        return UNKNOWN
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(f"cannot multiply {a} by {b}")
    return Array((*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))


def _einsum(equation: Value, *operands: Value) -> Value:
    if not isinstance(equation, Constant) or not isinstance(equation.value, str):
        return UNKNOWN
    left, arrow, right = equation.value.replace(" ", "").partition("->")
    if not arrow or "." in left or not all(isinstance(value, Array) for value in operands):
        return UNKNOWN
    letters: dict[str, Dim] = {}
    inputs = left.split(",")
    if len(inputs) != len(operands):
        raise ShapeError(f"{equation.value} needs {len(inputs)} operands")
    for names, value in zip(inputs, operands, strict=True):
        if not isinstance(value, Array) or len(names) != len(value.shape):
            raise ShapeError(f"{names} does not fit {value}")
        for name, dim in zip(names, value.shape, strict=True):
            if letters.setdefault(name, dim) != dim:
                raise ShapeError(f"{name} is both {letters[name]} and {dim}")
    if not set(right) <= set(letters):
        raise ShapeError(f"{equation.value} makes letters of nothing")
    return Array(tuple(letters[name] for name in right))


def _top_k(operand: Value, k: Value) -> Value:
    if not isinstance(operand, Array) or not isinstance(k, Size):
        return UNKNOWN
    part = Array((*operand.shape[:-1], k.dim))
    return Items((part, part))


def _one_hot(x: Value, num_classes: Value, axis: Value = NONE) -> Value:
    if not isinstance(x, Array) or not isinstance(num_classes, Size) or axis != NONE:
        return UNKNOWN
    return Array((*x.shape, num_classes.dim))


_NN = (
    "relu gelu silu swish elu selu celu leaky_relu softplus sigmoid tanh relu6 mish hard_tanh "
    "soft_sign log_sigmoid squareplus"
)
ACTIVATIONS = (*(f"jax.nn.{name}" for name in _NN.split()), "jnp.tanh")
_UNARY = ("abs", "exp", "log", "log1p", "sqrt", "square", "sign", "sin", "cos", "negative")
_BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power")
_COMPARE = (
    "logical_and",
    "logical_or",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "equal",
    "not_equal",
)
_REDUCTIONS = ("max", "min", "sum", "mean", "prod", "any", "all", "std", "var", "median")

RULES: Mapping[str, Callable[..., Value]] = {
    **dict.fromkeys(ACTIVATIONS, _first),
    **{f"jnp.{name}": _unary for name in (*_UNARY, "logical_not", "isfinite")},
    **{f"jnp.{name}": _binary for name in _BINARY},
    **{f"jnp.{name}": comparison for name in _COMPARE},
    **{f"jnp.{name}": reduction for name in (*_REDUCTIONS, "amax", "amin")},
    **{f"jnp.{name}": _first for name in ("zeros_like", "ones_like", "full_like", "clip")},
    **{f"jnp.{name}": _filled for name in ("zeros", "ones", "full")},
    **{name: _normaliser for name in ("jax.nn.softmax", "jax.nn.log_softmax")},
    "jax.nn.logsumexp": reduction,
    "jax.scipy.special.logsumexp": reduction,
    "jax.lax.rsqrt": _unary,
    "jax.lax.stop_gradient": _unary,
    "jax.lax.top_k": _top_k,
    "jax.nn.standardize": _normaliser,
    "jax.nn.one_hot": _one_hot,
    "jnp.sort": _sort,
    "np.sqrt": _unary,
    "math.sqrt": _unary,
    "jnp.where": _where,
    "jnp.asarray": _first,
    "jnp.array": _first,
    "jnp.float32": _first,
    "jnp.expand_dims": _expand_dims,
    "jnp.squeeze": _squeeze,
    "jnp.reshape": _reshape,
    "jnp.transpose": _transpose,
    "jnp.swapaxes": _swapaxes,
    "jnp.concatenate": _concatenate,
    "jnp.stack": _stack,
    "jnp.split": _split,
    "jnp.broadcast_to": _broadcast_to,
    "jnp.tile": _tile,
    "jnp.repeat": _repeat,
    "jnp.eye": _eye,
    "jnp.matmul": matmul,
    "jnp.dot": lambda a, b: matmul(a, b) if _rank(a) == _rank(b) == 2 else UNKNOWN,
    "jnp.einsum": _einsum,
}


def _rank(value: Value) -> int:
    return len(value.shape) if isinstance(value, Array) else -1
