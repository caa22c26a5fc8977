"""MNIST-1D by split, made here by its authors' package; nothing is downloaded.

The published data set (seed 42) has 4,000 training and 1,000 test signals. A search holds out 500
of the training signals, by a fixed permutation: these are the validation data, and 3,500 are left
to train on. Selection data are new: 5,000 signals that the same package makes from another seed,
so that picking a winner costs no training data and touches neither validation nor test data.
"""

import contextlib
import dataclasses
import functools
import random
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from evo_clrs.errors import UserError
from evo_clrs.randomness import seed_for

SPLITS = ("train", "validation", "selection", "test")
CLASSES = 10
LENGTH = 40
HELD_OUT = 500

_PUBLISHED_SEED = 42
_SELECTION_SEED = 43

# NumPy or JAX arrays; inside jit, tracers.
Array = Any


@dataclasses.dataclass(frozen=True)
class Samples:
    """S signals with their classes, or a batch of them: a pytree of NumPy or JAX arrays.

    Attributes:
      signals: float32 [S, 40]; over the 5,000 signals of a data set mean 0, standard deviation 1.
      classes: int32 [S], 0 to 9.
    """

    signals: Array
    classes: Array

    @property
    def count(self) -> int:
        """S, how many signals there are."""
        return self.signals.shape[0]

    def take(self, indices: Array) -> "Samples":
        """Returns those at these indices, integers [B]; on JAX arrays it may be traced."""
        return Samples(self.signals[indices], self.classes[indices])


jax.tree_util.register_dataclass(Samples, data_fields=["signals", "classes"], meta_fields=[])


@dataclasses.dataclass(frozen=True)
class Splits:
    """The data by split; the only way from a problem to its samples.

    Attributes:
      held_out: how many training signals are the validation data.
      record_test: called before each reading of test data, with how many signals are read. Only
        the final comparison has one: without it, as in a search, asking for test data is an
        error. So test data cannot be read without a record of it.
    """

    held_out: int = HELD_OUT
    record_test: Callable[[int], None] | None = None

    def samples(self, split: str) -> Samples:
        """Returns a split's samples as NumPy arrays.

        Raises:
          UserError: there is no such split, or test data is asked for without `record_test`.
        """
        if split not in SPLITS:
            raise UserError(f"unknown split {split!r}; expected one of: {', '.join(SPLITS)}")
        if split == "selection":
            return Samples(*map(np.concatenate, zip(*_made(_SELECTION_SEED), strict=True)))
        training, test = _made(_PUBLISHED_SEED)
        if split == "test":
            if self.record_test is None:
                raise UserError("test data is for the final comparison only: use selection data")
            self.record_test(len(test[0]))
            return Samples(*test)
        samples = Samples(*training)
        seed = seed_for(_PUBLISHED_SEED, "held out")
        order = np.random.default_rng(seed).permutation(samples.count)
        held_out, kept = order[: self.held_out], order[self.held_out :]
        return samples.take(np.sort(held_out if split == "validation" else kept))


@functools.cache
def _made(seed: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Returns signals and classes for training, then those for test, as the package makes them."""
    with _generators_kept():
        from mnist1d.data import get_dataset_args, make_dataset  # slow to import

        options = get_dataset_args()
        options.seed = seed
        made = make_dataset(options)

    def part(suffix: str) -> tuple[np.ndarray, np.ndarray]:
        return made[f"x{suffix}"].astype(np.float32), made[f"y{suffix}"].astype(np.int32)

    return part(""), part("_test")


@contextlib.contextmanager
def _generators_kept() -> Iterator[None]:
    """Gives the global generators their states back, which the package seeds and draws from."""
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
