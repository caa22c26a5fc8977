"""Scores of pointers are what JAX makes of the library's formula, and so are their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.problems.clrs import pointers

B, N, H = 2, 5, 3


def library_nodes(asking, candidates, weights):
    larger = jnp.maximum(asking[:, :, None], jnp.transpose(candidates, (0, 2, 1, 3)))
    return larger @ weights


def library_edges(asking, candidates, weights):
    return jnp.maximum(asking[:, :, :, None], candidates[:, None, None]) @ weights


def drawn(shapes):
    """Few different numbers, so that there are ties."""
    generator = np.random.default_rng(0)
    return [jnp.asarray(generator.integers(-2, 3, shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize(
    ("ours", "library", "shapes"),
    [
        (pointers.of_nodes, library_nodes, [(B, N, H), (B, N, N, H), (H,)]),
        (pointers.of_edges, library_edges, [(B, N, N, H), (B, N, H), (H,)]),
    ],
)
def test_scores_and_gradients(ours, library, shapes):
    given = drawn(shapes)
    scores, pull = jax.vjp(ours, *given)
    expected, expected_pull = jax.vjp(library, *given)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    cotangents = jax.random.normal(jax.random.PRNGKey(0), expected.shape)
    for found, wanted in zip(pull(cotangents), expected_pull(cotangents), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ours", [pointers.of_nodes, pointers.of_edges])
def test_seeds_can_be_mapped(ours):
    shapes = [(B, N, H), (B, N, N, H)]
    shapes = shapes if ours is pointers.of_nodes else shapes[::-1]
    asking, candidates, weights = drawn([(2, *shape) for shape in (*shapes, (H,))])

    def total(*given):
        return jnp.sum(jnp.tanh(ours(*given)))

    gradient = jax.grad(total, argnums=(0, 1, 2))
    mapped = jax.vmap(gradient)(asking, candidates, weights)
    for seed in range(2):
        alone = gradient(asking[seed], candidates[seed], weights[seed])
        for found, wanted in zip(mapped, alone, strict=True):
            np.testing.assert_allclose(found[seed], wanted, rtol=1e-5, atol=1e-5)
