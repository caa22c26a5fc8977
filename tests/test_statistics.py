"""Rank correlation and its interval against closed forms."""

import math

import numpy as np
import pytest

from evo_clrs.statistics import bootstrap_interval, mean_interval, rank_correlation


def test_spearman_of_a_textbook_example():
    """1 - 6 sum(d^2) / (n (n^2 - 1)) with d^2 = 0, 1, 1, 0, 0 and n = 5."""
    pairs = [(1, 10), (2, 30), (3, 20), (4, 40), (5, 50)]
    assert rank_correlation(pairs) == pytest.approx(1 - 6 * 2 / (5 * 24))


def test_it_only_looks_at_ranks():
    pairs = [(x, math.exp(x)) for x in (0.1, 3.0, -2.0, 5.0)]
    assert rank_correlation(pairs) == pytest.approx(1.0)


def test_a_constant_side_has_no_correlation():
    assert math.isnan(rank_correlation([(1, 2), (1, 3), (1, 4)]))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Normal pairs of correlation 0.6 have Spearman's 6/pi asin(0.3) = 0.582."""
    truth = 6 / math.pi * math.asin(0.3)
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(40):
        first = rng.standard_normal(40)
        second = 0.6 * first + 0.8 * rng.standard_normal(40)
        low, high = bootstrap_interval(
            list(zip(first, second, strict=True)), rank_correlation, samples=200
        )
        covered += low <= truth <= high
    assert covered >= 33


def test_the_interval_of_a_mean_is_students():
    # Gosset's own table: t = 2.776 with 4 degrees of freedom at 95 %.
    low, high = mean_interval(10.0, 2.0, 5)
    half = 2.776 * 2 / 5**0.5
    assert (low, high) == pytest.approx((10 - half, 10 + half), abs=1e-3)
