"""Fresh parameters drawn by description: nothing is traced or compiled for them.

Each parameter has a counter-based generator of its own (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3"), keyed by JAX key, purpose and position: equal keys give equal numbers
on every platform, whatever the shapes of other parameters.
"""

from collections.abc import Sequence

import jax
import numpy as np
from scipy import special

from evo_clrs.records import Parameter


def draw(
    parameters: Sequence[Parameter | None], key: jax.Array, purpose: int = 0
) -> tuple[jax.Array, ...]:
    """Returns fresh float32 parameters; Haiku draws from the same distributions.

    A traced key, in jit or vmap, makes it a callback that gives the same numbers; shapes alone are
    asked for without drawing.

    Args:
      parameters: described ones. None leaves its position out, the others keep theirs.
      key: uint32[2].
      purpose: what is drawn with one key for several purposes is independent; 0 is for slots.
    """
    wanted = [(i, parameter) for i, parameter in enumerate(parameters) if parameter]

    def drawn(key: np.ndarray | jax.Array) -> tuple[np.ndarray, ...]:
        words = np.asarray(key, np.uint32)
        return tuple(_draw(parameter, words, purpose << 32 | i) for i, parameter in wanted)

    if not isinstance(key, jax.core.Tracer):
        return jax.device_put(drawn(key))
    shapes = tuple(jax.ShapeDtypeStruct(p.shape, np.float32) for _, p in wanted)
    return tuple(jax.pure_callback(drawn, shapes, key, vmap_method="sequential"))


def _draw(parameter: Parameter, key: np.ndarray, place: int) -> np.ndarray:
    assert parameter.initialiser is not None
    shape, kind = parameter.shape, parameter.initialiser.kind
    numbers = parameter.initialiser.numbers
    high, low = map(int, key)
    random = np.random.Generator(np.random.Philox(key=[high << 32 | low, place]))
    if kind == "constant":
        return np.full(shape, numbers[0], np.float32)
    if kind == "uniform":
        array = random.uniform(numbers[0], numbers[1], shape)
    elif kind == "normal":
        array = numbers[1] + numbers[0] * random.standard_normal(shape)
    else:
        stddev, mean, lower, upper = numbers
        # Far above the mean the distribution function cannot tell numbers apart: mirrored there.
        sign = -1.0 if lower > 0 else 1.0
        lower, upper = sorted((sign * lower, sign * upper))
        heights = random.uniform(special.ndtr(lower), special.ndtr(upper), shape)
        array = mean + sign * stddev * np.clip(special.ndtri(heights), lower, upper)
    return np.asarray(array, np.float32)
