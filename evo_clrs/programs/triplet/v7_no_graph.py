"""Triplet messages without the graph.

As the standard triplet messages, but the graph features stay out. The node projections are MLPs of
one layer, which are linear.

Shapes: z [B, N, 2H], edge_fts [B, N, N, H], graph_fts [B, H] -> [B, N, N, H], with H = out_size and
K = nb_triplet_fts.

Source: seed 7 of Chen, Dohan, So, "EvoPrompting", NeurIPS 2023.
"""

import haiku as hk
import jax.numpy as jnp


def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    node_1 = hk.nets.MLP([nb_triplet_fts])(z)  # [B, N, K]
    node_2 = hk.nets.MLP([nb_triplet_fts])(z)  # [B, N, K]
    node_3 = hk.nets.MLP([nb_triplet_fts])(z)  # [B, N, K]
    edge_1 = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    edge_2 = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    edge_3 = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    triplets = (
        jnp.expand_dims(node_1, axis=(2, 3))
        + jnp.expand_dims(node_2, axis=(1, 3))
        + jnp.expand_dims(node_3, axis=(1, 2))
        + jnp.expand_dims(edge_1, axis=3)
        + jnp.expand_dims(edge_2, axis=2)
        + jnp.expand_dims(edge_3, axis=1)
    )  # [B, N, N, N, K]
    reduced = jnp.max(triplets, axis=1)  # [B, N, N, K]
    return hk.Linear(out_size)(reduced)  # [B, N, N, H]
