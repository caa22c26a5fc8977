"""Statistics of comparisons: rank correlation and bootstrap intervals."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.stats

Pairs = Sequence[tuple[float, float]]


def rank_correlation(pairs: Pairs) -> float:
    """Returns Spearman's rank correlation of pairs; NaN where one side is constant."""
    first, second = np.asarray(pairs, dtype=float).T
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(first, second).statistic)


def mean_interval(
    mean: float, spread: float, count: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns Student's interval of a mean.

    Args:
      mean: the mean.
      spread: standard deviation of the `count` values (with count - 1 degrees of freedom).
      count: how many values there are, 2 or more.
      confidence: share of such intervals that hold the true mean, for normal values.
    """
    half = float(scipy.stats.t.ppf(0.5 + confidence / 2, count - 1)) * spread / count**0.5
    return mean - half, mean + half


def bootstrap_interval(
    pairs: Pairs,
    statistic: Callable[[Pairs], float],
    confidence: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Returns the percentile bootstrap interval of a statistic over pairs.

    Args:
      pairs: what was measured, one pair for each program.
      statistic: maps pairs to a number; resamples where it is NaN are left out.
      confidence: share of resamples inside the interval.
      samples: number of resamples.
      seed: fixes the resamples.

    References: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    values = np.asarray(pairs, dtype=float)
    draws = np.random.default_rng(seed).integers(0, len(values), (samples, len(values)))
    found = np.array([statistic([tuple(p) for p in values[draw]]) for draw in draws])
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(found, [tail, 1 - tail])
    return float(low), float(high)
