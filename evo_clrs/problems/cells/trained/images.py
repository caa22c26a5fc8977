"""Image sets that need no download: scikit-learn's digits, and CIFAR-10 from a local folder.

References: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998 (the digits); Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
2009, https://www.cs.toronto.edu/~kriz/cifar.html (CIFAR-10 and its binary form).
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evo_clrs.errors import UserError
from evo_clrs.randomness import generator

SETS = ("digits", "cifar10")
SPLITS = ("train", "validation", "selection", "test")

CIFAR10_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
CIFAR10_TEST = "test_batch.bin"
CIFAR10_SOURCE = (
    "CIFAR-10 is not downloaded by itself: get cifar-10-binary.tar.gz (170 MB, MD5 "
    "c32a1d4ab5d03f1284b67883e8d87530) from https://www.cs.toronto.edu/~kriz/cifar.html, unpack it "
    "with `tar xzf cifar-10-binary.tar.gz`, and give --folder=PATH/cifar-10-batches-bin"
)

_SPLIT_SEED = 0  # which image belongs to which split is the same in all runs
_RECORDS = 10_000  # in each file
_SIDE = 32
_RECORD_BYTES = 1 + 3 * _SIDE * _SIDE  # label, then the red, green and blue planes, row by row


# NumPy or JAX arrays; inside jit, tracers.
Array = Any


class Images(NamedTuple):
    """Images with their labels, or a batch of them: a pytree of NumPy or JAX arrays.

    Attributes:
      pixels: uint8 [S, H, W, C].
      labels: int32 [S].
    """

    pixels: Array
    labels: Array

    @property
    def number(self) -> int:
        """S, how many images there are."""
        return int(self.labels.shape[0])


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is known of an image set without reading it.

    Attributes:
      side: height and width of its images.
      channels: channels of its images.
      classes: classes, numbered from 0.
      counts: images in each of `SPLITS`.
      mean: of each channel, in units of the stored pixels.
      deviation: of each channel, likewise.
      flips: whether an image mirrored left to right is one of the same class.
    """

    side: int
    channels: int
    classes: int
    counts: tuple[int, int, int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    flips: bool


# CIFAR-10 is normalised by the figures of the benchmark, which trains on one half of the training
# images; of the other half, its validation images, a fifth is kept for selection here.
KINDS = {
    "digits": Kind(8, 1, 10, (897, 300, 300, 300), (8.0,), (8.0,), flips=False),
    "cifar10": Kind(
        *(_SIDE, 3, 10, (25_000, 20_000, 5_000, 10_000)),
        mean=(125.3, 123.0, 113.9),
        deviation=(63.0, 62.1, 66.7),
        flips=True,
    ),
}


@dataclasses.dataclass(frozen=True)
class Source:
    """An image set by split, with test images closed unless their reading is recorded.

    Attributes:
      name: one of `SETS`.
      folder: where CIFAR-10 lies, in its binary form.
      record_test: called with the name before each reading of test images. Only a final
        comparison has one: without it, as in a search, asking for test images is an error.

    Raises:
      UserError: there is no such set, or a file of it is missing or damaged.
    """

    name: str
    folder: str = ""
    record_test: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        if self.name not in SETS:
            raise UserError(f"--images must be one of {', '.join(SETS)}, got {self.name!r}")
        if self.name == "cifar10":
            _check_cifar10(self.folder)

    @property
    def kind(self) -> Kind:
        """What is known of the set without reading it."""
        return KINDS[self.name]

    def read(self, split: str) -> Images:
        """Returns the images of a split.

        Raises:
          UserError: there is no such split, test images are asked for without `record_test`, or a
            file cannot be read.
        """
        if split not in SPLITS:
            raise UserError(f"unknown split {split!r}; expected one of: {', '.join(SPLITS)}")
        if split == "test":
            if self.record_test is None:
                raise UserError("test data is for the final comparison only: use selection data")
            self.record_test(self.name)
        if self.name == "digits":
            return _part(_digits(), split, self.kind.counts)
        if split == "test":
            return _cifar10_file(Path(self.folder) / CIFAR10_TEST)
        return _part(_cifar10_train(self.folder), split, self.kind.counts[:3])


def _part(images: Images, split: str, counts: tuple[int, ...]) -> Images:
    """Returns a split of images that are dealt out in an order fixed for all runs."""
    order = list(range(images.number))
    generator(_SPLIT_SEED, "splits").shuffle(order)
    position = SPLITS.index(split)
    start = sum(counts[:position])
    chosen = np.asarray(order[start : start + counts[position]])
    return Images(images.pixels[chosen], images.labels[chosen])


@functools.cache
def _digits() -> Images:
    """Returns the 1,797 images of 8 x 8 pixels from 0 to 16 that scikit-learn brings along."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError(
            "--images=digits needs scikit-learn: install it with `pip install scikit-learn`"
        ) from None

    found = load_digits()
    pixels = found.images.astype(np.uint8)[..., None]
    return Images(pixels, found.target.astype(np.int32))


@functools.cache
def _cifar10_train(folder: str) -> Images:
    parts = [_cifar10_file(Path(folder) / name) for name in CIFAR10_TRAIN]
    return Images(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def _cifar10_file(path: Path) -> Images:
    """Returns the 10,000 images of a file in the binary form."""
    try:
        records = np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). {CIFAR10_SOURCE}") from None
    if records.size != _RECORDS * _RECORD_BYTES:
        raise _wrong_size(path, records.size)
    records = records.reshape(_RECORDS, _RECORD_BYTES)
    labels = records[:, 0].astype(np.int32)
    if labels.max() > 9:
        raise UserError(f"{path} is damaged: it holds a label {labels.max()}. {CIFAR10_SOURCE}")
    planes = records[:, 1:].reshape(_RECORDS, 3, _SIDE, _SIDE)
    return Images(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)


def _check_cifar10(folder: str) -> None:
    """Raises UserError unless all files are there, each of its size; reads none of them."""
    if not folder:
        raise UserError(f"--images=cifar10 needs --folder. {CIFAR10_SOURCE}")
    for name in (*CIFAR10_TRAIN, CIFAR10_TEST):
        path = Path(folder) / name
        if not path.is_file():
            raise UserError(f"{path} is missing. {CIFAR10_SOURCE}")
        if path.stat().st_size != _RECORDS * _RECORD_BYTES:
            raise _wrong_size(path, path.stat().st_size)


def _wrong_size(path: Path, size: int) -> UserError:
    expected = _RECORDS * _RECORD_BYTES
    return UserError(f"{path} is damaged: {size} bytes instead of {expected}. {CIFAR10_SOURCE}")
