"""Two hidden layers of 100 units, the second one residual.

Initial weights and biases are uniform within 1 / sqrt(inputs), as in PyTorch.

Shapes: x [B, L] -> logits [B, C].

Source: Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024, the MLP baseline
(15,210 parameters).
"""

import math

import haiku as hk
import jax


class Network(hk.Module):
    def __init__(self, classes: int, name: str = "mlp"):
        super().__init__(name=name)
        self.classes = classes

    def __call__(self, x):
        narrow = 1 / math.sqrt(x.shape[1])
        wide = 1 / math.sqrt(100)
        first_init = hk.initializers.RandomUniform(-narrow, narrow)
        init = hk.initializers.RandomUniform(-wide, wide)
        first = jax.nn.relu(hk.Linear(100, w_init=first_init, b_init=first_init)(x))  # [B, 100]
        second = jax.nn.relu(hk.Linear(100, w_init=init, b_init=init)(first))  # [B, 100]
        hidden = first + second  # [B, 100]
        logits = hk.Linear(self.classes, w_init=init, b_init=init)(hidden)  # [B, C]
        return logits
