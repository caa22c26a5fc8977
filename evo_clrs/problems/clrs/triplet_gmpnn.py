"""What stands around a `triplet` slot: the rest of Triplet-GMPNN, ours and fixed.

Source: Ibarz et al., "A Generalist Neural Algorithmic Learner", LoG 2022 (arXiv 2209.11142). The
messages of pairs of nodes pass through a three-layer perceptron and are reduced with max over all
senders, the graph being fully connected; a gate, nearly closed at first, mixes the result with the
previous embedding. The triplet messages go to the decoders only.
"""

from collections.abc import Callable
from typing import cast

import haiku as hk
import jax
import jax.numpy as jnp

from evo_clrs.linear import Factored

# Closes the gate at first, so that embeddings change slowly.
_GATE_BIAS = -3.0

TripletMessages = Callable[[jax.Array], jax.Array]


class TripletGMPNN(hk.Module):
    """One step of Triplet-GMPNN around a given triplet message function.

    Modules bear names of their own, so that parameters can be found: `message_*` for the four parts
    of a message, `node_out` and `messages_out` for the new embedding, `gate_*` for the gate.
    """

    def __init__(self, hidden_size: int, name: str = "triplet_gmpnn"):
        super().__init__(name=name)
        self.hidden_size = hidden_size

    def __call__(
        self,
        triplet_messages: TripletMessages,
        node_fts: jax.Array,
        edge_fts: Factored,
        graph_fts: jax.Array,
        hidden: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Returns new node embeddings and edge embeddings.

        Args:
          triplet_messages: the slot on these features, from z [B, N, 2H] to [B, N, N, E].
          node_fts: [B, N, H] encoded node features.
          edge_fts: [B, N, N, H] encoded edge features; factored, so within `through_channels` only.
          graph_fts: [B, H] encoded graph features.
          hidden: [B, N, H] embeddings of the previous step.

        Returns:
          nodes [B, N, H] and edges [B, N, N, E].
        """
        size = self.hidden_size
        z = jnp.concatenate([node_fts, hidden], axis=-1)  # [B, N, 2H]
        messages = (
            hk.Linear(size, name="message_receiver")(z)[:, None, :, :]
            + hk.Linear(size, name="message_sender")(z)[:, :, None, :]
            + hk.Linear(size, name="message_edge")(cast(jax.Array, edge_fts))
            + hk.Linear(size, name="message_graph")(graph_fts)[:, None, None, :]
        )
        messages = hk.nets.MLP([size, size], name="message_mlp")(jax.nn.relu(messages))
        reduced = jnp.max(messages, axis=1)  # [B, N, H]

        nodes = hk.Linear(size, name="node_out")(z) + hk.Linear(size, name="messages_out")(reduced)
        nodes = jax.nn.relu(nodes)
        nodes = hk.LayerNorm(axis=-1, create_scale=True, create_offset=True, name="norm")(nodes)

        gate = hk.Linear(size, name="gate_node")(z) + hk.Linear(size, name="gate_messages")(reduced)
        bias = hk.initializers.Constant(_GATE_BIAS)
        gate = hk.Linear(size, b_init=bias, name="gate_out")(jax.nn.relu(gate))
        gate = jax.nn.sigmoid(gate)
        nodes = nodes * gate + hidden * (1 - gate)
        return nodes, jax.nn.relu(triplet_messages(z))
