"""Linear layers on edge features, computed through the few numbers that edges differ by.

Edge features of a CLRS model are sums of a few scalars times vectors: `channels @ vectors`, with
channels [B, N, N, R] and vectors [R, H], where R is 2 to 6 on most tasks. A linear layer on them
is then `channels @ (vectors @ w)`: R x O and not H x O products for each edge.

Both the model around a slot and the jail, where programs fill it, call `through_channels`: in it
`hk.Linear` takes the short way wherever it is given edge features whole. Whatever else is done with
them sees a plain array.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from evo_clrs.slots import Slot


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Factored:
    """Edge features as a product, with further features behind them: a pytree.

    Attributes:
      channels: [B, N, N, R].
      vectors: [R, H].
      others: [B, N, N, E] features that stand behind them on the last axis, or None.
    """

    channels: jax.Array
    vectors: jax.Array
    others: jax.Array | None = None

    def dense(self) -> jax.Array:
        """Returns the features as one array, [B, N, N, H + E]."""
        product = multiply(self.channels, self.vectors)
        if self.others is None:
            return product
        return jnp.concatenate([product, self.others], axis=-1)


@contextlib.contextmanager
def through_channels(known: Sequence[tuple[Any, Factored]] = ()) -> Iterator[None]:
    """Has `hk.Linear` multiply the vectors where it is given `Factored` features.

    Other inputs of three or more dimensions are multiplied as matrices, which is faster on CPUs
    and gives the same numbers.

    Args:
      known: arrays with what they are the dense form of. A layer that is given one of them, the
        array itself and not one made of it, takes the short way too.
    """

    def call(
        next_f: Callable[..., Any], args: tuple, kwargs: dict, context: hk.MethodContext
    ) -> Any:
        layer = context.module
        if not isinstance(layer, hk.Linear) or context.method_name != "__call__":
            return next_f(*args, **kwargs)
        # A class of a program's own that changes what a layer does is left to do it.
        if type(layer).__call__ is not hk.Linear.__call__ or len(args) != 1 or kwargs:
            return next_f(*args, **kwargs)
        x = next((factored for array, factored in known if array is args[0]), args[0])
        if isinstance(x, Factored):
            return _linear(layer, x)
        if getattr(x, "ndim", 0) < 3:
            return next_f(x)
        flat = next_f(jnp.reshape(x, (-1, x.shape[-1])))
        return jnp.reshape(flat, (*x.shape[:-1], flat.shape[-1]))

    with hk.intercept_methods(call):
        yield


def inputs_of(
    slot: Slot, arguments: Sequence[jax.Array]
) -> tuple[tuple[jax.Array, ...], list[tuple[jax.Array, Factored]]]:
    """Returns a slot's inputs from what enters its graph, and those that are products."""
    inputs: list[jax.Array] = []
    known = []
    left = iter(arguments)
    for tensor in slot.inputs:
        if tensor.factored:
            factored = Factored(next(left), next(left))
            inputs.append(factored.dense())
            known.append((inputs[-1], factored))
        else:
            inputs.append(next(left))
    return tuple(inputs), known


def weights_of(layer: hk.Linear, width: int) -> tuple[jax.Array, jax.Array]:
    """Returns the parameters of a layer that reads so many numbers, made if need be.

    Args:
      layer: a layer with a bias; to be called within a Haiku function.
      width: I, how many numbers it reads.

    Returns:
      [I, O] and [O].
    """
    layer(jnp.zeros((0, width)))
    held = layer.params_dict()
    return held[f"{layer.module_name}/w"], held[f"{layer.module_name}/b"]


def _linear(layer: hk.Linear, x: Factored) -> jax.Array:
    """Returns what a layer makes of factored features, with the parameters it would make."""
    width = x.vectors.shape[-1]
    inputs = width + (0 if x.others is None else x.others.shape[-1])
    init = layer.w_init or hk.initializers.TruncatedNormal(1 / math.sqrt(inputs))
    w = hk.get_parameter("w", [inputs, layer.output_size], x.vectors.dtype, init=init)
    out = multiply(x.channels, x.vectors @ w[:width])
    if x.others is not None:
        out += multiply(x.others, w[width:])
    if layer.with_bias:
        out += hk.get_parameter("b", [layer.output_size], w.dtype, init=layer.b_init)
    return out


def multiply(x: jax.Array, matrix: jax.Array) -> jax.Array:
    """Returns `x @ matrix`, as one product of two matrices."""
    flat = jnp.reshape(x, (-1, x.shape[-1])) @ matrix
    return jnp.reshape(flat, (*x.shape[:-1], matrix.shape[-1]))
