"""How training draws its batches: the glue between pools and the training loop."""

import jax

from evo_clrs.problems.clrs.data import Pool, randomise_positions, take


def draw(key: jax.Array, pool: Pool, batch_size: int) -> Pool:
    """Returns samples drawn with replacement, as they are."""
    return take(pool, jax.random.randint(key, (batch_size,), 0, pool.count))


def draw_with_new_positions(key: jax.Array, pool: Pool, batch_size: int) -> Pool:
    """Returns samples drawn with replacement, their positions drawn anew each time."""
    indices_key, positions_key = jax.random.split(key)
    return randomise_positions(positions_key, draw(indices_key, pool, batch_size))
