"""CVT-MAP-Elites archives: the best candidate in each of many niches of a space of descriptors.

Niches are the cells of a centroidal Voronoi tessellation of the unit cube, so descriptors have to
be brought there first: unscaled counts of FLOPs would all lie beyond one corner of it, in one
niche. How far counts reach is not known before a search. `scaled` therefore places each value among
all those seen so far, and an archive is made anew from all that it was ever offered when those
have become more.

References: Vassiliades, Chatzilygeroudis and Mouret, "Using Centroidal Voronoi Tessellations to
Scale Up the Multidimensional Archive of Phenotypic Elites Algorithm", IEEE TEVC 2018,
https://arxiv.org/abs/1610.05729; pyribs, https://pyribs.org.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

SCALINGS = ("residual", "rank", "log")

_SAMPLES = 10_000  # points that centroids are the means of; 0.4 s for 100 niches
_DECIMALS = 6  # of residuals: what is smaller is rounding, and would be ranked as if it were not
_GROWTH = 1.05  # niches are assigned anew when the values seen are so many times more


@functools.lru_cache(maxsize=8)
def centroids(niches: int, dimensions: int) -> np.ndarray:
    """Returns the centres of the niches, float64 [niches, dimensions], always the same ones."""
    import threadpoolctl
    from ribs.archives import k_means_centroids

    # One thread: the order in which several add up their parts would be left to chance.
    with threadpoolctl.threadpool_limits(1):
        points, _ = k_means_centroids(
            centroids=niches,
            ranges=[(0.0, 1.0)] * dimensions,
            samples=max(_SAMPLES, 20 * niches),
            seed=0,
            k_means_kwargs={"init": "k-means++"},
        )
    points.setflags(write=False)
    return points


class Archive:
    """The best number in each niche of the unit cube; ties go to the one that came first."""

    def __init__(self, niches: int, dimensions: int):
        """Makes an empty archive with this many niches of this many descriptors."""
        from ribs.archives import CVTArchive

        self.niches = niches
        self._cells = CVTArchive(
            solution_dim=0,  # what is kept are numbers, in a field of their own
            centroids=centroids(niches, dimensions),
            ranges=[(0.0, 1.0)] * dimensions,
            extra_fields={"number": ((), np.int64)},
        )

    def add(self, number: int, objective: float, position: Sequence[float] | np.ndarray) -> bool:
        """Offers a number to the niche of a position; returns whether it entered."""
        told = self._cells.add_single([], objective, position, number=number)
        return bool(told["status"] > 0)

    def niche(self, position: Sequence[float] | np.ndarray) -> int:
        """Returns the niche of a position."""
        return int(self._cells.index_of_single(position))

    def rebuild(self, objectives: Sequence[float], positions: np.ndarray) -> None:
        """Fills the archive anew, as if 0, 1, ... had been added in this order.

        Args:
          objectives: what each number is worth.
          positions: where each lies, [len(objectives), dimensions].
        """
        self._cells.clear()
        if not len(positions):
            return
        niches = self._cells.index_of(positions)
        worth = np.asarray(objectives)
        order = np.lexsort((np.arange(len(worth)), -worth, niches))
        _, first = np.unique(niches[order], return_index=True)
        for number in order[first]:
            self.add(int(number), float(worth[number]), positions[number])

    def elites(self) -> dict[int, int]:
        """Returns the number kept in each niche that is filled, in the order of niches."""
        kept: dict[str, Any] = self._cells.data(["index", "number"])
        return dict(sorted(zip(kept["index"].tolist(), kept["number"].tolist(), strict=True)))

    def __len__(self) -> int:
        return len(self._cells)


class ScaledArchive:
    """An archive whose descriptors have no bounds known beforehand.

    Niches mean something else as more is seen: whenever the values seen have become a twentieth
    more, all that were ever offered are offered again, in their order. What an archive holds is
    thus a function of what it was offered and of nothing else.
    """

    def __init__(self, niches: int, dimensions: int, scaling: str):
        """Makes an empty archive.

        Args:
          niches: how many niches it has.
          dimensions: how many descriptors there are.
          scaling: one of `SCALINGS`, see `scaled`.
        """
        self.archive = Archive(niches, dimensions)
        self._scaling = scaling
        self._values = np.zeros((0, dimensions))  # of all that were offered
        self._objectives: list[float] = []
        self._known = self._values  # those that niches are made by

    def extend(self, values: Sequence[Sequence[float]], objectives: Sequence[float]) -> list[bool]:
        """Offers the next numbers (those offered first are 0, 1, ...); tells which entered.

        Args:
          values: descriptors as measured, [how many, dimensions], finite.
          objectives: what each is worth, more is better.
        """
        if not len(values):
            return []
        offered = np.asarray(values, dtype=float)
        before = len(self._objectives)
        earlier, self._values = self._values, np.concatenate([self._values, offered])
        if len(self._values) >= _GROWTH * len(self._known):
            self._known = self._values
            self.archive.rebuild(self._objectives, scaled(earlier, self._known, self._scaling))
        self._objectives += objectives
        positions = scaled(offered, self._known, self._scaling)
        return [
            self.archive.add(before + i, objectives[i], position)
            for i, position in enumerate(positions)
        ]

    def elites(self) -> list[int]:
        """Returns the numbers kept, in the order of their niches."""
        return list(self.archive.elites().values())

    def __len__(self) -> int:
        return len(self.archive)


def scaled(values: np.ndarray, known: np.ndarray, scaling: str) -> np.ndarray:
    """Returns values brought to the unit cube, by what is known of their kind.

    `rank` gives the share of the known values that lie below, equal ones counted by half: however
    they are distributed, they are spread evenly over each descriptor, and one huge value squeezes
    no other. `residual` does the same with what is left of each descriptor when what the ones
    before it lead one to expect is taken away (least squares on logarithmic scales): FLOPs rise
    with parameters, and ranks of both would leave all but a diagonal empty. `log` gives the place
    between the smallest and the largest on a logarithmic scale, which keeps distances. The
    logarithm is the inverse hyperbolic sine, which bears zero.

    Args:
      values: [V, D].
      known: [K, D], K above zero.
      scaling: one of `SCALINGS`.

    Returns:
      Positions [V, D] in [0, 1].
    """
    if scaling == "log":
        low, high = np.arcsinh(known.min(axis=0)), np.arcsinh(known.max(axis=0))
        span = np.where(high > low, high - low, 1.0)
        return np.clip((np.arcsinh(values) - low) / span, 0.0, 1.0)
    if scaling == "residual":
        values, known = _residuals(values, known), _residuals(known, known)
    columns = []
    for value, column in zip(values.T, np.sort(known, axis=0).T, strict=True):
        below = np.searchsorted(column, value, "left")
        columns.append((below + np.searchsorted(column, value, "right")) / (2 * len(column)))
    return np.stack(columns, axis=1)


def _residuals(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns the logarithm of each descriptor less what the ones before it predict, [V, D]."""
    left, fitted = np.arcsinh(values), np.arcsinh(known)
    columns = [left[:, 0]]
    for column in range(1, left.shape[1]):
        inputs = np.insert(fitted[:, :column], 0, 1.0, axis=1)
        weights = np.linalg.lstsq(inputs, fitted[:, column], rcond=None)[0]
        columns.append(left[:, column] - np.insert(left[:, :column], 0, 1.0, axis=1) @ weights)
    return np.stack(columns, axis=1).round(_DECIMALS)
