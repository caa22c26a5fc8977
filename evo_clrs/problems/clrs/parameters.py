"""Fresh parameters of a Haiku function, without running it."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

Parameters = Mapping[str, Mapping[str, jax.Array]]


def initialise(function: Callable[..., Any], key: jax.Array, *arguments: Any) -> Parameters:
    """Returns parameters distributed as Haiku would draw them; meant to be called in jit.

    All truncated normal weights, which are nearly all, come from one draw that is cut up and
    scaled: one random operation to compile in place of one for each array.

    Args:
      function: makes and calls Haiku modules; it must not be transformed yet.
      key: uint32[2].
      *arguments: what the function takes; only their shapes matter.
    """
    volume = 0

    def count(next_creator: Callable, shape: Any, dtype: Any, init: Any, context: Any) -> jax.Array:
        nonlocal volume
        volume += math.prod(shape) if _is_standard(init) else 0
        return jnp.zeros(shape, dtype)

    counting = _with_creator(function, count)
    jax.eval_shape(lambda key: counting(key, *arguments), key)

    draw_key, rest_key = jax.random.split(key)
    draw = jax.random.truncated_normal(draw_key, -2.0, 2.0, (volume,))
    position = 0

    def cut(next_creator: Callable, shape: Any, dtype: Any, init: Any, context: Any) -> jax.Array:
        nonlocal position
        if not _is_standard(init):
            return next_creator(shape, dtype, init)
        start, position = position, position + math.prod(shape)
        return (draw[start:position].reshape(shape) * init.stddev).astype(dtype)

    return _with_creator(function, cut)(rest_key, *arguments)


def _with_creator(function: Callable[..., Any], creator: Callable) -> Callable[..., Parameters]:
    """Returns the function's init, with parameters made by a Haiku creator."""

    def call(*arguments: Any) -> Any:
        with hk.custom_creator(creator):
            return function(*arguments)

    return hk.transform(call).init


def _is_standard(init: Any) -> bool:
    """Whether an initialiser is a truncated normal of mean 0 cut at two standard deviations."""
    return isinstance(init, hk.initializers.TruncatedNormal) and (
        (init.mean, init.lower, init.upper) == (0.0, -2.0, 2.0)
    )
