"""Losses, gradients and training steps equal those of the library's BaselineModel, batch 32.

The quick tests take tasks that cover every kind of feature in every place; all 30 are slow.
"""

import contextlib
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.clrs_library import clrs
from evo_clrs.problems.clrs import data, reference
from evo_clrs.problems.clrs.tasks import TASKS, task
from evo_clrs.training import loop
from tests.problems.clrs.side_by_side import (
    OPTIONS,
    PROTOCOL,
    TRIPLET_GMPNN,
    filled,
    library_weights,
    model_of,
    noiseless_sinkhorn,
    samples,
)

# Together they have every location and type that a feature of the 30 tasks has, at every stage.
COVER = (
    "activity_selector",
    "binary_search",
    "bridges",
    "dag_shortest_paths",
    "floyd_warshall",
    "heapsort",
    "lcs_length",
    "segments_intersect",
)
KEY = jax.random.PRNGKey(1)
STEPS = 20


def quick(names):
    """Returns all tasks as parameters of a test, slow but for these."""
    return [n if n in names else pytest.param(n, marks=pytest.mark.slow) for n in TASKS]


def kinds(name: str) -> set[tuple[str, str, str]]:
    return {(f.stage, f.location, f.type) for f in task(name).features}


def test_the_quick_tasks_have_every_kind_of_feature():
    assert set.union(*map(kinds, COVER)) == set.union(*map(kinds, TASKS))


@contextlib.contextmanager
def precision(dtype):
    """Has JAX and the library, which casts to float32 by name, compute in this type."""
    with (
        jax.enable_x64(dtype == "float64"),
        mock.patch.object(jnp, "float32", getattr(jnp, dtype)),
        mock.patch.object(clrs._src.decoders, "log_sinkhorn", noiseless_sinkhorn),
    ):
        yield


def pair(name: str, dtype: str):
    """Returns our model and the reference, both with their weights and the same 32 samples."""
    posed, batch = task(name, PROTOCOL), samples(name, 32)
    batch = jax.tree.map(lambda a: a.astype(dtype) if a.dtype == jnp.float_ else a, batch)
    feedback = data.feedback(posed, batch)
    model = model_of(name, batch, filled(name, "processor", OPTIONS, batch))
    baseline = reference.baseline(posed, feedback, TRIPLET_GMPNN, OPTIONS)
    weights = library_weights(baseline, feedback.features)
    weights = jax.tree.map(lambda a: a.astype(dtype), weights)
    return model, reference.carry_weights(weights, model), batch, baseline, weights, feedback


def norm(tree) -> float:
    return float(np.sqrt(sum(np.sum(np.square(a, dtype=float)) for a in jax.tree.leaves(tree))))


@pytest.mark.parametrize(
    ("dtype", "loss_error", "gradient_error"), [("float32", 1e-5, 1e-4), ("float64", 1e-9, 1e-9)]
)
@pytest.mark.parametrize("name", quick(COVER))
def test_loss_and_gradients_equal_the_reference(name, dtype, loss_error, gradient_error):
    with precision(dtype):
        model, params, batch, baseline, weights, feedback = pair(name, dtype)
        loss, gradients = jax.jit(jax.value_and_grad(model.loss))(params, KEY, batch)
        theirs = jax.jit(jax.value_and_grad(baseline._loss), static_argnums=3)
        expected_loss, expected = theirs(weights, KEY, feedback, 0)
        assert loss.dtype == dtype
    assert abs(loss - expected_loss) <= loss_error * abs(expected_loss)
    expected = reference.carry_weights(expected, model)
    assert norm(expected) > 0
    error = norm(jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), gradients, expected))
    assert error <= gradient_error * norm(expected)


@pytest.mark.parametrize("name", quick(["heapsort"]))
def test_the_first_training_steps_equal_the_reference(name):
    with precision("float32"):
        model, params, batch, baseline, weights, _ = pair(name, "float32")
        order = np.random.default_rng(0).integers(0, 32, (STEPS, 32))
        training = loop.Training(steps=STEPS, steps_per_call=5, validate_every=5)
        outcome = loop.train(
            loss=model.loss,
            draw=loop.ByStep(lambda step, pool, size: data.take(pool, jnp.asarray(order)[step])),
            pools=[batch],
            state=loop.start(params, training),
            training=training,
            key=KEY,
        )
        baseline.params = weights
        baseline.opt_state = baseline.opt.init(weights)
        baseline.opt_state_skeleton = baseline.opt.init(jnp.zeros(1))
        expected = [
            float(baseline.feedback(KEY, data.feedback(task(name, PROTOCOL), batch, rows)))
            for rows in order
        ]
    np.testing.assert_allclose(outcome.losses, expected, rtol=1e-4)
