"""ConcatRep: triplet messages from linear projections beside MLPs.

As the standard triplet messages, but each projection is a linear one concatenated with an MLP whose
hidden layer is four times as wide, so that triplets have 2K features.

Shapes: z [B, N, 2H], edge_fts [B, N, N, H], graph_fts [B, H] -> [B, N, N, H], with H = out_size and
K = nb_triplet_fts.

Source: found by the search of Chen, Dohan, So, "EvoPrompting", NeurIPS 2023.
"""

import haiku as hk
import jax.numpy as jnp


def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    node_1_linear = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_1_mlp = hk.nets.MLP([4 * nb_triplet_fts, nb_triplet_fts])(z)  # [B, N, K]
    node_1 = jnp.concatenate([node_1_linear, node_1_mlp], axis=-1)  # [B, N, 2K]
    node_2_linear = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_2_mlp = hk.nets.MLP([4 * nb_triplet_fts, nb_triplet_fts])(z)  # [B, N, K]
    node_2 = jnp.concatenate([node_2_linear, node_2_mlp], axis=-1)  # [B, N, 2K]
    node_3_linear = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_3_mlp = hk.nets.MLP([4 * nb_triplet_fts, nb_triplet_fts])(z)  # [B, N, K]
    node_3 = jnp.concatenate([node_3_linear, node_3_mlp], axis=-1)  # [B, N, 2K]
    edge_1_linear = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    edge_1_mlp = hk.nets.MLP([4 * nb_triplet_fts, nb_triplet_fts])(edge_fts)  # [B, N, N, K]
    edge_1 = jnp.concatenate([edge_1_linear, edge_1_mlp], axis=-1)  # [B, N, N, 2K]
    edge_2_linear = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    edge_2_mlp = hk.nets.MLP([4 * nb_triplet_fts, nb_triplet_fts])(edge_fts)  # [B, N, N, K]
    edge_2 = jnp.concatenate([edge_2_linear, edge_2_mlp], axis=-1)  # [B, N, N, 2K]
    edge_3_linear = hk.Linear(nb_triplet_fts)(edge_fts)  # [B, N, N, K]
    edge_3_mlp = hk.nets.MLP([4 * nb_triplet_fts, nb_triplet_fts])(edge_fts)  # [B, N, N, K]
    edge_3 = jnp.concatenate([edge_3_linear, edge_3_mlp], axis=-1)  # [B, N, N, 2K]
    graph_linear = hk.Linear(nb_triplet_fts)(graph_fts)  # [B, K]
    graph_mlp = hk.nets.MLP([4 * nb_triplet_fts, nb_triplet_fts])(graph_fts)  # [B, K]
    graph = jnp.concatenate([graph_linear, graph_mlp], axis=-1)  # [B, 2K]
    triplets = (
        jnp.expand_dims(node_1, axis=(2, 3))
        + jnp.expand_dims(node_2, axis=(1, 3))
        + jnp.expand_dims(node_3, axis=(1, 2))
        + jnp.expand_dims(edge_1, axis=3)
        + jnp.expand_dims(edge_2, axis=2)
        + jnp.expand_dims(edge_3, axis=1)
        + jnp.expand_dims(graph, axis=(1, 2, 3))
    )  # [B, N, N, N, 2K]
    reduced = jnp.max(triplets, axis=1)  # [B, N, N, 2K]
    return hk.Linear(out_size)(reduced)  # [B, N, N, H]
