"""Training and scoring of one network: compiled once, then run from as many seeds as wanted.

Batches are drawn from the training signals with replacement. Training and scoring are done in
batches of one size, so that a network is traced at one size only.
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from evo_clrs.errors import Rejected
from evo_clrs.problems.mnist1d.data import CLASSES, LENGTH, Samples
from evo_clrs.problems.slot_function import Arrays, SlotFunction
from evo_clrs.records import Size, make_size
from evo_clrs.training import loop

# `(parameters, seed) -> accuracy`, 0 to 1; what it raises is told in `Trial.scorer`.
Scorer = Callable[[Arrays, int], float]


def size_of(batch_size: int) -> Size:
    """Returns the size at which networks are traced."""
    return make_size(B=batch_size, L=LENGTH, C=CLASSES)


class Trial:
    """Trains a network, from the same compiled steps for every seed.

    Attributes:
      compile_seconds: what compiling took, scorers included.
    """

    def __init__(self, network: SlotFunction, training: loop.Training, train: Samples):
        """Compiles the steps.

        Raises:
          Rejected: at stage `failed`: memory ran out.
        """
        self._network = network
        self._training = training
        self._size = size_of(training.batch_size)
        self._pools = (jax.device_put(train),)
        self._init = jax.jit(lambda key: network.init(key, self._size))
        shapes = jax.eval_shape(self._init, jax.random.PRNGKey(0))
        state = loop.start(shapes, training)
        self._steps = loop.compile_steps(self._loss, _draw, self._pools, state, training)
        self.compile_seconds = self._steps.seconds

    def run(self, seed: int, validate: Scorer | None = None) -> loop.Outcome:
        """Trains from one seed.

        Raises:
          Rejected: at stage `failed`: a loss or logit is not finite, or memory ran out.
        """
        init_key, train_key = jax.random.split(_key(seed, "train"))
        return loop.train(
            loss=self._loss,
            draw=_draw,
            pools=self._pools,
            state=loop.start(self._init(init_key), self._training),
            training=self._training,
            key=train_key,
            validate=validate and (lambda parameters: {"score": validate(parameters, seed)}),
            compiled=self._steps,
        )

    def scorer(self, samples: Samples) -> Scorer:
        """Returns a function that scores parameters on samples by the fraction classified right.

        Samples are classified in batches, in one call; the last batch is filled up with samples
        that are then left out. The function never sees their classes. It raises Rejected at stage
        `failed` where a logit is not finite.
        """
        begin = time.perf_counter()
        batch = self._training.batch_size
        batches = -(-samples.count // batch)
        chosen = np.arange(batches * batch).reshape(batches, batch) % samples.count
        signals = jax.device_put(samples.signals[chosen])  # [batches, B, L]

        def forward(
            parameters: Arrays, key: jax.Array, signals: jax.Array
        ) -> tuple[jax.Array, jax.Array]:
            def one_batch(arguments: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
                number, batch = arguments
                logits = self._logits(parameters, jax.random.fold_in(key, number), batch)
                return jnp.argmax(logits, axis=1), jnp.all(jnp.isfinite(logits))

            decided, finite = jax.lax.map(one_batch, (jnp.arange(batches), signals))
            return decided.reshape(-1), jnp.all(finite)

        shapes = jax.eval_shape(self._init, jax.random.PRNGKey(0))
        compiled = jax.jit(forward).lower(shapes, jax.random.PRNGKey(0), signals).compile()
        self.compile_seconds += time.perf_counter() - begin

        def score(parameters: Arrays, seed: int) -> float:
            decided, finite = jax.device_get(compiled(parameters, _key(seed, "score"), signals))
            if not finite:
                raise Rejected("failed", "a logit is not finite")
            return float(np.mean(decided[: samples.count] == samples.classes))

        return score

    def _logits(self, parameters: Arrays, key: jax.Array, signals: jax.Array) -> jax.Array:
        (logits,) = self._network.apply(parameters, key, self._size, (signals,))
        return logits

    def _loss(self, parameters: Arrays, key: jax.Array, batch: Samples) -> jax.Array:
        """Returns the mean cross-entropy of a batch."""
        logits = self._logits(parameters, key, batch.signals)  # [B, C]
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.classes).mean()


def _key(seed: int, purpose: str) -> jax.Array:
    return jax.random.fold_in(jax.random.PRNGKey(seed), ("train", "score").index(purpose))


def _draw(key: jax.Array, pool: Samples, batch_size: int) -> Samples:
    return pool.take(jax.random.randint(key, (batch_size,), 0, pool.count))
