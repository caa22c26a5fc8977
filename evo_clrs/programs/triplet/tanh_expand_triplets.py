"""TanhExpandTriplets: triplet messages with the graph three times and a tanh.

As the standard triplet messages, but the graph projection is added three times, and the reduced
triplets pass a tanh.

Shapes: z [B, N, 2H], edge_fts [B, N, N, H], graph_fts [B, H] -> [B, N, N, H], with H = out_size and
K = nb_triplet_fts.

Source: found by the search of Chen, Dohan, So, "EvoPrompting", NeurIPS 2023.
"""

import haiku as hk
import jax.numpy as jnp


def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    node_1 = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_2 = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_3 = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    edge_1 = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    edge_2 = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    edge_3 = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    graph = hk.Linear(nb_triplet_fts)(graph_fts)  # [B, K]
    triplets = (
        jnp.expand_dims(node_1, axis=(2, 3))
        + jnp.expand_dims(node_2, axis=(1, 3))
        + jnp.expand_dims(node_3, axis=(1, 2))
        + jnp.expand_dims(edge_1, axis=3)
        + jnp.expand_dims(edge_2, axis=2)
        + jnp.expand_dims(edge_3, axis=1)
        + jnp.expand_dims(graph, axis=(1, 2, 3))
        + jnp.expand_dims(graph, axis=(1, 2, 3))
        + jnp.expand_dims(graph, axis=(1, 2, 3))
    )  # [B, N, N, N, K]
    reduced = jnp.max(triplets, axis=1)  # [B, N, N, K]
    squashed = jnp.tanh(reduced)  # [B, N, N, K]
    return hk.Linear(out_size)(squashed)  # [B, N, N, H]
