"""Statistics against closed forms, textbook examples and published tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo_clrs.statistics import (
    bootstrap_interval,
    corrected,
    detectable_difference,
    holm,
    mean_difference_interval,
    mean_interval,
    pairs_needed,
    rank_correlation,
    signed_rank_p,
    smallest_signed_rank_p,
)


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


def test_signed_ranks_of_the_plants_of_darwin():
    """Heights of crossed and self-fertilised plants, as scipy's documentation has them."""
    plants = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]
    assert signed_rank_p(plants) == pytest.approx(0.041259765625)


def test_signed_ranks_leave_zeros_out_and_see_ties_behind_rounding():
    assert signed_rank_p([0.0, 0.0, 1.0, 2.0, 3.0, 4.0]) == pytest.approx(2 / 2**4)
    assert signed_rank_p([0.0, 0.0]) == 1.0
    # 0.98 - 0.97 and 0.99 - 0.98 differ in the 17th digit and are one and the same difference.
    assert signed_rank_p([0.98 - 0.97, 0.99 - 0.98, -0.02]) == signed_rank_p([1, 1, -2])
    with pytest.raises(ValueError, match="finite"):
        signed_rank_p([1.0, float("nan")])


@given(st.integers(1, 12), st.integers(0, 2**12))
def test_no_signs_give_a_p_below_the_smallest(pairs, signs):
    """Distinct sizes with every choice of signs: all of one sign is the most that can be seen."""
    differences = [(1 + i) * (1 if signs >> i & 1 else -1) for i in range(pairs)]
    assert signed_rank_p(differences) >= smallest_signed_rank_p(pairs) - 1e-12
    assert signed_rank_p(list(map(abs, differences))) == pytest.approx(
        smallest_signed_rank_p(pairs)
    )


def test_six_pairs_are_the_fewest_that_can_reach_five_per_cent():
    """The tables of critical values begin with n = 6 at 0.05 and n = 8 at 0.01, two-sided."""
    assert pairs_needed(0.05) == 6
    assert pairs_needed(0.01) == 8


def test_holm_of_a_textbook_example():
    """Four tests: times 4, 3, 2, 1 in order of size, and never below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


p_values = st.lists(st.floats(0, 1), max_size=12)


@given(p_values)
def test_holm_lies_between_no_correction_and_bonferroni(values):
    for value, adjusted in zip(values, holm(values), strict=True):
        assert value <= adjusted <= min(1.0, value * len(values)) + 1e-12


@given(p_values, st.randoms())
def test_holm_does_not_depend_on_the_order(values, random):
    order = random.sample(range(len(values)), len(values))
    shuffled = holm([values[position] for position in order])
    assert shuffled == [holm(values)[position] for position in order]


def test_a_program_picked_among_many_is_corrected_for_all_of_them():
    assert corrected([0.001, 0.002], looked_at=1) == pytest.approx([0.002, 0.002])
    assert corrected([0.001, 0.002], looked_at=10) == pytest.approx([0.02, 0.02])
    assert corrected([0.001, 0.002], looked_at=1600) == [1.0, 1.0]


def test_false_findings_stay_below_the_level_where_the_best_of_many_is_picked():
    """200 searches of 20 useless programs on 4 tasks: at most about 5 % find anything."""
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(200):
        scores = rng.standard_normal((20, 4, 12))
        best = scores[scores.mean(axis=(1, 2)).argmax()]
        found += min(corrected([signed_rank_p(task) for task in best], looked_at=20)) <= 0.05
    assert found <= 16


def test_34_pairs_find_half_a_spread():
    """Cohen's table, and G*Power: d = 0.5, two-sided 0.05, power 0.8 takes 34 pairs."""
    assert detectable_difference(1.0, 34) <= 0.5 < detectable_difference(1.0, 33)


def test_many_pairs_follow_the_normal_formula():
    """(1.960 + 0.842) s / sqrt(n)."""
    assert detectable_difference(3.0, 4000) == pytest.approx(2.802 * 3 / 4000**0.5, rel=1e-3)


@given(st.integers(2, 8), st.integers(1, 1600))
def test_what_can_be_detected_shrinks_with_pairs_and_grows_with_correction(pairs, looked_at):
    here = detectable_difference(1.0, pairs, 0.05 / looked_at)
    assert detectable_difference(1.0, pairs + 1, 0.05 / looked_at) < here
    assert detectable_difference(1.0, pairs, 0.05 / (looked_at + 1)) > here
    assert detectable_difference(2.0, pairs, 0.05 / looked_at) == pytest.approx(2 * here)


def test_the_bootstrap_of_a_mean_tends_to_the_normal_interval():
    values = np.random.default_rng(5).standard_normal(400)
    low, high = mean_difference_interval([values])
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


def test_tasks_are_given_and_seeds_are_drawn():
    """Between tasks that differ much, each without spread, nothing is uncertain."""
    assert mean_difference_interval([[0.0, 0.0], [1.0, 1.0]]) == (0.5, 0.5)
    with pytest.raises(ValueError, match="2 or more"):
        mean_difference_interval([[1.0, 2.0], [1.0]])
