"""The official order of NAS-Bench-201's cells, by which files and papers number them."""

import functools
import itertools
import random
from collections.abc import Mapping, Sequence

from evo_clrs.spaces import CELL

_SHUFFLE_SEED = 88  # the benchmark's authors shuffled once, by Python's generator with this seed


def index(arch: str) -> int:
    """Returns a cell's official number.

    Raises:
      ValueError: the arch string is damaged or belongs to another space.
    """
    return _numbers()[CELL.arch(CELL.from_arch(arch))]


def at(number: int) -> str:
    """Returns the arch string of the cell with this official number.

    Raises:
      IndexError: there is no such number.
    """
    if not 0 <= number < len(_archs()):
        raise IndexError(f"expected a number below {len(_archs()):,}, got {number}")
    return _archs()[number]


@functools.cache
def _archs() -> Sequence[str]:
    """Nested over the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, the last fastest; then shuffled."""
    every_choice = itertools.product(range(len(CELL.operations)), repeat=len(CELL.edges))
    archs = [CELL.arch(choices) for choices in every_choice]
    random.Random(_SHUFFLE_SEED).shuffle(archs)
    return tuple(archs)


@functools.cache
def _numbers() -> Mapping[str, int]:
    return {arch: number for number, arch in enumerate(_archs())}
