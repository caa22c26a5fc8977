"""Ways to search against each other at equal budgets, paired by run seed.

A run counts by its best score among its first so many scored children, whether each was trained or
found in a cache; seeds are no children. Fitness is higher for the better.
"""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

from evo_clrs import statistics as paired_tests

LEVEL = 0.05  # two-sided chance of any false finding, over all arms of a problem
POWER = 0.8


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to search on one problem.

    Attributes:
      name: what it is called.
      runs: fitness of the scored children of each run, in the order asked, by run seed.
    """

    name: str
    runs: Mapping[int, tuple[float, ...]]


@dataclasses.dataclass(frozen=True)
class Row:
    """An arm at the budget, beside the baseline.

    Attributes:
      arm: its name.
      seeds: run seeds that it has.
      best: best fitness of each of these runs.
      mean: their mean.
      interval: 95 % bootstrap interval of the mean; None with one run.
      difference: mean difference to the baseline, paired by run seed; None for the baseline, and
        without a seed that both have.
      difference_interval: its 95 % bootstrap interval; None with less than two pairs.
      p: two-sided p of Wilcoxon's signed-rank test.
      corrected: p after Holm over the arms.
      smallest: the least corrected p that the pairs could give.
      detectable: difference that a paired t test finds with 80 % power at the level over the arms;
        None with less than two pairs or no spread.
      short: run seeds that ended before the budget.
    """

    arm: str
    seeds: tuple[int, ...]
    best: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    difference: float | None
    difference_interval: tuple[float, float] | None
    p: float | None
    corrected: float | None
    smallest: float | None
    detectable: float | None
    short: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Curve:
    """The best so far of an arm, as a mean over its runs.

    Attributes:
      arm: its name.
      mean: after each scored child, from the first on.
      low, high: 95 % bootstrap interval of the mean; equal to it with one run.
    """

    arm: str
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Arms on one problem.

    Attributes:
      problem: what it is called.
      budget: scored children that count of each run.
      baseline: name of the arm that the others are compared with.
      rows: one for each arm.
      curves: one for each arm.
    """

    problem: str
    budget: int
    baseline: str
    rows: tuple[Row, ...]
    curves: tuple[Curve, ...]


def compare(problem: str, arms: Sequence[Arm], baseline: str, budget: int) -> Comparison:
    """Returns how arms compare on a problem; those without a run are left out.

    Raises:
      ValueError: no arm has the baseline's name and a run.
    """
    arms = [arm for arm in arms if any(arm.runs.values())]
    bests = {arm.name: _bests(arm, budget) for arm in arms}
    if baseline not in bests:
        raise ValueError(f"no run of the baseline {baseline}")
    base = bests[baseline]
    pairs = {
        name: [best[seed] - base[seed] for seed in best if seed in base]
        for name, best in bests.items()
        if name != baseline
    }
    tested = {name: each for name, each in pairs.items() if each}
    p_values = {name: paired_tests.signed_rank_p(each) for name, each in tested.items()}
    corrected = dict(zip(p_values, paired_tests.holm(list(p_values.values())), strict=True))
    rows = [
        _row(arm, bests[arm.name], budget, tested.get(arm.name), p_values, corrected)
        for arm in arms
    ]
    curves = [_curve(arm, budget) for arm in arms]
    return Comparison(problem, budget, baseline, tuple(rows), tuple(curves))


def best_so_far(scores: Sequence[float], budget: int) -> list[float]:
    """Returns the best after each scored child up to the budget.

    Where a run ended before, its last best goes on: it asked for nothing more.
    """
    found = list(itertools.accumulate(scores[:budget], max))
    return found + found[-1:] * (budget - len(found))


def _bests(arm: Arm, budget: int) -> dict[int, float]:
    return {
        seed: best_so_far(scores, budget)[-1] for seed, scores in sorted(arm.runs.items()) if scores
    }


def _row(
    arm: Arm,
    best: Mapping[int, float],
    budget: int,
    differences: Sequence[float] | None,
    p_values: Mapping[str, float],
    corrected: Mapping[str, float],
) -> Row:
    values = list(best.values())
    tests = len(p_values)
    several = differences if differences is not None and len(differences) > 1 else None
    smallest = None
    if differences:
        smallest = min(1.0, tests * paired_tests.smallest_signed_rank_p(len(differences)))
    return Row(
        arm=arm.name,
        seeds=tuple(best),
        best=tuple(values),
        mean=statistics.fmean(values),
        interval=_interval(values),
        difference=statistics.fmean(differences) if differences else None,
        difference_interval=_interval(several) if several else None,
        p=p_values.get(arm.name),
        corrected=corrected.get(arm.name),
        smallest=smallest,
        detectable=_detectable(several, LEVEL / tests) if several else None,
        short=tuple(seed for seed in best if len(arm.runs[seed]) < budget),
    )


def _interval(values: Sequence[float]) -> tuple[float, float] | None:
    return paired_tests.mean_difference_interval([values]) if len(values) > 1 else None


def _detectable(differences: Sequence[float], level: float) -> float | None:
    spread = statistics.stdev(differences)
    if not spread:
        return None
    found = paired_tests.detectable_difference(spread, len(differences), level, POWER)
    return found if math.isfinite(found) else None


def _curve(arm: Arm, budget: int) -> Curve:
    runs = [best_so_far(scores, budget) for scores in arm.runs.values() if scores]
    columns = [list(column) for column in zip(*runs, strict=True)]
    means = [statistics.fmean(column) for column in columns]
    intervals = [
        _interval(column) or (mean, mean) for column, mean in zip(columns, means, strict=True)
    ]
    low, high = zip(*intervals, strict=True)
    return Curve(arm.name, tuple(means), low, high)
