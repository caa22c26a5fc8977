"""The loop over steps, mapped over seeds: as long for all, and to each what it gets alone."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.problems.clrs.unroll import unroll

SEEDS, BATCH, WIDTH, LENGTH = 3, 2, 5, 7
PARAMETERS = jax.random.normal(jax.random.PRNGKey(0), (SEEDS, WIDTH, WIDTH))
KEYS = jax.random.split(jax.random.PRNGKey(1), SEEDS)
START = jax.random.normal(jax.random.PRNGKey(2), (SEEDS, BATCH, WIDTH))


def step(parameters, key, state, index):
    """Draws random numbers at every step, as programs may."""
    noise = 0.1 * jax.random.normal(jax.random.fold_in(key, index), state.shape)
    new = jnp.tanh(state @ parameters + noise)
    return new, jnp.sum(new, axis=-1), new * state


def loss(parameters, key, start, last, axis=None):
    emitted, features = unroll(step, parameters, key, start, last, LENGTH, axis)
    counted = jnp.arange(LENGTH)[:, None] <= last  # as losses on hints do
    return jnp.sum(jnp.where(counted, jnp.sin(emitted), 0)) + jnp.sum(jnp.cos(features))


def mapped(axis):
    def one(*arguments):
        return jax.value_and_grad(loss)(*arguments, axis)

    return jax.jit(jax.vmap(one, axis_name="seeds"))


@pytest.mark.parametrize(
    "last",
    [
        [[3, 3], [3, 3], [3, 3]],  # no step is added for any
        [[4, 4], [2, 2], [6, 6]],  # one is, though for none alone
        [[4, 4], [1, 3], [6, 6]],  # for one alone
        [[0, 6], [5, 6], [6, 2]],  # for each alone
        [[0, 0], [1, 0], [0, 0]],
    ],
)
def test_each_seed_gets_what_it_gets_alone(last):
    last = jnp.asarray(last, jnp.int32)
    values, gradients = mapped("seeds")(PARAMETERS, KEYS, START, last)
    alone = jax.jit(jax.value_and_grad(loss))
    for seed in range(SEEDS):
        value, gradient = alone(PARAMETERS[seed], KEYS[seed], START[seed], last[seed])
        np.testing.assert_allclose(values[seed], value, rtol=1e-5)
        np.testing.assert_allclose(gradients[seed], gradient, rtol=1e-4, atol=1e-5)


def test_no_step_selects_between_stacked_states():
    """Without an axis every step copies all that is carried."""
    last = jnp.zeros((SEEDS, BATCH), jnp.int32)
    stacked = SEEDS * (LENGTH + 2) * BATCH * WIDTH

    def costly(axis):
        text = mapped(axis).lower(PARAMETERS, KEYS, START, last).as_text()
        shapes = re.findall(r"stablehlo\.select .*tensor<([0-9x]+)xf32>\n", text)
        sizes = [np.prod([int(n) for n in shape.split("x")]) for shape in shapes]
        return sum(size == stacked for size in sizes)

    assert costly("seeds") == 0 and costly(None) > 0
