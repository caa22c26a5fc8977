"""Logistic regression: one linear layer.

Initial weights and biases are uniform within 1 / sqrt(inputs), as in PyTorch.

Shapes: x [B, L] -> logits [B, C].

Source: Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024, the linear
baseline (410 parameters).
"""

import math

import haiku as hk


class Network(hk.Module):
    def __init__(self, classes: int, name: str = "linear"):
        super().__init__(name=name)
        self.classes = classes

    def __call__(self, x):
        bound = 1 / math.sqrt(x.shape[1])
        init = hk.initializers.RandomUniform(-bound, bound)
        logits = hk.Linear(self.classes, w_init=init, b_init=init)(x)  # [B, C]
        return logits
