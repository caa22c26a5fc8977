"""What is compiled with less effort computes the same."""

import jax
import jax.numpy as jnp
import numpy as np

from evo_clrs.training import compiling


def test_a_compiled_function_gives_what_numpy_gives():
    def attention(queries, keys, values):
        weights = jax.nn.softmax(queries @ keys.T / jnp.sqrt(8.0), axis=-1)
        return jnp.maximum(weights @ values, 0.1).sum(axis=0)

    rng = np.random.default_rng(0)
    queries, keys, values = (rng.normal(size=(5, 8)).astype(np.float32) for _ in range(3))
    compiled = compiling.compile_lowered(jax.jit(attention).lower(queries, keys, values))
    scores = np.exp(queries @ keys.T / np.sqrt(8.0))
    weights = scores / scores.sum(axis=-1, keepdims=True)
    expected = np.maximum(weights @ values, 0.1).sum(axis=0)
    np.testing.assert_allclose(compiled(queries, keys, values), expected, rtol=1e-5)


def test_infinities_and_nans_are_kept():
    """Guards look for them: a compiler that took numbers to be finite would hide a broken step."""

    def masked(scores, mask):
        filled = jnp.where(mask, scores, -jnp.inf)
        return filled.max(axis=-1), jnp.isfinite(filled).all(), filled - filled

    scores, mask = jnp.ones((2, 3)), jnp.array([[True, False, True], [False] * 3])
    compiled = compiling.compile_lowered(jax.jit(masked).lower(scores, mask))
    largest, finite, difference = compiled(scores, mask)
    assert largest.tolist() == [1.0, -np.inf] and not finite
    assert np.isnan(difference).tolist() == (~np.asarray(mask)).tolist()
