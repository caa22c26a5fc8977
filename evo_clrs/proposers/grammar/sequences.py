"""Shapes of what treats an axis by position: convolutions, pooling, recurrences and shifts.

What these do to an axis of nodes or of the batch, which have no order, is unknown on purpose.
"""

from collections.abc import Callable, Mapping

from evo_clrs.proposers.grammar.dims import ONE, Dim
from evo_clrs.proposers.grammar.rules import FALSE, LAST, Shape, axes_of, shape_of
from evo_clrs.proposers.grammar.values import (
    NONE,
    UNKNOWN,
    VARYING,
    Array,
    Constant,
    Items,
    Layer,
    ShapeError,
    Size,
    Value,
)

# Calls a function, layer or class of a program with arguments.
Call = Callable[[Value, list[Value], dict[str, Value]], Value]
_UNIT = Size(ONE)
_SAME = Constant("SAME")
TRUE = Constant(True)


def is_ordered(dim: Dim) -> bool:
    """Whether positions along an axis have a meaning, unlike those of nodes or of a batch."""
    return not dim.symbols & VARYING


def _whole(value: Value) -> int | None:
    """Returns a plain number, also from a tuple of one; None if it is not known."""
    if isinstance(value, Items) and len(value.items) == 1:
        (value,) = value.items
    return value.dim.number if isinstance(value, Size) else None


def _windows(length: Dim, kernel: int, stride: int, padding: Value) -> Dim | None:
    """Returns how many windows of a size fit on an axis, None if the padding is not known."""
    if kernel < 1 or stride < 1:
        raise ShapeError("kernels and strides are 1 or more")
    if isinstance(padding, Constant) and padding.value == "SAME":
        return (length + Dim.of(stride - 1)).floor(stride)
    ends: Shape | None = None
    if isinstance(padding, Constant) and padding.value == "VALID":
        ends = ()
    elif isinstance(padding, Items):
        inner = padding.items[0] if len(padding.items) == 1 else padding
        ends = shape_of(inner)
    if ends is None:
        return None
    for end in ends:
        length = length + end
    return (length - Dim.of(kernel)).floor(stride) + ONE


# Layers. Each gets its settings and the value that it is applied to.


def convolution(layer: Layer, x: Array) -> Value:
    """hk.Conv1D and hk.DepthwiseConv1D on [B, T, channels]."""
    if len(x.shape) not in (2, 3):
        raise ShapeError(f"{layer.kind} takes [B, T, channels], not {x}")
    if len(x.shape) == 2 or not is_ordered(x.shape[1]) or not is_ordered(x.shape[2]):
        return UNKNOWN
    kernel, stride, rate = (
        _whole(layer.get(name, _UNIT)) for name in ("kernel_shape", "stride", "rate")
    )
    width = layer.get("output_channels")
    if layer.kind == "hk.DepthwiseConv1D":
        times = layer.get("channel_multiplier")
        width = Size(x.shape[2] * times.dim) if isinstance(times, Size) else UNKNOWN
    if kernel is None or stride is None or rate is None or not isinstance(width, Size):
        return UNKNOWN
    reach, padding = (kernel - 1) * rate + 1, layer.get("padding", _SAME)
    if layer.kind == "hk.DepthwiseConv1D" and shape_of(padding) is not None:
        raise ShapeError("hk.DepthwiseConv1D takes its padding in a list")
    length = _windows(x.shape[1], reach, stride, padding)
    return UNKNOWN if length is None else Array((x.shape[0], length, width.dim))


def flattened(layer: Layer, x: Array) -> Value:
    """hk.Flatten."""
    kept = _whole(layer.get("preserve_dims", _UNIT))
    if kept is None or not 0 < kept < len(x.shape):
        return UNKNOWN
    total = ONE
    for dim in x.shape[kept:]:
        total *= dim
    return Array((*x.shape[:kept], total))


def biased(layer: Layer, x: Array) -> Value:
    """hk.Bias over the last axes."""
    axes = axes_of(layer.get("bias_dims"), len(x.shape))
    if axes is None or not all(is_ordered(x.shape[axis]) for axis in axes):
        return UNKNOWN
    return x


LAYERS: Mapping[str, Callable[[Layer, Array], Value]] = {
    "hk.Conv1D": convolution,
    "hk.DepthwiseConv1D": convolution,
    "hk.Flatten": flattened,
    "hk.Bias": biased,
}
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "hk.Conv1D": ("output_channels", "kernel_shape", "stride", "rate", "padding", "with_bias"),
    "hk.DepthwiseConv1D": ("channel_multiplier", "kernel_shape", "stride", "rate", "padding"),
    "hk.Flatten": ("preserve_dims",),
    "hk.Bias": ("output_size", "bias_dims", "b_init"),
    "hk.LSTM": ("hidden_size",),
    "hk.VanillaRNN": ("hidden_size", "double_bias"),
}
CORES = ("hk.GRU", "hk.LSTM", "hk.VanillaRNN")


def initial_state(core: Layer, batch_size: Value) -> Value:
    """Returns what the method `initial_state` of a recurrent core returns."""
    width = core.get("hidden_size")
    if core.kind not in CORES or not isinstance(width, Size) or not isinstance(batch_size, Size):
        return UNKNOWN
    state = Array((batch_size.dim, width.dim))
    return Items((state, state)) if core.kind == "hk.LSTM" else state


