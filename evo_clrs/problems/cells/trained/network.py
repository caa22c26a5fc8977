"""The network of NAS-Bench-201 around a cell, in Haiku; trusted code, built from choices.

A stem, three stages of equal cells at widths w, 2w and 4w with a residual block of stride 2 between
them, then batch normalisation, ReLU, global average pooling and a linear layer. Convolutions have
no bias; each is followed by batch normalisation and, inside the network, preceded by a ReLU.

Batch normalisation keeps running averages among the parameters, so that a training that knows only
parameters carries them: their gradient is how far they are from the statistics of the batch.
Descent along it at rate 0.1, without momentum or decay, is the exponential moving average of the
benchmark; see `protocol.transformation`.

References: Dong and Yang, "NAS-Bench-201", ICLR 2020, https://arxiv.org/abs/2001.00326, section 2.1
and figure 1.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from evo_clrs import spaces
from evo_clrs.problems.cells import cell_costs

Choices = Sequence[int]
Parameters = Mapping[str, Mapping[str, jax.Array]]

AVERAGES = ("running_mean", "running_variance")  # leaves that follow statistics and are not trained

_EPSILON = 1e-5
_NONE = spaces.CELL.operations.index("none")
_KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}


@dataclasses.dataclass(frozen=True)
class Shape:
    """What the network is besides its cell; the defaults are the benchmark's.

    Attributes:
      width: channels of the first stage, doubled twice.
      cells: cells in each of the three stages.
      classes: classes of images.
    """

    width: int = 16
    cells: int = 5
    classes: int = 10


@dataclasses.dataclass(frozen=True)
class Network:
    """A network as pure functions.

    Attributes:
      init: `(key, image float32[1, H, W, C]) -> parameters`, running averages included; the image
        gives the shapes.
      train: `(parameters, images) -> logits float32[B, classes]`, normalised by the batch.
      predict: the same, normalised by the running averages.
    """

    init: Callable[[jax.Array, jax.Array], Parameters]
    train: Callable[[Parameters, jax.Array], jax.Array]
    predict: Callable[[Parameters, jax.Array], jax.Array]


def build(choices: Choices, shape: Shape) -> Network:
    """Returns the network with this cell: the operation of each edge, by number."""
    made = hk.transform(lambda images, training: _network(choices, shape, images, training))

    def init(key: jax.Array, image: jax.Array) -> Parameters:
        return _start(jax.eval_shape(lambda *given: made.init(*given, True), key, image), key)

    return Network(
        init=init,
        train=lambda parameters, images: made.apply(parameters, None, images, True),
        predict=lambda parameters, images: made.apply(parameters, None, images, False),
    )


def live(choices: Choices) -> tuple[int, ...]:
    """Returns the cell without its dead edges: those on no path from input to output are `none`.

    It computes the same function with the parameters that are left.
    """
    kept = cell_costs.live_edges(tuple(choices))
    return tuple(choice if edge in kept else _NONE for edge, choice in enumerate(choices))


def count(parameters: Parameters) -> int:
    """Returns how many trained parameters there are, running averages left out."""
    leaves = jax.tree_util.tree_leaves_with_path(parameters)
    return sum(int(np.prod(leaf.shape)) for path, leaf in leaves if path[-1].key not in AVERAGES)


def multiply_adds(choices: Choices, shape: Shape, side: int, channels: int) -> float:
    """Returns the multiply-adds of one image, as the benchmark counts them: see `cell_costs`.

    Args:
      choices: the cell, dead edges included.
      shape: what the network is besides its cell.
      side: height and width of the image.
      channels: channels of the image.
    """
    edges = sum(_KERNELS.get(spaces.CELL.operations[choice], 0) ** 2 for choice in choices)
    count = 9 * channels * shape.width * side**2
    for stage in range(3):
        width, places = shape.width * 2**stage, (side >> stage) ** 2
        count += shape.cells * edges * width**2 * places
        if stage:
            before = width // 2
            count += (9 * before * width + 9 * width**2 + before * width) * places
    return float(count + (4 * shape.width + 1) * shape.classes)


def layers(choices: Choices, shape: Shape) -> int:
    """Returns how many convolutions and linear layers the network has."""
    convolutions = sum(spaces.CELL.operations[choice] in _KERNELS for choice in choices)
    return 3 * shape.cells * convolutions + 2 * 3 + 2  # cells, reductions, stem and linear layer


def _start(shapes: Parameters, key: jax.Array) -> Parameters:
    """Returns parameters to start from: weights and biases uniform within 1 / sqrt(fan in).

    That is how the benchmark's networks start. All are cut from one draw, since an initialiser of
    its own for each took 8 s to compile.
    """
    total = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    drawn, used = jax.random.uniform(key, (total,), minval=-1.0, maxval=1.0), 0
    parameters: dict[str, dict[str, jax.Array]] = {}
    for module, leaves in shapes.items():
        parameters[module] = {}
        for name, leaf in leaves.items():
            if name in ("w", "b"):
                bound = 1.0 / np.sqrt(np.prod(leaves["w"].shape[:-1]))
                value = bound * drawn[used : used + leaf.size].reshape(leaf.shape)
                used += leaf.size
            else:
                start = 1.0 if name in ("scale", AVERAGES[1]) else 0.0
                value = jnp.full(leaf.shape, start, leaf.dtype)
            parameters[module][name] = value
    return parameters


def _network(choices: Choices, shape: Shape, images: jax.Array, training: bool) -> jax.Array:
    x = _convolution(images, shape.width, 3)  # [B, H, W, w]
    x = _normalise(x, training)
    for stage in range(3):
        width = shape.width * 2**stage
        if stage:
            x = _reduction(x, width, training)  # halves H and W
        for _ in range(shape.cells):
            x = _cell(choices, x, width, training)
    x = jax.nn.relu(_normalise(x, training))
    x = x.mean(axis=(1, 2))  # [B, 4w]
    return hk.Linear(shape.classes)(x)


def _cell(choices: Choices, x: jax.Array, width: int, training: bool) -> jax.Array:
    """Each node is the sum of one operation on every earlier node; the last one comes out."""
    nodes = [x]
    for end in range(1, 4):
        nodes.append(jnp.zeros_like(x))
        for (start, to), choice in zip(spaces.CELL.edges, choices, strict=True):
            if to == end and choice != _NONE:
                operation = spaces.CELL.operations[choice]
                nodes[end] += apply_operation(operation, nodes[start], width, training)
    return nodes[-1]


def apply_operation(operation: str, x: jax.Array, width: int, training: bool) -> jax.Array:
    """Returns an operation's result on a node, within a transformed function.

    Args:
      operation: one of `spaces.CELL.operations`.
      x: the node, [B, H, W, width].
      width: channels of the result.
      training: whether statistics are the batch's.
    """
    match operation:
        case "none":
            return jnp.zeros_like(x)
        case "skip_connect":
            return x
        case "nor_conv_1x1":
            return _relu_convolution(x, width, 1, 1, training)
        case "nor_conv_3x3":
            return _relu_convolution(x, width, 3, 1, training)
        case "avg_pool_3x3":
            # SAME padding: means are over what lies inside the image.
            return hk.avg_pool(x, (3, 3, 1), (1, 1, 1), "SAME")
    raise ValueError(f"operation: expected one of {spaces.CELL.operations}, got {operation!r}")


def _reduction(x: jax.Array, width: int, training: bool) -> jax.Array:
    """The residual block of stride 2 between stages; [B, H, W, w] -> [B, H/2, W/2, 2w]."""
    inner = _relu_convolution(x, width, 3, 2, training)
    inner = _relu_convolution(inner, width, 3, 1, training)
    short = hk.avg_pool(x, (2, 2, 1), (2, 2, 1), "VALID")
    return inner + _convolution(short, width, 1)


def _relu_convolution(
    x: jax.Array, width: int, kernel: int, stride: int, training: bool
) -> jax.Array:
    return _normalise(_convolution(jax.nn.relu(x), width, kernel, stride), training)


def _convolution(x: jax.Array, width: int, kernel: int, stride: int = 1) -> jax.Array:
    padding = (kernel // 2, kernel // 2)  # both sides alike, also at stride 2
    return hk.Conv2D(width, kernel, stride, padding=(padding, padding), with_bias=False)(x)


def _normalise(x: jax.Array, training: bool) -> jax.Array:
    return BatchNorm()(x, training)


class BatchNorm(hk.Module):
    """Batch normalisation whose running averages are parameters, see the head of this file."""

    def __call__(self, x: jax.Array, training: bool) -> jax.Array:
        """Returns x [B, H, W, C] normalised by channel, scaled and shifted."""
        channels = (x.shape[-1],)
        scale = hk.get_parameter("scale", channels, init=jnp.ones)
        offset = hk.get_parameter("offset", channels, init=jnp.zeros)
        averages = (
            hk.get_parameter(AVERAGES[0], channels, init=jnp.zeros),
            hk.get_parameter(AVERAGES[1], channels, init=jnp.ones),
        )
        if training:
            mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
            count = x.size // x.shape[-1]
            # The average is of the unbiased variance; the batch is normalised by the biased one.
            x = _follow(x, averages, (mean, variance * count / max(count - 1, 1)))
        else:
            mean, variance = averages
        return (x - mean) * (scale * jax.lax.rsqrt(variance + _EPSILON)) + offset


Averages = tuple[jax.Array, jax.Array]


@jax.custom_vjp
def _follow(x: jax.Array, averages: Averages, statistics: Averages) -> jax.Array:
    """Returns x; the gradient of `averages` is their distance from `statistics`."""
    return x


def _follow_forward(
    x: jax.Array, averages: Averages, statistics: Averages
) -> tuple[jax.Array, Averages]:
    return x, jax.tree.map(jnp.subtract, averages, statistics)


def _follow_backward(
    distance: Averages, cotangent: jax.Array
) -> tuple[jax.Array, Averages, Averages]:
    return cotangent, distance, jax.tree.map(jnp.zeros_like, distance)


_follow.defvjp(_follow_forward, _follow_backward)
