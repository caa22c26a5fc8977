"""A bidirectional GRU of 6 units, then a linear layer on its states at all steps.

Its cell has two biases for each gate, one with the signal and one with the state, and resets the
state after the product with the weights. Initial weights and biases are uniform within
1 / sqrt(units) in the cell and 1 / sqrt(inputs) in the linear layer, all as in PyTorch.

Shapes: x [B, L] -> logits [B, C].

Source: Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024, the GRU baseline
(5,134 parameters at L = 40); Cho et al., "Learning Phrase Representations using RNN
Encoder-Decoder", EMNLP 2014.
"""

import math

import haiku as hk
import jax
import jax.numpy as jnp


def states(gates, w, b, reverse):
    """Returns the states [L, B, H] for what the signal gives to the gates, [L, B, 3H]."""

    def step(state, signal):
        signal_r, signal_z, signal_n = jnp.split(signal, 3, axis=1)  # [B, H]
        state_r, state_z, state_n = jnp.split(jnp.matmul(state, w) + b, 3, axis=1)  # [B, H]
        reset = jax.nn.sigmoid(signal_r + state_r)  # [B, H]
        kept = jax.nn.sigmoid(signal_z + state_z)  # [B, H]
        fresh = jnp.tanh(signal_n + reset * state_n)  # [B, H]
        new = (1 - kept) * fresh + kept * state  # [B, H]
        return new, new

    start = jnp.zeros((gates.shape[1], w.shape[0]))
    return jax.lax.scan(step, start, gates, reverse=reverse)[1]


class Network(hk.Module):
    def __init__(self, classes: int, name: str = "gru"):
        super().__init__(name=name)
        self.classes = classes

    def __call__(self, x):
        bound = 1 / math.sqrt(6)
        init = hk.initializers.RandomUniform(-bound, bound)
        signal = jnp.expand_dims(jnp.transpose(x), axis=2)  # [L, B, 1]
        gates_ahead = hk.Linear(18, w_init=init, b_init=init)(signal)  # [L, B, 18]
        gates_back = hk.Linear(18, w_init=init, b_init=init)(signal)  # [L, B, 18]
        w_ahead = hk.get_parameter("w_ahead", (6, 18), init=init)
        b_ahead = hk.get_parameter("b_ahead", (18,), init=init)
        w_back = hk.get_parameter("w_back", (6, 18), init=init)
        b_back = hk.get_parameter("b_back", (18,), init=init)
        ahead = states(gates_ahead, w_ahead, b_ahead, False)  # [L, B, 6]
        back = states(gates_back, w_back, b_back, True)  # [L, B, 6]
        both = jnp.concatenate([ahead, back], axis=2)  # [L, B, 12]
        flat = jnp.reshape(jnp.swapaxes(both, 0, 1), (x.shape[0], -1))  # [B, 12L]
        bound_out = 1 / math.sqrt(flat.shape[1])
        init_out = hk.initializers.RandomUniform(-bound_out, bound_out)
        logits = hk.Linear(self.classes, w_init=init_out, b_init=init_out)(flat)  # [B, C]
        return logits
