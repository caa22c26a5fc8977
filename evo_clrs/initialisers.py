"""Haiku's standard initialisers as data: nearly all parameters are made by one of them.

Described parameters need no code of their own: the random-number code of twenty arrays takes a
compiler longer than many a model does.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from haiku._src.base import param_creator_stack
from haiku._src.initializers import _compute_fans as fans

from evo_clrs.records import Initialiser

# Standard deviation of a standard normal cut at two, by which Haiku's scaling divides.
_STDDEV_CUT_AT_TWO = 0.87962566103423978


def describe(init: Any, shape: tuple[int, ...]) -> Initialiser | None:
    """Returns what an initialiser draws for a float32 array of this shape.

    None for what is not exactly one of Haiku's own, as an object of a class derived from one, or
    where a number is no plain one: traced, not finite or huge.
    """
    if init is jnp.zeros or init is jnp.ones:
        return Initialiser("constant", (float(init is jnp.ones),))
    found = _reduced(init, shape)
    if found is None:
        return None
    kind, given = found
    numbers = [number for number in map(_number, given) if number is not None]
    try:
        return Initialiser(kind, tuple(numbers))
    except ValueError:
        return None


def _reduced(init: Any, shape: tuple[int, ...]) -> tuple[str, tuple[Any, ...]] | None:
    """Returns kind and numbers, as Haiku's classes compute them."""
    if type(init) is hk.initializers.Constant:
        return "constant", (init.constant,)
    if type(init) is hk.initializers.RandomNormal:
        return "normal", (init.stddev, init.mean)
    if type(init) is hk.initializers.TruncatedNormal:
        return "truncated_normal", (init.stddev, init.mean, init.lower, init.upper)
    if type(init) is hk.initializers.RandomUniform:
        return "uniform", (init.minval, init.maxval)
    if type(init) is hk.initializers.UniformScaling:
        return _spread("uniform", _number(init.scale), math.prod(shape[:-1]))
    if type(init) is hk.initializers.VarianceScaling:
        scale, (fan_in, fan_out) = _number(init.scale), fans(shape, init.fan_in_axes)
        numbers = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        root = None if scale is None or scale < 0 else math.sqrt(scale)
        return _spread(init.distribution, root, max(1.0, float(numbers[init.mode])))
    return None


def _spread(
    distribution: str, scale: float | None, units: float
) -> tuple[str, tuple[float, ...]] | None:
    """Returns a distribution around zero with variance `scale ** 2 / units`."""
    if scale is None or units < 1:
        return None
    stddev = scale / math.sqrt(units)
    if distribution == "uniform":
        return "uniform", (-math.sqrt(3) * stddev, math.sqrt(3) * stddev)
    if distribution == "normal":
        return "normal", (stddev, 0.0)
    return "truncated_normal", (stddev / _STDDEV_CUT_AT_TWO, 0.0, -2.0, 2.0)


def _number(value: Any) -> float | None:
    """Returns a plain real number as Haiku reads it, in float32; None for anything else."""
    if isinstance(value, jax.core.Tracer) or not isinstance(
        value, int | float | np.number | np.ndarray | jax.Array
    ):
        return None
    array = np.asarray(value)
    if array.shape != () or array.dtype.kind not in "biuf":
        return None
    return float(np.float32(array)) + 0.0  # no negative zero


class Recorder:
    """Creates parameters in place of Haiku and keeps how they are to be drawn."""

    def __init__(self) -> None:
        # Keyed by identity, so each value is kept, lest another takes its place.
        self._made: dict[int, tuple[Any, Initialiser]] = {}

    @property
    def made(self) -> tuple[Any, ...]:
        """The values that stand for parameters with a description: what they hold means nothing."""
        return tuple(value for value, _ in self._made.values())

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Records what is created within; to be entered in a function that Haiku transforms."""
        with hk.custom_creator(self._create):
            yield

    def of(self, value: Any) -> Initialiser | None:
        """Returns how a value of the tree of parameters is to be drawn, None where code tells.

        It goes by identity: where another creator changed what this one made, it is not known.
        """
        found = self._made.get(id(value))
        return None if found is None else found[1]

    def _create(
        self, create: Callable[..., Any], shape: Any, dtype: Any, init: Any, context: Any
    ) -> Any:
        described = describe(init, tuple(shape)) if dtype == jnp.float32 else None
        if described is None or len(param_creator_stack) > 1:  # others may change what is made
            return create(shape, dtype, init)
        # The barrier makes it a value of its own in a jaxpr, unlike any other zeros.
        value = jax.lax.optimization_barrier(jnp.zeros(shape, dtype))
        self._made[id(value)] = value, described
        return value
