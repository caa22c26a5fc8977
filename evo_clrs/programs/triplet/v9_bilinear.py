"""Triplet messages from products of linear projections and MLPs.

As the standard triplet messages, but each projection, that to the output too, is the product of a
linear projection and an MLP with a hidden layer eight times as wide as its output.

Shapes: z [B, N, 2H], edge_fts [B, N, N, H], graph_fts [B, H] -> [B, N, N, H], with H = out_size and
K = nb_triplet_fts.

Source: seed 9 of Chen, Dohan, So, "EvoPrompting", NeurIPS 2023.
"""

import haiku as hk
import jax.numpy as jnp


def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    node_1_linear = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_1_mlp = hk.nets.MLP([8 * nb_triplet_fts, nb_triplet_fts])(z)  # [B, N, K]
    node_1 = node_1_linear * node_1_mlp  # [B, N, K]
    node_2_linear = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_2_mlp = hk.nets.MLP([8 * nb_triplet_fts, nb_triplet_fts])(z)  # [B, N, K]
    node_2 = node_2_linear * node_2_mlp  # [B, N, K]
    node_3_linear = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_3_mlp = hk.nets.MLP([8 * nb_triplet_fts, nb_triplet_fts])(z)  # [B, N, K]
    node_3 = node_3_linear * node_3_mlp  # [B, N, K]
    edge_1_linear = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    edge_1_mlp = hk.nets.MLP([8 * nb_triplet_fts, nb_triplet_fts])(edge_fts)  # [B, N, N, K]
    edge_1 = edge_1_linear * edge_1_mlp  # [B, N, N, K]
    edge_2_linear = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    edge_2_mlp = hk.nets.MLP([8 * nb_triplet_fts, nb_triplet_fts])(edge_fts)  # [B, N, N, K]
    edge_2 = edge_2_linear * edge_2_mlp  # [B, N, N, K]
    edge_3_linear = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    edge_3_mlp = hk.nets.MLP([8 * nb_triplet_fts, nb_triplet_fts])(edge_fts)  # [B, N, N, K]
    edge_3 = edge_3_linear * edge_3_mlp  # [B, N, N, K]
    graph_linear = hk.Linear(nb_triplet_fts)(graph_fts)  # [B, K]
    graph_mlp = hk.nets.MLP([8 * nb_triplet_fts, nb_triplet_fts])(graph_fts)  # [B, K]
    graph = graph_linear * graph_mlp  # [B, K]
    triplets = (
        jnp.expand_dims(node_1, axis=(2, 3))
        + jnp.expand_dims(node_2, axis=(1, 3))
        + jnp.expand_dims(node_3, axis=(1, 2))
        + jnp.expand_dims(edge_1, axis=3)
        + jnp.expand_dims(edge_2, axis=2)
        + jnp.expand_dims(edge_3, axis=1)
        + jnp.expand_dims(graph, axis=(1, 2, 3))
    )  # [B, N, N, N, K]
    reduced = jnp.max(triplets, axis=1)  # [B, N, N, K]
    output_linear = hk.Linear(out_size)(reduced)  # [B, N, N, H]
    output_mlp = hk.nets.MLP([8 * out_size, out_size])(reduced)  # [B, N, N, H]
    return output_linear * output_mlp  # [B, N, N, H]
