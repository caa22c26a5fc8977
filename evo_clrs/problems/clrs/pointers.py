"""Scores of pointers: how well each node answers each node, or each edge, that points.

The library's pointer decoders compare what points with each candidate, feature by feature, take
the larger and sum up what they are worth: `maximum(asking, candidate) @ weights`. Those maxima
have H features for every pair of what points and a candidate, which is N times what anything else
around the slot has where edges point; and their usual derivative passes over them a dozen times.
Here it is written out: candidates are taken one by one where edges point, and the derivatives of
both sides and of the weights all follow from one sum, of the score's cotangents where a side wins.
"""

import jax
import jax.numpy as jnp


@jax.custom_vjp
def of_nodes(asking: jax.Array, candidates: jax.Array, weights: jax.Array) -> jax.Array:
    """Returns the scores of node j as what node i points to.

    Args:
      asking: [B, N, H], a row for each i.
      candidates: [B, N, N, H], a row for each pair (j, i).
      weights: [H].

    Returns:
      [B, N, N], in (i, j).
    """
    return jnp.swapaxes(_worth(jnp.maximum(candidates, asking[:, None]), weights), 1, 2)


def _of_nodes_backward(
    kept: tuple[jax.Array, jax.Array, jax.Array], scores: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    asking, candidates, weights = kept
    others = asking[:, None]
    scores = jnp.swapaxes(scores, 1, 2)[..., None]
    of_candidates = _where_larger(candidates, others, scores)
    of_asking = jnp.sum(_where_larger(others, candidates, scores), axis=1)
    of_weights = _contract(candidates, of_candidates) + _contract(asking, of_asking)
    return of_asking * weights, of_candidates * weights, of_weights


of_nodes.defvjp(lambda *given: (of_nodes(*given), given), _of_nodes_backward)


@jax.custom_vjp
def of_edges(asking: jax.Array, candidates: jax.Array, weights: jax.Array) -> jax.Array:
    """Returns the scores of node k as what edge (i, j) points to.

    Args:
      asking: [B, N, N, H], a row for each edge.
      candidates: [B, N, H], a row for each k.
      weights: [H].

    Returns:
      [B, N, N, N], in (i, j, k).
    """

    def one(candidate: jax.Array) -> jax.Array:
        return _worth(jnp.maximum(asking, candidate[:, None, None]), weights)

    return jnp.moveaxis(jax.lax.map(one, jnp.swapaxes(candidates, 0, 1)), 0, -1)


def _of_edges_backward(
    kept: tuple[jax.Array, jax.Array, jax.Array], scores: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    asking, candidates, weights = kept

    def one(
        of_asking: jax.Array, given: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        candidate, its_scores = given[0][:, None, None], given[1][..., None]
        of_asking = of_asking + _where_larger(asking, candidate, its_scores)
        of_candidate = _where_larger(candidate, asking, its_scores)
        return of_asking, jnp.sum(of_candidate, axis=(1, 2))

    each = jnp.swapaxes(candidates, 0, 1), jnp.moveaxis(scores, -1, 0)
    of_asking, of_candidates = jax.lax.scan(one, jnp.zeros_like(asking), each)
    of_candidates = jnp.swapaxes(of_candidates, 0, 1)
    of_weights = _contract(asking, of_asking) + _contract(candidates, of_candidates)
    return of_asking * weights, of_candidates * weights, of_weights


of_edges.defvjp(lambda *given: (of_edges(*given), given), _of_edges_backward)


def _worth(features: jax.Array, weights: jax.Array) -> jax.Array:
    """Returns `features @ weights`, [...] for [..., H], as a product of matrices."""
    flat = jnp.reshape(features, (-1, features.shape[-1])) @ weights[:, None]
    return jnp.reshape(flat, features.shape[:-1])


def _where_larger(these: jax.Array, others: jax.Array, values: jax.Array) -> jax.Array:
    """Returns values where these are larger, half of them where both are equal, 0 elsewhere.

    That is how JAX shares the cotangent of a maximum.
    """
    shared = jnp.where(these == others, 0.5 * values, 0.0)
    return jnp.where(these > others, values, shared)


def _contract(a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns the sum of products over all axes but the last."""
    return jnp.sum(a * b, axis=tuple(range(a.ndim - 1)))
