"""The loss of rows together is the sum of the library's losses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.clrs_library import clrs
from evo_clrs.problems.clrs import losses
from evo_clrs.problems.clrs.shapes import categories_of
from evo_clrs.problems.clrs.tasks import TASKS, task
from tests.problems.clrs.side_by_side import PROTOCOL, samples

library = clrs._src.losses
_Type = clrs.Type


def random_like(feature, truth, batch, categories, random):
    """Raw predictions of a feature, in the shape that decoders give."""
    shape = truth.shape
    if feature.type == _Type.POINTER:
        shape = (*shape, batch.nodes)
    elif feature.type == _Type.CATEGORICAL:
        assert shape[-1] == categories[feature.name]
    return jnp.asarray(random.normal(size=shape), jnp.float32)


@pytest.mark.parametrize("name", TASKS)
def test_the_sum_and_its_gradients_are_the_library_s(name):
    posed, batch = task(name, PROTOCOL), samples(name, 3)
    categories, random = categories_of(posed, batch), np.random.default_rng(0)
    outputs = {
        f.name: random_like(f, batch.outputs[f.name], batch, categories, random)
        for f in posed.outputs
    }
    hints = {
        f.name: random_like(f, batch.hints[f.name][1:], batch, categories, random)
        for f in posed.hints
    }

    def point(feature, truth):
        return clrs.DataPoint(feature.name, feature.location, feature.type, truth)

    def of_library(outputs, hints):
        total = 0.0
        for f in posed.outputs:
            truth = point(f, batch.outputs[f.name])
            total += library.output_loss(truth, outputs[f.name], batch.nodes)
        for f in posed.hints:
            truth = point(f, batch.hints[f.name])
            total += library.hint_loss(truth, hints[f.name], batch.lengths, batch.nodes)
        return total

    def ours(outputs, hints):
        rows = [losses.of_output(f, outputs[f.name], batch) for f in posed.outputs]
        rows += [losses.of_hint(f, hints[f.name], batch) for f in posed.hints]
        return losses.add_up(rows)

    expected, found = (
        jax.value_and_grad(function, argnums=(0, 1))(outputs, hints)
        for function in (of_library, ours)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), found, expected
    )


def test_what_a_mask_leaves_out_counts_nothing():
    """Of four nodes two count, and each of these half."""
    (feature,) = (f for f in task("bfs").hints if f.type == _Type.MASK)
    batch = samples("bfs", 1)
    truth = jnp.asarray([[1.0, 0.0, -1.0, -1.0]])
    output = dataclasses.replace(batch, outputs={feature.name: truth})
    rows = losses.of_output(feature, jnp.zeros((1, 4)), output)
    np.testing.assert_allclose(rows.weights, [0.5, 0.5, 0, 0])
    np.testing.assert_allclose(losses.add_up([rows]), np.log(2), rtol=1e-6)


def test_a_hint_of_no_steps_counts_nothing():
    """Where every trajectory is one step long, nothing follows the first hint."""
    posed, batch = task("bfs"), samples("bfs", 2)
    one = dataclasses.replace(
        batch, hints={n: a[:1] for n, a in batch.hints.items()}, lengths=jnp.ones(2, jnp.int32)
    )
    (feature,) = (f for f in posed.hints if f.type == _Type.MASK)
    rows = losses.of_hint(feature, jnp.ones((1, 2, 4)), one)
    assert float(losses.add_up([rows])) == 0
