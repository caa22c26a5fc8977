"""Convolutions with a residual path, then a wide dense layer: where EvoPrompting's search begins.

Three convolutions of 32 channels, two of them residual, with average pooling that halves the length
after the first and after the last, then a dense layer of 256 units.

Shapes: x [B, L] -> logits [B, C].

Source: Chen, Dohan and So, "EvoPrompting: Language Models for Code-Level Neural Architecture
Search", NeurIPS 2023, Listing 2, the hand-designed seed of the search on MNIST-1D; initial weights
are Haiku's own.
"""

import haiku as hk
import jax
import jax.numpy as jnp


class Network(hk.Module):
    def __init__(self, classes: int, name: str = "paper_cnn"):
        super().__init__(name=name)
        self.classes = classes

    def __call__(self, x):
        signal = jnp.expand_dims(x, axis=2)  # [B, L, 1]
        first = jax.nn.relu(hk.Conv1D(32, 3)(signal))  # [B, L, 32]
        halved = hk.avg_pool(first, (2, 1), (2, 1), "VALID")  # [B, L/2, 32]
        second = halved + jax.nn.relu(hk.Conv1D(32, 3)(halved))  # [B, L/2, 32]
        third = second + jax.nn.relu(hk.Conv1D(32, 3)(second))  # [B, L/2, 32]
        quartered = hk.avg_pool(third, (2, 1), (2, 1), "VALID")  # [B, L/4, 32]
        flat = jnp.reshape(quartered, (x.shape[0], -1))  # [B, 8L]
        dense = jax.nn.relu(hk.Linear(256)(flat))  # [B, 256]
        logits = hk.Linear(self.classes)(dense)  # [B, C]
        return logits
