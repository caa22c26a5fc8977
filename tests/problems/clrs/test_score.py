"""Scores are those of the library, over a whole split at once."""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.clrs_library import clrs
from evo_clrs.errors import Rejected
from evo_clrs.gates.liveness import live_arguments
from evo_clrs.problems.clrs import data
from evo_clrs.problems.clrs.encoding import count_channels
from evo_clrs.problems.clrs.model import Model, ModelOptions
from evo_clrs.problems.clrs.prediction import prediction_module
from evo_clrs.problems.clrs.score import evaluate, make_scorer
from evo_clrs.problems.clrs.shapes import categories_of
from evo_clrs.problems.clrs.tasks import CLRS30, TASKS, task
from evo_clrs.problems.slot_function import from_haiku
from evo_clrs.slots import PROCESSOR, TRIPLET

KEY = jax.random.PRNGKey(0)
OPTIONS = ModelOptions(hidden_size=8)
PROTOCOL = dataclasses.replace(CLRS30, max_needle=1)


def samples(name: str, count: int) -> data.Pool:
    return data.make_pool(task(name, PROTOCOL), PROTOCOL, "train", 4, count, 1)


def model_of(name: str, pool: data.Pool, batch_size: int, factory=None, slot=PROCESSOR) -> Model:
    factory = factory or clrs.get_processor_factory("mpnn", use_ln=True, nb_triplet_fts=0)
    posed = task(name, PROTOCOL)
    categories = categories_of(posed, pool)
    size = OPTIONS.size(batch_size, pool.nodes, count_channels(posed, categories))
    return Model(posed, categories, from_haiku(slot, factory, size), OPTIONS)


def raw_predictions(model: Model, pool: data.Pool) -> dict[str, jax.Array]:
    """Random logits in the shapes of raw predictions."""
    random = np.random.default_rng(1)
    raw = jax.eval_shape(model.forward, model.shapes(), KEY, pool)
    return {n: jnp.asarray(random.normal(size=a.shape), jnp.float32) for n, a in raw.items()}


@pytest.mark.parametrize("name", TASKS)
def test_scores_equal_the_library(name):
    pool = samples(name, 6)
    model = model_of(name, pool, 6)
    decisions = jax.device_get(model.decide(raw_predictions(model, pool)))
    labels = data.feedback(model.task, pool).outputs
    points = {
        label.name: clrs.DataPoint(
            name=label.name, location=label.location, type_=label.type_, data=decisions[label.name]
        )
        for label in labels
    }
    assert evaluate(model.task, pool, decisions) == clrs.evaluate(labels, points)


def test_right_predictions_score_one():
    pool = samples("insertion_sort", 3)
    assert evaluate(task("insertion_sort"), pool, pool.outputs)["score"] == 1.0


@pytest.mark.parametrize("name", ["insertion_sort", "articulation_points"])
def test_batches_are_pooled_and_the_last_one_filled_up(name):
    pool = samples(name, 7)
    model = model_of(name, pool, 3)
    params = model.init(KEY)
    whole, batched = (make_scorer(model, pool, size) for size in (7, 3))
    for output, expected in whole.predict(params, KEY).items():
        np.testing.assert_array_equal(batched.predict(params, KEY)[output], expected)
    assert batched(params, KEY) == whole(params, KEY)


def test_a_prediction_that_is_not_finite_is_invalid():
    pool = samples("bfs", 4)
    model = model_of("bfs", pool, 2)
    broken = jax.tree.map(lambda array: array * jnp.nan, model.init(KEY))
    with pytest.raises(Rejected, match="prediction is not finite") as error:
        make_scorer(model, pool, 2)(broken, KEY)
    assert error.value.stage == "failed"


def mean_messages(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    messages = hk.Linear(out_size)(edge_fts)
    return messages + hk.Linear(out_size)(z)[:, None]


@pytest.mark.parametrize(("name", "alive"), [("bfs", True), ("minimum", False)])
def test_the_prediction_module_tells_whether_a_triplet_function_matters(name, alive):
    model = model_of(name, samples(name, 2), 2, mean_messages, TRIPLET)
    module = prediction_module(model)
    assert len(module.names) == len(jax.tree.leaves(model.shapes()))
    assert sum(module.sizes) == model.parameters
    live = live_arguments(module.text)
    named = {module.names[position] for position in live if position < len(module.names)}
    assert ("slot/linear/w" in named) is alive
    assert "model/triplet_gmpnn/node_out/w" in named
    assert module.count(live) <= model.parameters
