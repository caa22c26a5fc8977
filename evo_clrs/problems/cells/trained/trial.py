"""One cell's network, compiled for training and scoring with any number of seeds."""

import dataclasses
import math
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from evo_clrs.problems.cells.trained import protocol
from evo_clrs.problems.cells.trained.images import Kind, Source
from evo_clrs.problems.cells.trained.network import Network, Parameters
from evo_clrs.records import Cost
from evo_clrs.training import loop

_STEPS_PER_CALL = 50
_LOSSES_TOLD = 50  # the last ones, whose mean is told
_SCORED_AT_ONCE = 500  # images


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long and how a network is trained; the defaults are the benchmark's.

    Attributes:
      epochs: times that as many images are drawn as there are.
      batch_size: images in each step.
      learning_rate: at the start.
      momentum: Nesterov's.
      weight_decay: pull of trained parameters to 0.
      augment: whether images are cropped, and mirrored where their kind allows it.
    """

    epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    augment: bool = True


class Trial:
    """A network with its data, compiled once.

    Attributes:
      steps: steps of a training.
      compile_seconds: what compiling took.
    """

    def __init__(self, built: Network, source: Source, budget: Budget, split: str):
        """Reads the images and compiles.

        Args:
          built: the network.
          source: the images.
          budget: how it is trained.
          split: what it is scored on besides validation images.

        Raises:
          UserError: there is no such split, or its images cannot be read or are closed.
          Rejected: at stage `failed`: memory ran out.
        """
        begin = time.perf_counter()
        kind, pool = source.kind, jax.device_put(source.read("train"))
        self.steps = budget.epochs * math.ceil(pool.number / budget.batch_size)
        self._training = _training(budget, self.steps)
        self._pools = (pool,)
        self._draw = protocol.make_draw(kind, budget.augment)
        self._loss = protocol.make_loss(built, kind)
        self._init = _initialiser(built, kind)
        scored = dict.fromkeys(("validation", split))
        self._scorers = {
            name: protocol.make_scorer(built, kind, source.read(name), _SCORED_AT_ONCE)
            for name in scored
        }
        state = loop.start(self._init(jax.random.PRNGKey(0)), self._training)
        self._compiled = loop.compile_steps(
            self._loss, self._draw, self._pools, state, self._training
        )
        self.compile_seconds = time.perf_counter() - begin

    def train(self, seed: int) -> tuple[dict[str, float], Cost]:
        """Trains from a seed; returns metrics and cost.

        Raises:
          Rejected: at stage `failed`: a loss or prediction is not finite, or memory ran out.
        """
        init_key, train_key = jax.random.split(jax.random.PRNGKey(seed))
        outcome = loop.train(
            loss=self._loss,
            draw=self._draw,
            pools=self._pools,
            state=loop.start(self._init(init_key), self._training),
            training=self._training,
            key=train_key,
            compiled=self._compiled,
        )
        begin = time.perf_counter()
        scores = {name: score(outcome.state.params) for name, score in self._scorers.items()}
        accuracy = scores.pop("validation")["score"]
        metrics = {
            "val_accuracy": accuracy,
            "val_error": 1.0 - accuracy,
            "train_loss": float(outcome.losses[-_LOSSES_TOLD:].mean()),
        }
        for split_scores in scores.values():
            metrics["accuracy"] = split_scores["score"]
        spent = Cost(
            compile_seconds=outcome.compile_seconds,
            train_seconds=outcome.train_seconds,
            score_seconds=time.perf_counter() - begin,
        )
        return metrics, spent


def _training(budget: Budget, steps: int) -> loop.Training:
    descent = protocol.Descent(steps, budget.learning_rate, budget.momentum, budget.weight_decay)
    at_once = loop.steps_in_a_call(_STEPS_PER_CALL)
    return loop.Training(
        steps=steps,
        batch_size=budget.batch_size,
        steps_per_call=at_once,
        validate_every=at_once,
        transformation=protocol.transformation(descent),
    )


def _initialiser(built: Network, kind: Kind) -> Callable[[jax.Array], Parameters]:
    example = jnp.zeros((1, kind.side, kind.side, kind.channels))
    return jax.jit(lambda key: built.init(key, example))
