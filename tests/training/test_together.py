"""Several trainings in one graph give what each gives alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.errors import Rejected
from evo_clrs.training import together
from evo_clrs.training.loop import SEEDS, Training, compile_steps, start, train

TRAINING = Training(steps=13, batch_size=4, steps_per_call=4, validate_every=4)
POOLS = (
    np.linspace(0.0, 1.0, 12, dtype=np.float32).reshape(6, 2),
    np.linspace(2.0, 5.0, 24, dtype=np.float32).reshape(8, 3),
)
KEYS = jax.random.split(jax.random.PRNGKey(7), 3)
PARAMS = [{"mean": jnp.asarray(value)} for value in (0.0, 1.0, 2.0)]
# A validation score that is best early, late, and always the same.
VALIDATE = [
    lambda params: {"score": -float(params["mean"])},
    lambda params: {"score": float(params["mean"])},
    lambda params: {"score": 0.5},
]


def loss(params, key, batch):
    noise = 0.01 * jax.random.normal(key, batch.shape)
    return jnp.mean((batch + noise - params["mean"]) ** 2)


def draw(key, pool, batch_size):
    return pool[jax.random.randint(key, (batch_size,), 0, pool.shape[0])]


def run(training=TRAINING, loss=loss):
    state = together.start(PARAMS, training)
    compiled = compile_steps(loss, draw, POOLS, state, training, seeds=3)
    return together.train(loss, draw, POOLS, state, training, KEYS, VALIDATE, compiled)


def test_each_training_gives_what_it_gives_alone():
    outcomes = run()
    for params, key, validate, outcome in zip(PARAMS, KEYS, VALIDATE, outcomes, strict=True):
        alone = train(loss, draw, POOLS, start(params, TRAINING), TRAINING, key, validate)
        np.testing.assert_allclose(outcome.losses, alone.losses, rtol=1e-5)
        assert outcome.best_step == alone.best_step
        assert [step for step, _ in outcome.validations] == [4, 8, 12, 13]
        for mine, theirs in zip(
            jax.tree.leaves((outcome.best, outcome.state)),
            jax.tree.leaves((alone.best, alone.state)),
            strict=True,
        ):
            assert mine.shape == theirs.shape
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    assert len({outcome.best_step for outcome in outcomes}) == 2


def test_the_start_of_shapes_is_the_shape_of_the_start():
    shapes = [jax.eval_shape(lambda one=one: one) for one in PARAMS]
    expected = jax.tree.map(lambda array: array.shape, together.start(PARAMS, TRAINING))
    assert jax.tree.map(lambda array: array.shape, together.start(shapes, TRAINING)) == expected
    assert expected.params == {"mean": (3,)} and expected.step == ()


def test_whose_turn_a_pool_is_stays_a_question_for_all():
    """A batched condition would have every step computed for every pool."""

    def conditionals(seeds):
        state = start(PARAMS[0], TRAINING) if seeds is None else together.start(PARAMS, TRAINING)
        return (
            compile_steps(loss, draw, POOLS, state, TRAINING, seeds)
            .call.as_text()
            .count(" conditional(")
        )

    assert conditionals(3) == conditionals(None) > 0


def test_the_axis_of_seeds_has_a_name():
    def agreeing(params, key, batch):
        return loss(params, key, batch) + 0 * jax.lax.psum(params["mean"], SEEDS)

    mine, theirs = run(loss=agreeing), run()
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one.losses, other.losses)


def test_a_loss_that_is_not_finite_in_one_of_them_stops_all():
    def breaking(params, key, batch):
        return loss(params, key, batch) + jnp.where(params["mean"] > 1.9985, jnp.inf, 0.0)

    with pytest.raises(Rejected, match="loss is not finite at step 1$"):
        run(loss=breaking)


def test_the_clock_stops_them_all():
    with pytest.raises(Rejected, match="longer than 0 s"):
        run(dataclasses.replace(TRAINING, max_seconds=0.0))
