"""Triplet-GMPNN: gated message passing over all pairs, with triplet messages for the edges.

Messages between all pairs of nodes pass an MLP and are reduced by their maximum; a gate, nearly
closed at first, mixes the update into the previous embeddings. Edge embeddings come from triplets
(i, j, k) of nodes with 8 features, reduced by their maximum over i.

Shapes: node_fts, hidden [B, N, H], edge_fts [B, N, N, H], graph_fts [B, H], adj_mat [B, N, N] ->
node [B, N, H], edge [B, N, N, H].

Source: Ibarz et al., "A Generalist Neural Algorithmic Learner", LoG 2022.
"""

import clrs
import haiku as hk
import jax
import jax.numpy as jnp


class Processor(clrs.processors.Processor):
    def __init__(self, out_size: int, name: str = "triplet_gmpnn"):
        super().__init__(name=name)
        self.out_size = out_size

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
        z = jnp.concatenate([node_fts, hidden], axis=-1)  # [B, N, 2H]
        msg_1 = hk.Linear(self.out_size)(z)  # [B, N, H]
        msg_2 = hk.Linear(self.out_size)(z)  # [B, N, H]
        msg_e = hk.Linear(self.out_size)(edge_fts)  # [B, N, N, H]
        msg_g = hk.Linear(self.out_size)(graph_fts)  # [B, H]
        tri_1 = hk.Linear(8)(z)  # [B, N, 8]
        tri_2 = hk.Linear(8)(z)  # [B, N, 8]
        tri_3 = hk.Linear(8)(z)  # [B, N, 8]
        tri_e_1 = hk.Linear(8)(edge_fts)  # [B, N, N, 8]
        tri_e_2 = hk.Linear(8)(edge_fts)  # [B, N, N, 8]
        tri_e_3 = hk.Linear(8)(edge_fts)  # [B, N, N, 8]
        tri_g = hk.Linear(8)(graph_fts)  # [B, 8]
        triplets = (
            jnp.expand_dims(tri_1, axis=(2, 3))
            + jnp.expand_dims(tri_2, axis=(1, 3))
            + jnp.expand_dims(tri_3, axis=(1, 2))
            + jnp.expand_dims(tri_e_1, axis=3)
            + jnp.expand_dims(tri_e_2, axis=2)
            + jnp.expand_dims(tri_e_3, axis=1)
            + jnp.expand_dims(tri_g, axis=(1, 2, 3))
        )  # [B, N, N, N, 8]
        reduced = jnp.max(triplets, axis=1)  # [B, N, N, 8]
        edge = jax.nn.relu(hk.Linear(self.out_size)(reduced))  # [B, N, N, H]
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
