"""Deep Sets: each node by itself, without messages from others.

As an MPNN whose only edges are self-loops: a node hears its own features, the features of its
self-loop and those of the graph.

Shapes: node_fts, hidden [B, N, H], edge_fts [B, N, N, H], graph_fts [B, H], adj_mat [B, N, N] ->
node [B, N, H], no edge embeddings.

Source: Zaheer et al., "Deep Sets", NeurIPS 2017.
"""

import clrs
import haiku as hk
import jax
import jax.numpy as jnp


class Processor(clrs.processors.Processor):
    def __init__(self, out_size: int, name: str = "deep_sets"):
        super().__init__(name=name)
        self.out_size = out_size

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
        z = jnp.concatenate([node_fts, hidden], axis=-1)  # [B, N, 2H]
        loop_fts = jnp.einsum("biih->bih", edge_fts)  # [B, N, H]
        msg_1 = hk.Linear(self.out_size)(z)  # [B, N, H]
        msg_2 = hk.Linear(self.out_size)(z)  # [B, N, H]
        msg_e = hk.Linear(self.out_size)(loop_fts)  # [B, N, H]
        msg_g = hk.Linear(self.out_size)(graph_fts)  # [B, H]
        msgs = msg_1 + msg_2 + msg_e + jnp.expand_dims(msg_g, axis=1)  # [B, N, H]
        activated = jax.nn.relu(msgs)  # [B, N, H]
        received = hk.nets.MLP([self.out_size, self.out_size])(activated)  # [B, N, H]
        own = hk.Linear(self.out_size)(z)  # [B, N, H]
        update = hk.Linear(self.out_size)(received)  # [B, N, H]
        new = jax.nn.relu(own + update)  # [B, N, H]
        node = hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(new)  # [B, N, H]
        return node, None
