"""Shapes of samples and predictions, from features alone."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from evo_clrs.clrs_library import clrs
from evo_clrs.problems.clrs.data import Pool
from evo_clrs.problems.clrs.tasks import Feature, Task

_Location, _Type = clrs.Location, clrs.Type


def categories_of(task: Task, samples: Pool) -> dict[str, int]:
    """Returns the number of classes of each categorical feature, as a `Model` needs them."""
    arrays = {**samples.inputs, **samples.hints, **samples.outputs}
    return {
        feature.name: arrays[feature.name].shape[-1]
        for feature in task.features
        if feature.type == _Type.CATEGORICAL
    }


def empty_batch(
    task: Task, categories: Mapping[str, int], batch_size: int, nodes: int, steps: int
) -> Pool:
    """Returns a batch of zeros for `steps` steps of message passing: for shapes, not for values."""

    def zeros(features: tuple[Feature, ...], *leading: int) -> dict[str, jax.Array]:
        return {
            feature.name: jnp.zeros(
                leading + _shape(feature, batch_size, nodes, categories),
                jnp.int32 if feature.type == _Type.POINTER else jnp.float32,
            )
            for feature in features
        }

    return Pool(
        inputs=zeros(task.inputs),
        hints=zeros(task.hints, steps + 1),
        outputs=zeros(task.outputs),
        lengths=jnp.zeros(batch_size, jnp.int32),
    )


def _shape(
    feature: Feature,
    batch_size: int,
    nodes: int,
    categories: Mapping[str, int],
    predicted: bool = False,
) -> tuple[int, ...]:
    """Returns the shape of a feature's data, or of its raw prediction."""
    rank = {_Location.NODE: 1, _Location.EDGE: 2, _Location.GRAPH: 0}[feature.location]
    shape = (batch_size, *[nodes] * rank)
    if feature.type == _Type.CATEGORICAL:
        return (*shape, categories[feature.name])
    if feature.type == _Type.PERMUTATION_POINTER or (predicted and feature.type == _Type.POINTER):
        return (*shape, nodes)
    return shape
