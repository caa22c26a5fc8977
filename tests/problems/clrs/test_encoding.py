"""Channels times vectors are the features of nodes and edges that the library encodes."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.clrs_library import clrs
from evo_clrs.problems.clrs import encoding
from evo_clrs.problems.clrs.shapes import categories_of
from evo_clrs.problems.clrs.tasks import TASKS, task
from tests.problems.clrs.side_by_side import PROTOCOL, samples

_encoders = clrs._src.encoders
WIDTH = 6


@pytest.mark.parametrize("name", TASKS)
def test_channels_times_vectors_are_the_library_s_features(name):
    posed, batch = task(name, PROTOCOL), samples(name)
    hidden = jnp.zeros((batch.count, batch.nodes, WIDTH))

    def call():
        points = []
        for feature in (*posed.inputs, *posed.hints):
            array = {**batch.inputs, **{n: a[0] for n, a in batch.hints.items()}}[feature.name]
            point = clrs.DataPoint(feature.name, feature.location, feature.type, array)
            points.append(_encoders.preprocess(point, batch.nodes))
        encoders = {
            f.name: _encoders.construct_encoders(
                f.stage, f.location, f.type, hidden_dim=WIDTH, init="default", name=f.name
            )
            for f in (*posed.inputs, *posed.hints)
        }
        nodes, edges = hidden, jnp.zeros((batch.count, batch.nodes, batch.nodes, WIDTH))
        for point in points:
            nodes = _encoders.accum_node_fts(encoders[point.name], point, nodes)
            edges = _encoders.accum_edge_fts(encoders[point.name], point, edges)
        ours = encoding.encode_nodes(encoders, points, hidden)
        return nodes, ours, edges, encoding.encode_edges(encoders, points, hidden)

    function = hk.transform(call)
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(function.init, jax.random.PRNGKey(0))
    parameters = jax.tree.map(lambda a: jnp.asarray(random.normal(size=a.shape), a.dtype), shapes)
    nodes, ours, edges, factored = function.apply(parameters, None)
    np.testing.assert_allclose(ours, nodes, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(factored.dense(), edges, rtol=1e-5, atol=1e-5)
    channels = encoding.count_channels(posed, categories_of(posed, batch))
    assert factored.channels.shape[-1] == factored.vectors.shape[0] == channels
