"""Three convolutions of 25 channels, each halving the length, then a linear layer.

Initial weights and biases are uniform within 1 / sqrt(inputs of a unit), as in PyTorch.

Shapes: x [B, L] -> logits [B, C].

Source: Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024, the CNN baseline
(5,210 parameters at L = 40).
"""

import math

import haiku as hk
import jax
import jax.numpy as jnp


class Network(hk.Module):
    def __init__(self, classes: int, name: str = "cnn"):
        super().__init__(name=name)
        self.classes = classes

    def __call__(self, x):
        bound_1 = 1 / math.sqrt(5)
        bound = 1 / math.sqrt(3 * 25)
        init_1 = hk.initializers.RandomUniform(-bound_1, bound_1)
        init = hk.initializers.RandomUniform(-bound, bound)
        signal = jnp.expand_dims(x, axis=2)  # [B, L, 1]
        conv_1 = hk.Conv1D(25, 5, stride=2, padding=[(1, 1)], w_init=init_1, b_init=init_1)
        hidden_1 = jax.nn.relu(conv_1(signal))  # [B, 19, 25]
        conv_2 = hk.Conv1D(25, 3, stride=2, padding=[(1, 1)], w_init=init, b_init=init)
        hidden_2 = jax.nn.relu(conv_2(hidden_1))  # [B, 10, 25]
        conv_3 = hk.Conv1D(25, 3, stride=2, padding=[(1, 1)], w_init=init, b_init=init)
        hidden_3 = jax.nn.relu(conv_3(hidden_2))  # [B, 5, 25]
        flat = jnp.reshape(hidden_3, (x.shape[0], -1))  # [B, 125]
        bound_4 = 1 / math.sqrt(flat.shape[1])
        init_4 = hk.initializers.RandomUniform(-bound_4, bound_4)
        logits = hk.Linear(self.classes, w_init=init_4, b_init=init_4)(flat)  # [B, C]
        return logits
