"""The loop gives what a plain scan over all steps gives, whenever samples end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_clrs.problems.clrs.unroll import unroll

LENGTH, BATCH = 5, 3


def step(parameters, given, state, index):
    """A step with a state of two arrays, which emits a number that depends on the index."""
    hidden, hint = state
    new = jnp.tanh(hidden @ parameters["w"] + hint[:, None] * given)
    return (new, jnp.sin(new.sum(axis=1))), {"hint": new[:, 0] * (2 + index)}, hidden + 3 * new


def by_scan(parameters, given, start, last):
    """All steps, with outputs taken at each sample's last one."""

    def body(state, index):
        state, emitted, features = step(parameters, given, state, index)
        return state, (emitted, features)

    _, (emitted, features) = jax.lax.scan(body, start, jnp.arange(LENGTH))
    needed = (jnp.arange(LENGTH) <= jnp.max(last)).astype(float)[:, None]
    emitted = jax.tree.map(lambda a: a * needed, emitted)
    return emitted, features[last, jnp.arange(BATCH)]


def by_loop(parameters, given, start, last):
    return unroll(step, parameters, given, start, last, LENGTH)


def problem():
    random = np.random.default_rng(0)
    w, given, hidden = (jnp.asarray(random.normal(size=s)) for s in ((4, 4), (3, 4), (3, 4)))
    return {"w": w}, given, (hidden, hidden[:, 1])


def outcome(method, last):
    parameters, given, start = problem()

    def total(parameters):
        emitted, features = method(parameters, given, start, last)
        return jnp.sum(emitted["hint"] ** 2) + jnp.sum(jnp.cos(features)), (emitted, features)

    return jax.value_and_grad(total, has_aux=True)(parameters)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, LENGTH - 1), min_size=BATCH, max_size=BATCH))
def test_values_and_gradients_equal_those_of_a_scan(ends):
    last = jnp.asarray(ends, jnp.int32)
    actual, expected = (jax.jit(outcome, static_argnums=0)(m, last) for m in (by_loop, by_scan))
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize(("ends", "steps"), [((1, 1, 1), 2), ((0, 2, 1), 4), ((4, 4, 4), 5)])
def test_it_runs_as_many_steps_as_the_batch_needs_and_one_more_if_ends_differ(ends, steps):
    counted = []

    def counting(parameters, given, state, index):
        jax.debug.callback(lambda i: counted.append(int(i)), index)
        return step(parameters, given, state, index)

    parameters, given, start = problem()
    last = jnp.asarray(ends, jnp.int32)
    jax.block_until_ready(unroll(counting, parameters, given, start, last, LENGTH))
    jax.effects_barrier()
    assert sorted(counted) == list(range(steps))


def test_memory_does_not_grow_with_what_a_step_computes():
    """States are kept for every step; what is computed from them is not."""

    def wide(parameters, given, state, index):
        inner = jnp.tanh(state[:, :, None] * parameters[None, None])  # [B, N, W]
        return jnp.mean(inner, axis=2), {}, inner

    def temporary(length):
        last = jnp.full(2, length - 1)
        start = jnp.ones((2, 8))

        def loss(parameters):
            return jnp.sum(unroll(wide, parameters, (), start, last, length)[1])

        lowered = jax.jit(jax.grad(loss)).lower(jnp.ones(4096))
        return lowered.compile().memory_analysis().temp_size_in_bytes

    inner = 2 * 8 * 4096 * 4
    assert temporary(64) - temporary(4) < inner
