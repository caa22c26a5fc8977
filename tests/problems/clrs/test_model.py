"""The model computes what the library's BaselineModel computes, on all 30 tasks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.clrs_library import clrs
from evo_clrs.problems.clrs.model import Model, ModelOptions
from evo_clrs.problems.clrs.published import TABLE3
from evo_clrs.problems.clrs.shapes import categories_of, empty_batch
from evo_clrs.problems.clrs.sinkhorn import gumbel_noise, log_sinkhorn
from evo_clrs.problems.clrs.tasks import TASKS, task
from tests.problems.clrs.side_by_side import (
    BATCH,
    FAST_COMPILE,
    OPTIONS,
    PROTOCOL,
    both,
    filled,
    model_of,
    samples,
)


def assert_same(actual, expected) -> None:
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-5)
    assert actual[1].keys() == expected[1].keys()
    for name, prediction in expected[1].items():
        np.testing.assert_array_equal(actual[1][name], prediction, err_msg=name)


@pytest.mark.parametrize("name", TASKS)
def test_loss_and_predictions_equal_the_reference(name):
    assert_same(*both(name, "processor"))


@pytest.mark.parametrize("name", ["bfs", "heapsort", "floyd_warshall"])
def test_triplet_slot_equals_the_reference(name):
    assert_same(*both(name, "triplet"))


@pytest.mark.parametrize("kind", ["gat", "memnet_masked", "deepsets"])
def test_processors_without_edges_or_with_bias_equal_the_reference(kind):
    factory = clrs.get_processor_factory(kind, use_ln=True, nb_triplet_fts=0, nb_heads=2)
    assert_same(*both("bfs", "processor", factory))


@pytest.mark.parametrize("steps", [1, 7])
def test_sinkhorn_equals_the_library(steps):
    scores = jax.random.normal(jax.random.PRNGKey(0), (3, 5, 5))
    expected = clrs._src.decoders.log_sinkhorn(scores, steps, 0.1, True, None)
    np.testing.assert_allclose(log_sinkhorn(scores, steps, 0.1), expected, rtol=1e-6)


def test_gumbel_noise_equals_the_library():
    key, scores = jax.random.PRNGKey(0), jnp.zeros((3, 5, 5))
    expected = clrs._src.decoders.log_sinkhorn(scores, 2, 0.1, True, key)
    np.testing.assert_allclose(
        log_sinkhorn(gumbel_noise(key, scores.shape), 2, 0.1), expected, rtol=1e-6
    )


def test_gumbel_noise_is_for_training_only():
    batch = samples("insertion_sort")
    slot = filled("insertion_sort", "processor", OPTIONS, batch)
    noisy = dataclasses.replace(OPTIONS, gumbel_noise=True)
    keys = jax.random.PRNGKey(1), jax.random.PRNGKey(2)
    model = model_of("insertion_sort", batch, slot, noisy)
    params = model.init(jax.random.PRNGKey(0))
    loss = jax.jit(model.loss, compiler_options=FAST_COMPILE)
    forward = jax.jit(model.forward, compiler_options=FAST_COMPILE)
    assert loss(params, keys[0], batch) != loss(params, keys[1], batch)
    first, second = (forward(params, key, batch)["pred"] for key in keys)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("slot_name", ["processor", "triplet"])
@pytest.mark.parametrize("name", TASKS)
def test_parameters_equal_the_published_counts(name, slot_name):
    batch, options = samples(name), ModelOptions(hidden_size=128)
    posed = task(name, PROTOCOL)
    if name == "quickselect":
        # The library had no hint `pivot` when the paper was written.
        features = tuple(feature for feature in posed.features if feature.name != "pivot")
        posed = dataclasses.replace(posed, features=features)
    slot = filled(name, slot_name, options, batch)
    model = Model(posed, categories_of(posed, batch), slot, options)
    assert model.parameters == TABLE3[name].parameters


def test_fresh_weights_are_spread_as_haiku_spreads_them():
    batch, options = samples("bfs"), ModelOptions(hidden_size=64)
    model = model_of("bfs", batch, filled("bfs", "triplet", options, batch), options)
    params = model.init(jax.random.PRNGKey(0))["model"]
    layer = params["triplet_gmpnn/node_out"]
    # A normal cut at two standard deviations has 0.8796 of its standard deviation.
    assert np.std(layer["w"]) == pytest.approx(0.8796 / np.sqrt(128), rel=0.05)
    assert not np.any(layer["b"])
    assert np.all(params["triplet_gmpnn/gate_out"]["b"] == -3)
    weights = [array["w"].reshape(-1)[:8] for array in params.values() if "w" in array]
    assert len({weight.tobytes() for weight in map(np.asarray, weights)}) == len(weights)


def test_labels_do_not_reach_a_prediction():
    batch, key = samples("bfs"), jax.random.PRNGKey(1)
    model = model_of("bfs", batch, filled("bfs", "processor", OPTIONS, batch))
    params = model.init(jax.random.PRNGKey(0))
    blind = dataclasses.replace(batch, outputs={})
    hints = {name: array.at[1:].set(0) for name, array in batch.hints.items()}
    predict = jax.jit(model.predict, compiler_options=FAST_COMPILE)
    seen = predict(params, key, batch)["pi"]
    np.testing.assert_array_equal(predict(params, key, blind)["pi"], seen)
    np.testing.assert_array_equal(
        predict(params, key, dataclasses.replace(blind, hints=hints))["pi"], seen
    )


@pytest.mark.parametrize("name", ["bfs", "heapsort", "naive_string_matcher"])
def test_an_empty_batch_has_the_shapes_of_samples(name):
    batch = samples(name)
    posed = task(name, PROTOCOL)
    empty = empty_batch(posed, categories_of(posed, batch), BATCH, batch.nodes, batch.steps)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), empty) == jax.tree.map(
        lambda a: (a.shape, a.dtype), batch
    )


def test_a_width_below_one_is_refused():
    with pytest.raises(ValueError, match="hidden_size"):
        ModelOptions(hidden_size=0)
