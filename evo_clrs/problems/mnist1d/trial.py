"""Training and scoring of one network: compiled once, then run from as many seeds as wanted.

Training and scoring are done in batches of one size, so that a network is traced at one size only.
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
from evo_clrs.training.compiling import compile_lowered
from evo_clrs.training.rungs import Climb

# `(parameters, seed) -> accuracy`, 0 to 1; what it raises is told in `Trial.scorer`.
Scorer = Callable[[Arrays, int], float]


def size_of(batch_size: int) -> Size:
    """Returns the size at which networks are traced."""
    return make_size(B=batch_size, L=LENGTH, C=CLASSES)


def draw_with_replacement(key: jax.Array, pool: Samples, batch_size: int) -> Samples:
    """Returns a batch, each signal drawn from all of them."""
    return pool.take(jax.random.randint(key, (batch_size,), 0, pool.count))


def draw_in_order(step: jax.Array, pool: Samples, batch_size: int) -> Samples:
    """Returns the batch that comes next when the signals are gone through over and over."""
    return pool.take((step * batch_size + jnp.arange(batch_size)) % pool.count)


class Trial:
    """Trains a network, from the same compiled steps for every seed.

    Attributes:
      compile_seconds: what compiling took, scorers included.
    """

    def __init__(
        self,
        network: SlotFunction,
        training: loop.Training,
        train: Samples,
        draw: loop.Draw | loop.ByStep = draw_with_replacement,
    ):
        """Compiles the steps.

        Args:
          network: what to train.
          training: settings.
          train: the training signals.
          draw: draws a batch of them.

        Raises:
          Rejected: at stage `failed`: memory ran out.
        """
        self._network = network
        self._training = training
        self._size = size_of(training.batch_size)
        self._draw = draw
        self._pools = (jax.device_put(train),)
        self._state = loop.start(network.shapes(), training)
        self._steps = loop.compile_steps(self._loss, draw, self._pools, self._state, training)
        self.compile_seconds = self._steps.seconds

    def run(
        self, seed: int, validate: Scorer | None = None, stop: Climb | None = None
    ) -> loop.Outcome:
        """Trains from one seed, unless stopped on the way.

        Raises:
          Rejected: at stage `failed`: a loss or logit is not finite, or memory ran out.
        """
        state, train_key = self._started(seed)
        return loop.train(
            loss=self._loss,
            draw=self._draw,
            pools=self._pools,
            state=state,
            training=self._training,
            key=train_key,
            validate=validate and (lambda parameters: {"score": validate(parameters, seed)}),
            compiled=self._steps,
            stop=stop,
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
            parameters: Arrays, seed: jax.Array, signals: jax.Array
        ) -> tuple[jax.Array, jax.Array]:
            _, _, key = _keys(seed)

            def one_batch(arguments: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
                number, batch = arguments
                logits = self._logits(parameters, jax.random.fold_in(key, number), batch)
                return jnp.argmax(logits, axis=1), jnp.all(jnp.isfinite(logits))

            decided, finite = jax.lax.map(one_batch, (jnp.arange(batches), signals))
            return decided.reshape(-1), jnp.all(finite)

        compiled = compile_lowered(jax.jit(forward).lower(self._state.params, 0, signals))
        self.compile_seconds += time.perf_counter() - begin

        def score(parameters: Arrays, seed: int) -> float:
            decided, finite = jax.device_get(compiled(parameters, seed, signals))
            if not finite:
                raise Rejected("failed", "a logit is not finite")
            return float(np.mean(decided[: samples.count] == samples.classes))

        return score

    def _started(self, seed: int) -> tuple[loop.State, jax.Array]:
        """Returns the state before the first step, and the key of the training."""
        init_key, train_key, _ = _keys(seed)
        return loop.start(self._network.init(init_key, self._size), self._training), train_key

    def _logits(self, parameters: Arrays, key: jax.Array, signals: jax.Array) -> jax.Array:
        (logits,) = self._network.apply(parameters, key, self._size, (signals,))
        return logits

    def _loss(self, parameters: Arrays, key: jax.Array, batch: Samples) -> jax.Array:
        """Returns the mean cross-entropy of a batch."""
        logits = self._logits(parameters, key, batch.signals)  # [B, C]
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.classes).mean()


def _keys(seed: jax.Array | int) -> jax.Array:
    """Returns three keys, [3, 2]: to initialise, to train and to score with."""
    return jax.random.split(jax.random.PRNGKey(seed), 3)
