"""How a cell's network is trained and scored: the benchmark's protocol on the shared loop.

Stochastic gradient descent with Nesterov momentum, weight decay on all trained parameters, and a
learning rate that falls from its start to 0 along a cosine, step by step; random crops and, where
the images allow it, flips. One thing differs from the benchmark: images of a batch are drawn with
replacement, as the shared loop does; an epoch is as many steps as it takes to draw as many images
as there are.

References: Dong and Yang, "NAS-Bench-201", ICLR 2020, https://arxiv.org/abs/2001.00326, table 1.
"""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from evo_clrs.errors import Rejected
from evo_clrs.problems.cells.trained.images import Images, Kind
from evo_clrs.problems.cells.trained.network import AVERAGES, Network, Parameters
from evo_clrs.training.compiling import compile_lowered

_AVERAGE_RATE = 0.1  # what a running average takes of each batch


@dataclasses.dataclass(frozen=True)
class Descent:
    """Settings of the descent; the defaults are the benchmark's.

    Attributes:
      steps: steps until the learning rate is 0.
      learning_rate: at the start.
      momentum: Nesterov's.
      weight_decay: added to each gradient, times the parameter.
    """

    steps: int
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4


def transformation(descent: Descent) -> optax.GradientTransformation:
    """Returns what trains parameters by descent and lets running averages follow their batches."""
    rate = optax.cosine_decay_schedule(descent.learning_rate, descent.steps)
    return optax.multi_transform(
        {
            "trained": optax.chain(
                optax.add_decayed_weights(descent.weight_decay),
                optax.sgd(rate, momentum=descent.momentum, nesterov=True),
            ),
            "average": optax.sgd(_AVERAGE_RATE),
        },
        _labels,
    )


def _labels(parameters: Parameters) -> Any:
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "average" if path[-1].key in AVERAGES else "trained", parameters
    )


def make_draw(kind: Kind, augment: bool) -> Callable[[jax.Array, Images, int], Images]:
    """Returns the function that draws a batch from a pool, with replacement.

    Args:
      kind: what images these are.
      augment: whether images are cropped at random from a black margin of an eighth of their side
        (4 pixels on CIFAR-10, as the benchmark), and mirrored where that leaves their class.
    """
    margin = kind.side // 8

    def draw(key: jax.Array, pool: Images, batch_size: int) -> Images:
        choice_key, crop_key, flip_key = jax.random.split(key, 3)
        chosen = jax.random.randint(choice_key, (batch_size,), 0, pool.number)
        pixels, labels = jnp.asarray(pool.pixels)[chosen], jnp.asarray(pool.labels)[chosen]
        if augment:
            corners = jax.random.randint(crop_key, (batch_size, 2), 0, 2 * margin + 1)
            pixels = _crop(pixels, corners, margin)
        if augment and kind.flips:
            flipped = jax.random.bernoulli(flip_key, 0.5, (batch_size, 1, 1, 1))
            pixels = jnp.where(flipped, pixels[:, :, ::-1], pixels)
        return Images(pixels, labels)

    return draw


def _crop(pixels: jax.Array, corners: jax.Array, margin: int) -> jax.Array:
    """Returns each image moved: cut at its corner [B, 2] out of itself with a black margin."""
    wide = jnp.pad(pixels, ((0, 0), (margin, margin), (margin, margin), (0, 0)))

    def cut(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), pixels.shape[1:])

    return jax.vmap(cut)(wide, corners)


def normalise(kind: Kind, pixels: jax.Array) -> jax.Array:
    """Returns stored pixels as float32 of mean near 0 and deviation near 1 in each channel."""
    mean, deviation = jnp.asarray(kind.mean), jnp.asarray(kind.deviation)
    return ((pixels.astype(jnp.float32) - mean) / deviation).astype(jnp.float32)


def make_loss(network: Network, kind: Kind) -> Callable[[Parameters, jax.Array, Images], jax.Array]:
    """Returns the loss of a batch, the mean cross entropy: `(parameters, key, batch) -> scalar`."""

    def loss(parameters: Parameters, key: jax.Array, batch: Images) -> jax.Array:
        logits = network.train(parameters, normalise(kind, batch.pixels))
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).mean()

    return loss


@dataclasses.dataclass(frozen=True, eq=False)
class Scorer:
    """Scores parameters of one network on one pool, compiled once: see `make_scorer`.

    Attributes:
      count: images in the pool.
      compile_seconds: tracing and compiling.
      forward: compiled `(parameters, images) -> how many predicted rightly, whether all is finite`.
      held: the images in batches, on the device.
    """

    count: int
    compile_seconds: float
    forward: Any
    held: Images

    def __call__(self, parameters: Parameters) -> dict[str, float]:
        """Returns `score`, the accuracy.

        Raises:
          Rejected: at stage `failed`, when a prediction is not finite.
        """
        right, finite = jax.device_get(self.forward(parameters, self.held))
        if not finite:
            raise Rejected("failed", "a prediction is not finite")
        return {"score": int(right) / self.count}


def make_scorer(network: Network, kind: Kind, pool: Images, batch_size: int) -> Scorer:
    """Returns a scorer of this network on these images, predicted in batches by one call."""
    begin = time.perf_counter()
    batches = math.ceil(pool.number / batch_size)
    spare = batches * batch_size - pool.number  # the last batch is filled up with labels of none
    padded = Images(
        jnp.pad(jnp.asarray(pool.pixels), ((0, spare), (0, 0), (0, 0), (0, 0))),
        jnp.pad(jnp.asarray(pool.labels), (0, spare), constant_values=-1),
    )
    shape = (batches, batch_size)
    held = Images(
        padded.pixels.reshape(*shape, *padded.pixels.shape[1:]), padded.labels.reshape(shape)
    )

    def forward(parameters: Parameters, held: Images) -> tuple[jax.Array, jax.Array]:
        def one_batch(batch: Images) -> tuple[jax.Array, jax.Array]:
            logits = network.predict(parameters, normalise(kind, batch.pixels))
            right = jnp.sum(jnp.argmax(logits, axis=-1) == batch.labels)
            return right, jnp.all(jnp.isfinite(logits))

        right, finite = jax.lax.map(one_batch, held)
        return jnp.sum(right), jnp.all(finite)

    example = jax.ShapeDtypeStruct((1, kind.side, kind.side, kind.channels), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    parameters = jax.eval_shape(network.init, key, example)
    compiled = compile_lowered(jax.jit(forward).lower(parameters, held))
    return Scorer(pool.number, time.perf_counter() - begin, compiled, held)
