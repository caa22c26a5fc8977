"""Messages of the receiving node alone, without triplets.

One linear projection of the nodes, repeated along the first node axis: the message of a pair (j, k)
is that of node k, whatever j. Edges and graph stay out.

Shapes: z [B, N, 2H], edge_fts [B, N, N, H], graph_fts [B, H] -> [B, N, N, H], with H = out_size.

Source: seed 8 of Chen, Dohan, So, "EvoPrompting", NeurIPS 2023.
"""

import haiku as hk
import jax.numpy as jnp


def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):
    _, n, _ = z.shape
    node = hk.nets.MLP([out_size])(z)  # [B, N, H]
    pairs = jnp.expand_dims(node, axis=1)  # [B, 1, N, H]
    return jnp.tile(pairs, (1, n, 1, 1))  # [B, N, N, H]
