"""Trusted scoring: predictions against labels that the graph never received.

The score of a split is the mean over its outputs, computed once over all of its samples by the
clrs library: the fraction right of pointers and categoricals, the F1 score of masks pooled over
samples and nodes.
"""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evo_clrs.clrs_library import clrs
from evo_clrs.errors import Rejected
from evo_clrs.problems.clrs.data import Pool, take
from evo_clrs.problems.clrs.model import Model, Parameters
from evo_clrs.problems.clrs.tasks import Task
from evo_clrs.training.compiling import compile_lowered


@dataclasses.dataclass(frozen=True, eq=False)
class Scorer:
    """Scores parameters of one model on one pool, compiled once: see `make_scorer`.

    Attributes:
      task: the task.
      pool: the samples, with their labels, on the host.
      compile_seconds: tracing and compiling.
      forward: compiled `(params, key, unlabelled samples) -> decisions, whether all are finite`.
      unlabelled: the samples without labels, in batches, on the device.
    """

    task: Task
    pool: Pool
    compile_seconds: float
    forward: Any
    unlabelled: Any

    def __call__(self, params: Parameters, key: jax.Array) -> dict[str, float]:
        """Returns `score`, and the score of each output under its name.

        Raises:
          Rejected: at stage `failed`, when a prediction is not finite.
        """
        return evaluate(self.task, self.pool, self.predict(params, key))

    def predict(self, params: Parameters, key: jax.Array) -> dict[str, np.ndarray]:
        """Returns decided predictions for all samples, name -> [S, ...]; raises as the call."""
        decisions, finite = jax.device_get(self.forward(params, key, self.unlabelled))
        if not finite:
            raise Rejected("failed", "a prediction is not finite")
        return {
            name: array.reshape(-1, *array.shape[2:])[: self.pool.count]
            for name, array in decisions.items()
        }


def make_scorer(model: Model, pool: Pool, batch_size: int) -> Scorer:
    """Returns a scorer of this model on these samples.

    Samples are predicted in batches, in one call; the last batch is filled up with samples that are
    then left out. The model's slot must work at this batch size and the pool's number of nodes.
    """
    begin = time.perf_counter()
    batches = -(-pool.count // batch_size)
    indices = np.arange(batches * batch_size).reshape(batches, batch_size) % pool.count
    samples = jax.device_put(dataclasses.replace(pool, outputs={}))

    def forward(params: Parameters, key: jax.Array, samples: Pool) -> Any:
        def one_batch(arguments: tuple[jax.Array, jax.Array]) -> Any:
            number, chosen = arguments
            batch = take(samples, chosen)
            outputs = model.forward(params, jax.random.fold_in(key, number), batch)
            finite = [jnp.all(jnp.isfinite(array)) for array in outputs.values()]
            return model.decide(outputs), jnp.all(jnp.stack(finite))

        numbers = jnp.arange(batches), jnp.asarray(indices)
        decisions, finite = jax.lax.map(one_batch, numbers)
        return decisions, jnp.all(finite)

    shapes = model.shapes(), jax.eval_shape(lambda: jax.random.PRNGKey(0))
    compiled = compile_lowered(jax.jit(forward).lower(*shapes, samples))
    labelled = jax.device_get(pool)
    return Scorer(model.task, labelled, time.perf_counter() - begin, compiled, samples)


def evaluate(task: Task, pool: Pool, predictions: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Returns `score`, the mean over outputs, and the score of each output under its name.

    Args:
      task: the task.
      pool: samples with labels.
      predictions: decided predictions, name -> [S, ...], as `Scorer.predict` gives them.

    Raises:
      Rejected: at stage `failed`, when a score is not finite.
    """

    def points(arrays: Mapping[str, Any]) -> dict[str, Any]:
        return {
            output.name: clrs.DataPoint(
                name=output.name,
                location=output.location,
                type_=output.type,
                data=np.asarray(arrays[output.name]),
            )
            for output in task.outputs
        }

    scores = clrs.evaluate(tuple(points(pool.outputs).values()), points(predictions))
    scores = {name: float(value) for name, value in scores.items()}
    if not np.all(np.isfinite(list(scores.values()))):
        raise Rejected("failed", "a score is not finite")
    return scores
