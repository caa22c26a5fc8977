"""From the features of a step to raw predictions of hints and outputs.

The library's decoders, with their parameters; those of pointers are computed as `pointers` says,
and those of other things that nodes hold as one layer.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from evo_clrs.clrs_library import clrs
from evo_clrs.linear import Factored, multiply, through_channels, weights_of
from evo_clrs.problems.clrs import pointers
from evo_clrs.problems.clrs.tasks import Feature

_decoders = clrs._src.decoders
_Location, _Type = clrs.Location, clrs.Type
_POINTERS = (_Type.POINTER, _Type.PERMUTATION_POINTER)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Features:
    """What a step of message passing leaves for decoders.

    Attributes:
      nodes: [B, N, 3H] encoded nodes, embeddings before and embeddings after the step.
      edges: [B, N, N, H + E] encoded edges, and the slot's edge embeddings if it has any.
      graph: [B, H] encoded graph features.
      adjacency: [B, N, N].
    """

    nodes: jax.Array
    edges: Factored
    graph: jax.Array
    adjacency: jax.Array


def decode(
    features: Features,
    wanted: Sequence[Feature],
    hidden_size: int,
    categories: Mapping[str, int],
    properties: Mapping[str, bool],
) -> dict[str, jax.Array]:
    """Returns raw predictions by name; to be called within a Haiku function.

    Args:
      features: what a step left.
      wanted: hints, or outputs. Permutations are decoded as plain pointers.
      hidden_size: width H of decoders.
      categories: name -> number of classes, for each categorical one.
      properties: answers of what fills the slot: whether predictions of what is no edge of the
        graph are pushed down.
    """
    layers = {
        feature.name: _decoders.construct_decoders(
            feature.location,
            feature.type,
            hidden_dim=hidden_size,
            nb_dims=categories.get(feature.name, 0),
            name=feature.name,
        )
        for feature in wanted
    }
    of_nodes = [f for f in wanted if f.location == _Location.NODE and f.type not in _POINTERS]
    predictions = _numbers_of_nodes(of_nodes, layers, features.nodes)
    with through_channels():
        for feature in wanted:
            if feature in of_nodes:
                continue
            own = layers[feature.name]
            if feature.type in _POINTERS and feature.location == _Location.NODE:
                found = _pointers_of_nodes(own, features)
                if properties.get("inf_bias", False):
                    found = _push_down(found, features.adjacency)
            elif feature.type in _POINTERS and feature.location == _Location.EDGE:
                found = _pointers_of_edges(own, features)
            else:
                found = _by_library(own, feature, features, properties)
            predictions[feature.name] = found
    return predictions


def soften(hints: Sequence[Feature], predictions: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """Returns raw predictions of hints as they are fed back: as probabilities, scalars as they are.

    What is one of equally many, nodes or categories, is computed together, and so are masks.

    Args:
      hints: their features.
      predictions: raw, name -> [B, ...].
    """
    together: dict[int, list[str]] = {}
    softened = {}
    for feature in hints:
        raw = predictions[feature.name]
        if feature.type == _Type.SCALAR:
            softened[feature.name] = raw
        else:
            classes = 0 if feature.type == _Type.MASK else raw.shape[-1]
            together.setdefault(classes, []).append(feature.name)
    for classes, names in together.items():
        shapes = [predictions[name].shape for name in names]
        rows = [jnp.reshape(predictions[name], (shapes[0][0], -1, classes or 1)) for name in names]
        stacked = jnp.concatenate(rows, axis=1)
        soft = jax.nn.softmax(stacked, axis=-1) if classes else jax.nn.sigmoid(stacked)
        ends = np.cumsum([array.shape[1] for array in rows])
        for name, shape, part in zip(names, shapes, jnp.split(soft, ends[:-1], 1), strict=True):
            softened[name] = jnp.reshape(part, shape)
    return softened


def _numbers_of_nodes(
    wanted: Sequence[Feature], layers: Mapping[str, Sequence[hk.Linear]], nodes: jax.Array
) -> dict[str, jax.Array]:
    """Returns what is wanted by name, [B, N] or, categories, [B, N, K].

    Layers that read the same are computed as one, since each takes its time to compile.
    """
    if not wanted:
        return {}
    weights, biases = zip(
        *(weights_of(layers[f.name][0], nodes.shape[-1]) for f in wanted), strict=True
    )
    numbers = multiply(nodes, jnp.concatenate(weights, axis=1)) + jnp.concatenate(biases)
    ends = np.cumsum([bias.size for bias in biases])
    return {
        feature.name: part if feature.type == _Type.CATEGORICAL else part[..., 0]
        for feature, part in zip(wanted, jnp.split(numbers, ends[:-1], axis=-1), strict=True)
    }


def _pointers_of_nodes(layers: Sequence[hk.Linear], features: Features) -> jax.Array:
    """Returns [B, N, N]."""
    asking, candidates = layers[0](features.nodes), layers[1](features.nodes)
    pairs = candidates[:, :, None] + layers[2](cast(jax.Array, features.edges))
    weights, bias = weights_of(layers[3], asking.shape[-1])
    return pointers.of_nodes(asking, pairs, weights[:, 0]) + bias


def _pointers_of_edges(layers: Sequence[hk.Linear], features: Features) -> jax.Array:
    """Returns [B, N, N, N]."""
    senders, receivers = layers[0](features.nodes), layers[1](features.nodes)
    asking = senders[:, :, None] + receivers[:, None] + layers[2](cast(jax.Array, features.edges))
    candidates = layers[3](features.nodes)
    weights, bias = weights_of(layers[4], candidates.shape[-1])
    return pointers.of_edges(asking, candidates, weights[:, 0]) + bias


def _push_down(scores: jax.Array, adjacency: jax.Array) -> jax.Array:
    """Returns scores [B, N, N] with those of what is no edge below all others, and below -1."""
    least = jnp.min(scores, axis=(1, 2), keepdims=True)
    return jnp.where(adjacency > 0.5, scores, jnp.minimum(-1.0, least - 1.0))


def _by_library(
    layers: Any, feature: Feature, features: Features, properties: Mapping[str, bool]
) -> jax.Array:
    hints, outputs = _decoders.decode_fts(
        decoders={feature.name: layers},
        spec={feature.name: (feature.stage, feature.location, feature.type)},
        h_t=features.nodes,
        adj_mat=features.adjacency,
        edge_fts=features.edges,
        graph_fts=features.graph,
        inf_bias=properties.get("inf_bias", False),
        inf_bias_edge=properties.get("inf_bias_edge", False),
        repred=True,  # matters for permutations only, which do not come here
    )
    return (outputs or hints)[feature.name]
