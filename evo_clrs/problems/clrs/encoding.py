"""From inputs and hints to the features that a step of message passing reads.

The library encodes each of them by linear layers that read one number (a class for each category)
of each node or edge, and adds up all encodings. So features are channels, one for each such number,
times vectors: those of nodes are computed as that one product, and those of edges stay in this
form, with a channel more, always 1, whose vector is the sum of all biases.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from evo_clrs.clrs_library import clrs
from evo_clrs.linear import Factored, multiply, weights_of
from evo_clrs.problems.clrs.tasks import Feature, Task

_encoders = clrs._src.encoders
_Location, _Type = clrs.Location, clrs.Type
_POINTERS = (_Type.POINTER, _Type.PERMUTATION_POINTER)

Encoders = Mapping[str, Sequence[hk.Linear]]


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
    encoders: Encoders, points: Sequence[Any], hidden: jax.Array
) -> tuple[jax.Array, Factored, jax.Array, jax.Array]:
    """Returns all that is encoded; to be called within a Haiku function.

    Args:
      encoders: the library's, by name.
      points: inputs and hints, as the library's data points.
      hidden: [B, N, H] embeddings.

    Returns:
      features of nodes [B, N, H], of edges [B, N, N, H] and of the graph [B, H], and the adjacency
      matrix [B, N, N].
    """
    batch_size, nodes, width = hidden.shape
    points = [_encoders.preprocess(point, nodes) for point in points]
    graph_fts = jnp.zeros((batch_size, width))
    adj_mat = jnp.repeat(jnp.eye(nodes)[None], batch_size, axis=0)
    for point in points:
        adj_mat = _encoders.accum_adj_mat(point, adj_mat)
        graph_fts = _encoders.accum_graph_fts(encoders[point.name], point, graph_fts)
    node_fts = encode_nodes(encoders, points, hidden)
    return node_fts, encode_edges(encoders, points, hidden), graph_fts, adj_mat


def encode_nodes(encoders: Encoders, points: Sequence[Any], hidden: jax.Array) -> jax.Array:
    """Returns the features of nodes, [B, N, H]; see `encode`.

    Args:
      encoders: the library's, by name.
      points: as the library's `preprocess` returns them. One of them is of nodes at least.
      hidden: [B, N, H].
    """
    channels = _Channels()
    for point in points:
        pointer = point.type_ in _POINTERS
        of_nodes = point.location == _Location.NODE and not pointer
        if of_nodes or (point.location == _Location.GRAPH and pointer):
            channels.add(encoders[point.name][0], _numbers(point))
    return multiply(channels.numbers(), channels.vectors()) + channels.bias(hidden)


def encode_edges(encoders: Encoders, points: Sequence[Any], hidden: jax.Array) -> Factored:
    """Returns the features of edges; arguments as of `encode_nodes`."""
    channels = _Channels()
    for point in points:
        if point.location == _Location.NODE and point.type_ in _POINTERS:
            channels.add(encoders[point.name][0], point.data[..., None])
        elif point.location == _Location.EDGE and point.type_ == _Type.POINTER:
            # A pointer [B, N, N, N] counts for the edges on both of its sides.
            senders, receivers = encoders[point.name]
            channels.add(senders, jnp.mean(point.data, axis=1)[..., None])
            channels.add(receivers, jnp.mean(point.data, axis=2)[..., None])
        elif point.location == _Location.EDGE:
            channels.add(encoders[point.name][0], _numbers(point))
    batch_size, nodes, _ = hidden.shape
    ones = jnp.ones((batch_size, nodes, nodes, 1), hidden.dtype)
    return Factored(channels.numbers(ones), channels.vectors(channels.bias(hidden)[None]))


class _Channels:
    """Numbers [..., K] that layers read, side by side, with the weights and biases of these."""

    def __init__(self) -> None:
        self._numbers: list[jax.Array] = []
        self._weights: list[jax.Array] = []
        self._biases: list[jax.Array] = []

    def add(self, layer: hk.Linear, numbers: jax.Array) -> None:
        weights, bias = weights_of(layer, numbers.shape[-1])
        self._numbers.append(numbers)
        self._weights.append(weights)
        self._biases.append(bias)

    def numbers(self, *more: jax.Array) -> jax.Array:
        return jnp.concatenate([*self._numbers, *more], axis=-1)

    def vectors(self, *more: jax.Array) -> jax.Array:
        return jnp.concatenate([*self._weights, *more], axis=0)

    def bias(self, hidden: jax.Array) -> jax.Array:
        """Returns the sum of all, [H], zeros of the same type as `hidden` if there are none."""
        return sum(self._biases, start=jnp.zeros(hidden.shape[-1], hidden.dtype))


def _numbers(point: Any) -> jax.Array:
    """Returns what the layer of a point reads: the classes of a category, or one number."""
    return point.data if point.type_ == _Type.CATEGORICAL else point.data[..., None]
