"""GAT over all pairs of nodes, whatever the adjacency matrix.

Each node takes a mean of all nodes' values, weighted by a softmax of logits to which both nodes,
the edge and the graph contribute a scalar for each head. There are four heads of width H / 4, so H
must be a multiple of 4.

Shapes: node_fts, hidden [B, N, H], edge_fts [B, N, N, H], graph_fts [B, H], adj_mat [B, N, N] ->
node [B, N, H], no edge embeddings.

Source: Velickovic et al., "Graph Attention Networks", ICLR 2018.
"""

import clrs
import haiku as hk
import jax
import jax.numpy as jnp


class Processor(clrs.processors.Processor):
    def __init__(self, out_size: int, name: str = "gat_full"):
        super().__init__(name=name)
        self.out_size = out_size
        self.head_size = out_size // 4

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
        z = jnp.concatenate([node_fts, hidden], axis=-1)  # [B, N, 2H]
        b, n, _ = z.shape
        values = hk.Linear(self.out_size)(z)  # [B, N, H]
        head_values = jnp.reshape(values, (b, n, 4, self.head_size))  # [B, N, 4, H/4]
        att_1 = hk.Linear(4)(z)  # [B, N, 4]
        att_2 = hk.Linear(4)(z)  # [B, N, 4]
        att_e = hk.Linear(4)(edge_fts)  # [B, N, N, 4]
        att_g = hk.Linear(4)(graph_fts)  # [B, 4]
        att = (
            jnp.expand_dims(att_1, axis=2)
            + jnp.expand_dims(att_2, axis=1)
            + att_e
            + jnp.expand_dims(att_g, axis=(1, 2))
        )  # [B, N, N, 4]
        logits = jax.nn.leaky_relu(att)  # [B, N, N, 4]
        weights = jax.nn.softmax(logits, axis=2)  # [B, N, N, 4]
        heads = jnp.einsum("bijk,bjkf->bikf", weights, head_values)  # [B, N, 4, H/4]
        received = jnp.reshape(heads, (b, n, self.out_size))  # [B, N, H]
        own = hk.Linear(self.out_size)(z)  # [B, N, H]
        new = jax.nn.relu(received + own)  # [B, N, H]
        node = hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(new)  # [B, N, H]
        return node, None
