"""Arms at equal budgets: what counts of a run, and the tests against the baseline."""

import pytest

from evo_clrs.comparison import arms
from evo_clrs.comparison.arms import Arm


def test_the_best_so_far_never_falls_and_goes_on_where_a_run_ended():
    assert arms.best_so_far([1.0, 3.0, 2.0, 9.0], 3) == [1.0, 3.0, 3.0]
    assert arms.best_so_far([1.0, 3.0], 4) == [1.0, 3.0, 3.0, 3.0]


BASE = Arm("base", {seed: (0.0, float(seed)) for seed in range(5)})
# Every pair differs by what the textbook's five differences of one sign are: p = 2 / 2^5.
ABOVE = Arm("above", {seed: (float(seed) + 1 + 0.1 * seed,) for seed in range(5)})
SAME = Arm("same", {seed: (0.0, float(seed), 99.0) for seed in range(5)})


def row(found, name):
    return next(row for row in found.rows if row.arm == name)


def test_differences_are_paired_by_seed_and_corrected_over_the_arms():
    found = arms.compare("p", [BASE, ABOVE, SAME], "base", 2)
    above = row(found, "above")
    assert above.difference == pytest.approx(1.2)
    assert above.p == pytest.approx(2 / 32)
    assert above.corrected == pytest.approx(2 * 2 / 32)  # Holm: the smaller of two
    assert above.smallest == pytest.approx(2 * 2 / 32)
    low, high = above.difference_interval
    assert 1.0 <= low < 1.2 < high <= 1.4
    same = row(found, "same")  # what comes after the budget does not count
    assert (same.difference, same.p, same.detectable) == (0.0, 1.0, None)


def test_the_baseline_is_compared_with_nothing():
    base = row(arms.compare("p", [BASE, ABOVE], "base", 2), "base")
    assert (base.mean, base.difference, base.p, base.corrected) == (2.0, None, None, None)
    assert base.best == (0.0, 1.0, 2.0, 3.0, 4.0)


def test_runs_that_end_before_the_budget_are_named():
    assert row(arms.compare("p", [BASE, ABOVE], "base", 2), "above").short == (0, 1, 2, 3, 4)


def test_only_seeds_that_both_have_are_paired():
    few = Arm("few", {7: (5.0,), 3: (4.0,)})
    found = row(arms.compare("p", [BASE, few], "base", 2), "few")
    assert found.seeds == (3, 7) and found.difference == 1.0
    assert found.difference_interval is None


def test_a_curve_is_the_mean_of_the_best_so_far():
    two = Arm("two", {0: (0.0, 2.0), 1: (4.0, 1.0)})
    (curve,) = arms.compare("p", [two], "two", 3).curves
    assert curve.mean == (2.0, 3.0, 3.0)
    assert curve.low == (0.0, 2.0, 2.0) and curve.high == (4.0, 4.0, 4.0)


def test_arms_without_a_run_are_left_out_and_the_baseline_must_have_one():
    assert [r.arm for r in arms.compare("p", [BASE, Arm("none", {})], "base", 2).rows] == ["base"]
    with pytest.raises(ValueError, match="no run of the baseline none"):
        arms.compare("p", [BASE, Arm("none", {})], "none", 2)
