"""A cache of keys and values that grows in place.

What transformers keeps by default is copied whole with each token, which for a small model and a
long prompt takes longer than the model does. Here memory is taken for many tokens at a time.
"""

from typing import Any

import torch
from transformers import cache_utils

_TOKENS = 64  # that memory is taken for at a time


def grow_in_place(cache: Any) -> None:
    """Lets the layers of a cache grow in place; those of other kinds are left as they are."""
    layers = getattr(cache, "layers", [])
    for place, layer in enumerate(layers):
        if type(layer) is not cache_utils.DynamicLayer:
            continue
        keys, values = layer.keys, layer.values
        if keys is not None and values is not None:
            layers[place] = _Growing(keys, values)


class _Growing(cache_utils.DynamicLayer):
    """A layer whose `keys` and `values`, [rows, heads, tokens, width], are parts of larger ones."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor):
        super().__init__()
        self.lazy_initialization(keys, values)
        self._held = _roomy(keys, _TOKENS), _roomy(values, _TOKENS)
        self._show(keys.shape[-2])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Adds tokens and returns the keys and values of all."""
        keys, values = self._held
        end = self._tokens + key_states.shape[-2]
        if end > keys.shape[-2]:
            more = end - keys.shape[-2] + _TOKENS
            keys, values = self._held = _roomy(keys, more), _roomy(values, more)
        keys[:, :, self._tokens : end] = key_states
        values[:, :, self._tokens : end] = value_states
        return self._show(end)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps these rows."""
        keys, values = self._held
        self._held = keys[indices], values[indices]
        self._show(self._tokens)

    def _show(self, tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        self._tokens = tokens
        keys, values = (held[:, :, :tokens] for held in self._held)
        self.keys, self.values = keys, values
        return keys, values


def _roomy(states: torch.Tensor, more: int) -> torch.Tensor:
    """Returns states with room for more tokens."""
    rows, heads, tokens, width = states.shape
    held = states.new_empty((rows, heads, tokens + more, width))
    held[:, :, :tokens] = states
    return held
