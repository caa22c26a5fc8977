"""GMPNN with edge embeddings from products of pairs of nodes, without a third node.

Nodes as in GMPNN. For the edges, two projections of each pair of nodes with 4 heads of 8 features
are multiplied, projections of edge and graph are added, and each head is scaled by a small sigmoid
gate that reads the edge.

Shapes: node_fts, hidden [B, N, H], edge_fts [B, N, N, H], graph_fts [B, H], adj_mat [B, N, N] ->
node [B, N, H], edge [B, N, N, H].

Source: after the description of SPARK's best program (2026), which replaces the triplets of
Triplet-GMPNN (Ibarz et al., "A Generalist Neural Algorithmic Learner", LoG 2022).
"""

import clrs
import haiku as hk
import jax
import jax.numpy as jnp


class Processor(clrs.processors.Processor):
    def __init__(self, out_size: int, name: str = "pairwise_products"):
        super().__init__(name=name)
        self.out_size = out_size

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
        z = jnp.concatenate([node_fts, hidden], axis=-1)  # [B, N, 2H]
        msg_1 = hk.Linear(self.out_size)(z)  # [B, N, H]
        msg_2 = hk.Linear(self.out_size)(z)  # [B, N, H]
        msg_e = hk.Linear(self.out_size)(edge_fts)  # [B, N, N, H]
        msg_g = hk.Linear(self.out_size)(graph_fts)  # [B, H]
        b, n, _ = z.shape
        left = hk.Linear(32)(z)  # [B, N, 32]
        right = hk.Linear(32)(z)  # [B, N, 32]
        product = jnp.expand_dims(left, axis=2) * jnp.expand_dims(right, axis=1)  # [B, N, N, 32]
        pair_e = hk.Linear(32)(edge_fts)  # [B, N, N, 32]
        pair_g = hk.Linear(32)(graph_fts)  # [B, 32]
        pairs = product + pair_e + jnp.expand_dims(pair_g, axis=(1, 2))  # [B, N, N, 32]
        heads = jnp.reshape(pairs, (b, n, n, 4, 8))  # [B, N, N, 4, 8]
        head_gate = jax.nn.sigmoid(hk.Linear(4)(edge_fts))  # [B, N, N, 4]
        gated_heads = heads * jnp.expand_dims(head_gate, axis=-1)  # [B, N, N, 4, 8]
        gated = jnp.reshape(gated_heads, (b, n, n, 32))  # [B, N, N, 32]
        edge = jax.nn.relu(hk.Linear(self.out_size)(gated))  # [B, N, N, H]
        msgs = (
            jnp.expand_dims(msg_1, axis=1)
            + jnp.expand_dims(msg_2, axis=2)
            + msg_e
            + jnp.expand_dims(msg_g, axis=(1, 2))
        )  # [B, N, N, H]
        activated = jax.nn.relu(msgs)  # [B, N, N, H]
        mixed = hk.nets.MLP([self.out_size, self.out_size])(activated)  # [B, N, N, H]
        received = jnp.max(mixed, axis=1)  # [B, N, H]
        own = hk.Linear(self.out_size)(z)  # [B, N, H]
        update = hk.Linear(self.out_size)(received)  # [B, N, H]
        new = jax.nn.relu(own + update)  # [B, N, H]
        normed = hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(new)  # [B, N, H]
        gate_1 = hk.Linear(self.out_size)(z)  # [B, N, H]
        gate_2 = hk.Linear(self.out_size)(received)  # [B, N, H]
        gate_12 = jax.nn.relu(gate_1 + gate_2)  # [B, N, H]
        gate_3 = hk.Linear(self.out_size, b_init=hk.initializers.Constant(-3))(gate_12)  # [B, N, H]
        gate = jax.nn.sigmoid(gate_3)  # [B, N, H]
        node = normed * gate + hidden * (1 - gate)  # [B, N, H]
        return node, edge
