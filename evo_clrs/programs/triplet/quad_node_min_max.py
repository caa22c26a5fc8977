"""QuadNodeMinMax: the range over the third node of four node projections.

Four projections of the nodes are added up, one by the first node of a triplet, two by the second
and one by the third; the message is the maximum minus the minimum over the first node. What does
not depend on the first node cancels, so the range of node_3 is all that is left, the same for every
pair. Edges and graph stay out. There is no projection to the output: messages have width K, and
decoders that read them are narrower for it.

Shapes: z [B, N, 2H], edge_fts [B, N, N, H], graph_fts [B, H] -> [B, N, N, K], with
K = nb_triplet_fts.

Source: found by the search of Chen, Dohan, So, "EvoPrompting", NeurIPS 2023.
"""

import haiku as hk
import jax.numpy as jnp


def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    node_1 = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_2 = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_3 = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    node_4 = hk.Linear(nb_triplet_fts)(z)  # [B, N, K]
    triplets = (
        jnp.expand_dims(node_1, axis=(1, 2))
        + jnp.expand_dims(node_2, axis=(1, 3))
        + jnp.expand_dims(node_3, axis=(2, 3))
        + jnp.expand_dims(node_4, axis=(1, 3))
    )  # [B, N, N, N, K]
    largest = jnp.max(triplets, axis=1)  # [B, N, N, K]
    smallest = jnp.min(triplets, axis=1)  # [B, N, N, K]
    return largest - smallest  # [B, N, N, K]