def step(core: Layer, x: Array, state: Value) -> Value:
    """Returns what hk.LSTM or hk.VanillaRNN returns: an output and the next state."""
    width = core.get("hidden_size")
    if len(x.shape) > 2:
        raise ShapeError(f"{core.kind} takes at most two axes")
    if not isinstance(width, Size):
        return UNKNOWN
    out = Array((*x.shape[:-1], width.dim))
    return Items((out, Items((out, out)) if core.kind == "hk.LSTM" else out))


# Loops. Each gets the function that calls functions of the program.


def scan(
    call: Call,
    f: Value,
    init: Value,
    xs: Value,
    length: Value = NONE,
    reverse: Value = FALSE,
    unroll: Value = _UNIT,
) -> Value:
    """hk.scan and jax.lax.scan over the first axis of one array."""
    if not isinstance(xs, Array) or not xs.shape or not is_ordered(xs.shape[0]):
        return UNKNOWN
    done = call(f, [init, Array(xs.shape[1:])], {})
    if not isinstance(done, Items) or len(done.items) != 2:
        return UNKNOWN
    carry, y = done.items
    if carry != init:
        raise ShapeError("the carry of a scan changes its shape")
    return Items((carry, _stacked(y, xs.shape[0], 0)))


def unroll(
    call: Call,
    core: Value,
    input_sequence: Value,
    initial_state: Value,
    time_major: Value = TRUE,
    reverse: Value = FALSE,
) -> Value:
    """hk.dynamic_unroll and hk.static_unroll of one array."""
    if not isinstance(input_sequence, Array) or not isinstance(time_major, Constant):
        return UNKNOWN
    shape, axis = input_sequence.shape, 0 if time_major.value else 1
    if len(shape) <= axis or not is_ordered(shape[axis]):
        return UNKNOWN
    x = Array(shape[:axis] + shape[axis + 1 :])
    done = call(core, [x, initial_state], {})
    if not isinstance(done, Items) or len(done.items) != 2:
        return UNKNOWN
    out, state = done.items
    if state != initial_state:
        raise ShapeError("the state of a recurrence changes its shape")
    return Items((_stacked(out, shape[axis], axis), state))


def _stacked(value: Value, length: Dim, axis: int) -> Value:
    if isinstance(value, Items):
        return Items(tuple(_stacked(item, length, axis) for item in value.items))
    if not isinstance(value, Array):
        return UNKNOWN
    return Array((*value.shape[:axis], length, *value.shape[axis:]))


LOOPS: Mapping[str, Callable[..., Value]] = {
    "hk.scan": scan,
    "jax.lax.scan": scan,
    "hk.dynamic_unroll": unroll,
    "hk.static_unroll": unroll,
}


# Functions.


def _ordered(x: Value, axis: Value) -> list[int] | None:
    """Returns axes along which an array has an order, None if not all of these."""
    axes = axes_of(axis, len(x.shape)) if isinstance(x, Array) and axis != NONE else None
    if axes is None or not isinstance(x, Array):
        return None
    return axes if all(is_ordered(x.shape[i]) for i in axes) else None


def _pool(
    value: Value,
    window_shape: Value,
    strides: Value,
    padding: Value,
    channel_axis: Value = LAST,
) -> Value:
    """hk.max_pool and hk.avg_pool of [B, T, channels] along T."""
    if not isinstance(value, Array) or len(value.shape) != 3 or not is_ordered(value.shape[1]):
        return UNKNOWN
    if channel_axis != LAST:
        return UNKNOWN
    batch, length, width = value.shape
    sizes = []
    for setting in (window_shape, strides):
        entries = setting.items if isinstance(setting, Items) else (setting, _UNIT)
        if len(entries) not in (2, 3) or any(e != _UNIT for e in (*entries[:-2], entries[-1])):
            return UNKNOWN
        sizes.append(_whole(entries[-2]))
    window, stride = sizes
    if window is None or stride is None:
        return UNKNOWN
    count = _windows(length, window, stride, padding)
    return UNKNOWN if count is None else Array((batch, count, width))


def _flip(m: Value, axis: Value) -> Value:
    return UNKNOWN if _ordered(m, axis) is None else m


def _roll(a: Value, shift: Value, axis: Value) -> Value:
    return UNKNOWN if _ordered(a, axis) is None else a


def _cumsum(a: Value, axis: Value) -> Value:
    return UNKNOWN if _ordered(a, axis) is None else a


def _diff(a: Value, n: Value = _UNIT, axis: Value = LAST) -> Value:
    axes, count = _ordered(a, axis), _whole(n)
    if axes is None or count is None or not isinstance(a, Array):
        return UNKNOWN
    shorter = (dim - Dim.of(count) if i in axes else dim for i, dim in enumerate(a.shape))
    return Array(tuple(shorter))


def _linspace(start: Value, stop: Value, num: Value) -> Value:
    if not isinstance(num, Size) or not is_ordered(num.dim):
        return UNKNOWN
    return Array((num.dim,))


def _arange(start: Value) -> Value:
    return _linspace(start, start, start)


RULES: Mapping[str, Callable[..., Value]] = {
    "hk.max_pool": _pool,
    "hk.avg_pool": _pool,
    "jnp.flip": _flip,
    "jnp.roll": _roll,
    "jnp.cumsum": _cumsum,
    "jnp.diff": _diff,
    "jnp.linspace": _linspace,
    "jnp.arange": _arange,
}
