"""PGN: a pointer graph network, message passing along the edges of the graph.

As an MPNN, but the maximum runs over neighbours only: messages along absent edges count as -1e6.

Shapes: node_fts, hidden [B, N, H], edge_fts [B, N, N, H], graph_fts [B, H], adj_mat [B, N, N] ->
node [B, N, H], no edge embeddings.

Source: Velickovic et al., "Pointer Graph Networks", NeurIPS 2020.
"""

import clrs
import haiku as hk
import jax
import jax.numpy as jnp


class Processor(clrs.processors.Processor):
    def __init__(self, out_size: int, name: str = "pgn"):
        super().__init__(name=name)
        self.out_size = out_size

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
        z = jnp.concatenate([node_fts, hidden], axis=-1)  # [B, N, 2H]
        msg_1 = hk.Linear(self.out_size)(z)  # [B, N, H]
        msg_2 = hk.Linear(self.out_size)(z)  # [B, N, H]
        msg_e = hk.Linear(self.out_size)(edge_fts)  # [B, N, N, H]
        msg_g = hk.Linear(self.out_size)(graph_fts)  # [B, H]
        msgs = (
            jnp.expand_dims(msg_1, axis=1)
            + jnp.expand_dims(msg_2, axis=2)
            + msg_e
            + jnp.expand_dims(msg_g, axis=(1, 2))
        )  # [B, N, N, H]
        activated = jax.nn.relu(msgs)  # [B, N, N, H]
        mixed = hk.nets.MLP([self.out_size, self.out_size])(activated)  # [B, N, N, H]
        is_edge = jnp.expand_dims(adj_mat, axis=-1) > 0  # [B, N, N, 1]
        masked = jnp.where(is_edge, mixed, -1e6)  # [B, N, N, H]
        received = jnp.max(masked, axis=1)  # [B, N, H]
        own = hk.Linear(self.out_size)(z)  # [B, N, H]
        update = hk.Linear(self.out_size)(received)  # [B, N, H]
        new = jax.nn.relu(own + update)  # [B, N, H]
        node = hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(new)  # [B, N, H]
        return node, None
