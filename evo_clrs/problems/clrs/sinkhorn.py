"""Sinkhorn normalisation as a loop, so that its many steps are compiled once."""

import jax
import jax.numpy as jnp

# Keeps the diagonal out of a permutation: no node is its own predecessor in a cycle.
_FORBIDDEN = 1e6
# Keeps the logarithms of Gumbel noise finite.
_TINY = 1e-12


def log_sinkhorn(scores: jax.Array, steps: int, temperature: float) -> jax.Array:
    """Returns the logarithm of a doubly stochastic matrix without a diagonal, nearly so.

    Rows and columns are normalised in turn; the colder, the closer to a permutation. Same numbers
    as the clrs library, which unrolls its loop (on insertion_sort that took nine tenths of the
    time to compile). Source: Mena et al., "Learning Latent Permutations with Gumbel-Sinkhorn
    Networks", ICLR 2018.

    Args:
      scores: [..., N, N].
      steps: normalisations of both rows and columns.
      temperature: above 0.
    """
    logits = scores / temperature - _FORBIDDEN * jnp.eye(scores.shape[-1])

    def normalise(logits: jax.Array, _: None) -> tuple[jax.Array, None]:
        return jax.nn.log_softmax(jax.nn.log_softmax(logits, axis=-1), axis=-2), None

    return jax.lax.scan(normalise, logits, None, length=steps)[0]


def gumbel_noise(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Returns standard Gumbel noise, bounded since it comes from rounded uniform numbers."""
    return -jnp.log(-jnp.log(jax.random.uniform(key, shape) + _TINY) + _TINY)
