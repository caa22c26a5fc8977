"""MPNN with a GRU: message passing over all pairs, embeddings kept as the state of a GRU.

Messages between all pairs of nodes pass an MLP and are reduced by their maximum. They enter, with
the node features, a gated recurrent unit whose state is the previous embeddings; where its update
gate is 0, embeddings stay as they were.

Shapes: node_fts, hidden [B, N, H], edge_fts [B, N, N, H], graph_fts [B, H], adj_mat [B, N, N] ->
node [B, N, H], no edge embeddings.

Source: Li et al., "Gated Graph Sequence Neural Networks", ICLR 2016; Gilmer et al., "Neural Message
Passing for Quantum Chemistry", ICML 2017.
"""

import clrs
import haiku as hk
import jax
import jax.numpy as jnp


class Processor(clrs.processors.Processor):
    def __init__(self, out_size: int, name: str = "gru_mpnn"):
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
        received = jnp.max(mixed, axis=1)  # [B, N, H]
        seen = jnp.concatenate([node_fts, received, hidden], axis=-1)  # [B, N, 3H]
        update = jax.nn.sigmoid(hk.Linear(self.out_size)(seen))  # [B, N, H]
        reset = jax.nn.sigmoid(hk.Linear(self.out_size)(seen))  # [B, N, H]
        kept = reset * hidden  # [B, N, H]
        fresh = jnp.concatenate([node_fts, received, kept], axis=-1)  # [B, N, 3H]
        new = jnp.tanh(hk.Linear(self.out_size)(fresh))  # [B, N, H]
        node = update * new + (1 - update) * hidden  # [B, N, H]
        return node, None
