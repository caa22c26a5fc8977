"""Edge features of a model, as channels and vectors.

Each input and hint that bears on edges is encoded by linear layers that read one number (a class
for each category) of each edge, and all encodings are added up. So edge features have as many
channels as there are such numbers, and one more, always 1, whose vector is the sum of all biases.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from evo_clrs.clrs_library import clrs
from evo_clrs.linear import Factored, weights_of
from evo_clrs.problems.clrs.tasks import Feature, Task

_Location, _Type = clrs.Location, clrs.Type
_POINTERS = (_Type.POINTER, _Type.PERMUTATION_POINTER)


def count_channels(task: Task, categories: Mapping[str, int]) -> int:
    """Returns R, how many channels the edge features of a task have."""

    def count(feature: Feature) -> int:
        if feature.location == _Location.NODE:
            return 1 if feature.type in _POINTERS else 0
        if feature.location != _Location.EDGE:
            return 0
        if feature.type == _Type.CATEGORICAL:
            return categories[feature.name]
        return 2 if feature.type == _Type.POINTER else 1

    return 1 + sum(map(count, (*task.inputs, *task.hints)))


def encode(
    encoders: Mapping[str, Sequence[hk.Linear]], points: Sequence[Any], like: jax.Array
) -> Factored:
    """Returns the edge features; to be called within a Haiku function.

    Args:
      encoders: the library's, by name.
      points: inputs and hints as the library's `preprocess` returns them.
      like: any array [B, N, ...] of the batch.
    """
    channels, vectors, biases = [], [], []

    def add(layer: hk.Linear, numbers: jax.Array) -> None:  # [B, N, N, K]
        w, b = weights_of(layer, numbers.shape[-1])
        channels.append(numbers)
        vectors.append(w)
        biases.append(b)

    for point in points:
        if point.location == _Location.NODE and point.type_ in _POINTERS:
            add(encoders[point.name][0], point.data[..., None])
        elif point.location == _Location.EDGE and point.type_ == _Type.POINTER:
            # A pointer [B, N, N, N] counts for the edges on both of its sides.
            senders, receivers = encoders[point.name]
            add(senders, jnp.mean(point.data, axis=1)[..., None])
            add(receivers, jnp.mean(point.data, axis=2)[..., None])
        elif point.location == _Location.EDGE:
            classes = point.type_ == _Type.CATEGORICAL
            add(encoders[point.name][0], point.data if classes else point.data[..., None])
    batch_size, nodes = like.shape[:2]
    channels.append(jnp.ones((batch_size, nodes, nodes, 1), like.dtype))
    bias = sum(biases) if biases else jnp.zeros(like.shape[-1], like.dtype)
    return Factored(
        jnp.concatenate(channels, axis=-1),
        jnp.concatenate([*vectors, jnp.reshape(bias, (1, -1))], axis=0),
    )
