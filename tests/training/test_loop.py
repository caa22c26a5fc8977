"""Training, on a problem small enough to be solved by hand: fitting a mean."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evo_clrs.errors import Rejected
from evo_clrs.training.loop import ByStep, Training, make_call, optimizer, start, train

KEY = jax.random.PRNGKey(7)
POOLS = (
    np.linspace(0.0, 1.0, 12, dtype=np.float32).reshape(6, 2),
    np.linspace(2.0, 5.0, 24, dtype=np.float32).reshape(8, 3),
    np.linspace(-1.0, 0.0, 5, dtype=np.float32).reshape(5, 1),
)
PARAMS = {"mean": jnp.zeros(())}


def loss(params, key, batch):
    noise = 0.01 * jax.random.normal(key, batch.shape)
    return jnp.mean((batch + noise - params["mean"]) ** 2)


def draw(key, pool, batch_size):
    return pool[jax.random.randint(key, (batch_size,), 0, pool.shape[0])]


def run(training: Training, pools=POOLS, state=None, **options):
    state = state or start(PARAMS, training)
    return train(loss, draw, pools, state, training, KEY, **options)


def by_hand(training: Training, pools) -> tuple[float, list[float]]:
    """One jitted step at a time, as the definition of a training says."""
    params, moments = PARAMS, optimizer(training).init(PARAMS)
    losses = []
    for step in range(training.steps):
        draw_key, loss_key = jax.random.split(jax.random.fold_in(KEY, step))
        batch = draw(draw_key, pools[step % len(pools)], training.batch_size)
        value, gradients = jax.value_and_grad(loss)(params, loss_key, batch)
        updates, moments = optimizer(training).update(gradients, moments, params)
        params = optax.apply_updates(params, updates)
        losses.append(float(value))
    return float(params["mean"]), losses


@pytest.mark.parametrize("pools", [1, 2, 3])
@pytest.mark.parametrize("steps_per_call", [1, 4, 6, 50])
def test_scanned_steps_equal_single_steps(pools, steps_per_call):
    training = Training(
        steps=13, batch_size=4, steps_per_call=steps_per_call, validate_every=steps_per_call
    )
    mean, losses = by_hand(training, POOLS[:pools])
    outcome = run(training, POOLS[:pools])
    assert int(outcome.state.step) == 13
    np.testing.assert_allclose(outcome.losses, losses, rtol=1e-5)
    np.testing.assert_allclose(outcome.state.params["mean"], mean, rtol=1e-5)


def test_calls_that_end_with_a_cycle_ask_no_questions():
    def text(steps: int) -> str:
        training = Training(steps=steps, batch_size=4, steps_per_call=6, validate_every=6)
        call = make_call(loss, draw, 3, training)
        return str(jax.make_jaxpr(call)(start(PARAMS, training), KEY, POOLS))

    assert "cond[" not in text(12)
    assert "cond[" in text(13)


def test_a_kept_state_goes_on_as_if_never_stopped():
    short = Training(steps=7, batch_size=4, steps_per_call=5, validate_every=5)
    whole = dataclasses.replace(short, steps=16)
    resumed = run(whole, state=run(short).state)
    straight = run(whole)
    chex.assert_trees_all_equal(resumed.state, straight.state)
    np.testing.assert_array_equal(resumed.losses, straight.losses[7:])


def test_one_trace_for_each_shape():
    traces = []

    def counted(params, key, batch):
        traces.append(batch.shape)
        return loss(params, key, batch)

    training = Training(steps=60, batch_size=4, steps_per_call=6, validate_every=6)
    train(counted, draw, POOLS, start(PARAMS, training), training, KEY)
    assert sorted(traces) == [(4, 1), (4, 2), (4, 3)]


def test_the_update_is_adam_behind_a_clip():
    training = Training(steps=1, learning_rate=0.5, clip_norm=1.0)
    gradients = {"a": jnp.array([30.0, 40.0])}
    updates, _ = optimizer(training).update(gradients, optimizer(training).init(gradients))
    # Adam's first step is the learning rate in the direction of each sign.
    np.testing.assert_allclose(updates["a"], [-0.5, -0.5], rtol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_the_training(bad):
    def breaking(params, key, batch):
        return loss(params, key, batch) + jnp.where(params["mean"] > 0.0045, bad, 0.0)

    training = Training(steps=100, batch_size=4, steps_per_call=4, validate_every=4)
    with pytest.raises(Rejected, match="loss is not finite at step 6") as error:
        train(breaking, draw, POOLS[1:2], start(PARAMS, training), training, KEY)
    assert error.value.stage == "failed"


def test_the_clock_stops_the_training():
    training = Training(steps=100, batch_size=4, max_seconds=0.0)
    with pytest.raises(Rejected, match="longer than 0 s"):
        run(training)


def test_a_training_ends_where_it_is_stopped():
    """Its state and losses are those of a training of so many steps."""
    training = Training(steps=40, batch_size=4, steps_per_call=5, validate_every=10)
    asked = []

    def stop(step, score):
        asked.append((step, score))
        return step == 20

    outcome = run(training, validate=lambda params: {"score": 0.1}, stop=stop)
    assert asked == [(10, 0.1), (20, 0.1)]
    assert outcome.stopped_at == 20 and outcome.losses.shape == (20,)
    short = run(dataclasses.replace(training, steps=20))
    assert short.stopped_at is None
    chex.assert_trees_all_equal(outcome.state, short.state)


def test_validations_keep_the_best_parameters():
    scores = iter([0.25, 0.75, 0.75, 0.5])
    seen = []

    def validate(params):
        seen.append(float(params["mean"]))
        return {"score": next(scores)}

    training = Training(steps=35, batch_size=4, steps_per_call=5, validate_every=10)
    outcome = run(training, validate=validate)
    assert [step for step, _ in outcome.validations] == [10, 20, 30, 35]
    assert outcome.best_step == 20
    assert float(outcome.best["mean"]) == seen[1]


def test_progress_is_told_after_each_call():
    told = []
    training = Training(steps=13, batch_size=4, steps_per_call=5, validate_every=5)
    run(training, on_call=lambda so_far: told.append((int(so_far.state.step), len(so_far.losses))))
    assert told == [(5, 5), (10, 10), (13, 13)]


def test_a_training_left_off_at_any_call_ends_as_if_it_never_had_been():
    training = Training(steps=18, batch_size=4, steps_per_call=3, validate_every=6)

    def validate(params):  # the best is neither the first nor the last
        return {"score": -abs(float(params["mean"]) - 0.006)}

    kept = []
    whole = run(training, validate=validate, on_call=lambda so_far: kept.append(copied(so_far)))
    assert whole.best_step == 12
    for so_far in kept:
        resumed = run(training, state=so_far, validate=validate)
        chex.assert_trees_all_equal(resumed.state, whole.state)
        chex.assert_trees_all_equal(resumed.best, whole.best)
        np.testing.assert_array_equal(resumed.losses, whole.losses)
        assert resumed.validations == whole.validations
        assert resumed.best_step == whole.best_step


def copied(so_far):
    state, best = jax.tree.map(np.array, (so_far.state, so_far.best))
    return dataclasses.replace(so_far, state=state, best=best)


def test_the_state_given_is_not_consumed():
    training = Training(steps=2, batch_size=4)
    state = start(PARAMS, training)
    run(training, state=state)
    assert float(state.params["mean"]) == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": -1},
        {"learning_rate": float("nan")},
        {"clip_norm": 0.0},
        {"steps_per_call": 20, "validate_every": 50},
    ],
)
def test_bad_settings_are_named(wrong):
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        Training(**wrong)


def test_adamw_is_optax_adamw_without_a_clip():
    training = Training(steps=1, learning_rate=0.1, clip_norm=jnp.inf, optimizer="adamw")
    params, gradients = {"w": jnp.array([2.0, -3.0])}, {"w": jnp.array([100.0, -1e-3])}
    ours, theirs = optimizer(training), optax.adamw(0.1, weight_decay=1e-4)
    updates, _ = ours.update(gradients, ours.init(params), params)
    expected, _ = theirs.update(gradients, theirs.init(params), params)
    np.testing.assert_array_equal(updates["w"], expected["w"])
    # The first step of AdamW is the sign of the gradient and the decay, times the rate.
    np.testing.assert_allclose(updates["w"], [-0.1 - 2e-5, 0.1 + 3e-5], rtol=1e-4)


def test_a_draw_by_step_gives_batches_in_a_fixed_order():
    pool = np.arange(6, dtype=np.float32)
    in_order = ByStep(lambda step, pool, size: pool[(step * size + jnp.arange(size)) % 6])

    def last(params, key, batch):
        return params["mean"] * 0 + batch[-1]

    training = Training(steps=5, batch_size=4, steps_per_call=2, validate_every=2)
    outcome = train(last, in_order, (pool,), start(PARAMS, training), training, KEY)
    assert outcome.losses.tolist() == [3, 1, 5, 3, 1]


@pytest.mark.parametrize(
    "setting", [{"optimizer": "sgd"}, {"weight_decay": -1.0}, {"clip_norm": 0.0}]
)
def test_settings_of_the_optimizer_out_of_range_are_told(setting):
    (name,) = setting
    with pytest.raises(ValueError, match=f"{name}: expected"):
        Training(**setting)
