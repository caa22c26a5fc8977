"""What turns a training that cannot go on into a rejection."""

import contextlib
from collections.abc import Iterator

import jax
import numpy as np

from evo_clrs.errors import Rejected


@contextlib.contextmanager
def memory_guard() -> Iterator[None]:
    """Turns the device's out-of-memory error into a rejection."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise Rejected("failed", f"out of device memory: {reason}") from error


def check_finite(losses: np.ndarray, step: int) -> None:
    """Raises Rejected if a loss [steps, ...] is not finite; so many steps came before them."""
    broken = np.flatnonzero(~np.isfinite(losses).reshape(len(losses), -1).all(axis=1))
    if broken.size:
        raise Rejected("failed", f"loss is not finite at step {step + int(broken[0]) + 1}")
