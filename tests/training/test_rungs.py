"""The rule by which trainings are stopped, against halvings worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo_clrs.errors import UserError
from evo_clrs.training.rungs import Climb, Halving, Rung, replay

FREE = -math.inf


def test_nine_trainings_are_promoted_as_in_the_papers_example():
    """Li et al. 2020, table 1: with eta = 3, of 9 at the first rung 3 go on, of these 1."""
    halving = Halving((1, 3), keep=1 / 3, least=1)
    firsts = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    ninth = halving.thresholds([(value,) for value in firsts[:8]])
    assert ninth == (0.6, FREE)  # of 9 with it, 3 go on: those from 0.6 of the first 8
    tenth = halving.thresholds([(value,) for value in firsts[:6]] + [(0.7, 0.75), (0.8, 0.85)])
    assert tenth == (0.6, 0.85)


def test_a_halving_worked_out_by_hand():
    """Keep half. Told before: a reached both rungs, b and c were stopped at the first."""
    told = [(0.5, 0.6), (0.3,), (0.2,)]
    halving = Halving((10, 20), keep=0.5, least=1)
    # 4 at rung 10 with the next one: 2 go on, so it needs the second best, 0.3.
    # 2 at rung 20 with it: 1 goes on, so it needs 0.6.
    assert halving.thresholds(told) == (0.3, 0.6)
    assert Halving((10, 20), keep=0.5, least=2).thresholds(told) == (0.3, FREE)
    assert Halving((10, 20), keep=0.5, least=4).thresholds(told) == (FREE, FREE)
    assert Halving((10, 20), keep=1.0, least=1).thresholds(told) == (FREE, FREE)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.05, 1))
def test_of_all_that_come_the_share_kept_goes_on(values, keep):
    (needed,) = Halving((1,), keep, least=1).thresholds([(value,) for value in values[1:]])
    if values[1:]:
        better = sum(value > values[0] for value in values[1:])
        assert (values[0] >= needed) == (better < max(1, math.floor(round(keep * len(values), 9))))
    else:
        assert needed == FREE


def test_replaying_a_search_stops_whom_it_would_have_stopped():
    values = [
        *((0.5, 0.5), (0.1, 0.2)),  # seeds: never stopped
        *((0.4, 0.1), (0.6, 0.9), (0.2, 0.9)),  # need 0.5 and 0.5
        *((0.55, 0.6), (0.5, 0.99)),  # at the first rung 0.6, 0.5, 0.4, 0.2, 0.1: need 0.5
    ]
    halving = Halving((10, 20), keep=0.5, least=2)
    # 3 at each rung with the next one: 1 goes on, the others stop where they are worse.
    assert replay(halving, values[:5], [[0, 1], [2, 3, 4]]) == {2: 0, 4: 0}
    # 6 at the first rung with it: 3 go on, from 0.4; 4 at the second (0.5, 0.2, 0.9): from 0.5.
    assert replay(halving, values, [[0, 1], [2, 3, 4], [5, 6]]) == {2: 0, 4: 0}
    values[5] = (0.39, 0.99)
    values[6] = (0.41, 0.49)
    assert replay(halving, values, [[0, 1], [2, 3, 4], [5, 6]]) == {2: 0, 4: 0, 5: 0, 6: 1}


def test_a_climb_ends_below_what_a_rung_needs():
    climb = Climb((Rung(10, 0.3), Rung(30, 0.6)))
    assert [climb(10, 0.3), climb(20, 0.5), climb(30, 0.4)] == [False, False, True]
    assert climb.scores == {10: 0.3, 30: 0.5}  # the best so far
    assert climb.stage == "stopped" and climb.stopped == Rung(30, 0.6)
    assert climb.reason == "stopped at step 30 with accuracy 0.5000: 0.6000 was needed"
    assert climb.metrics == {"val_accuracy_at_10": 0.3, "val_accuracy_at_30": 0.5}
    assert climb.budget(40) == {"steps": 30, "planned_steps": 40}


def test_a_climb_may_go_by_the_last_score():
    climb = Climb((Rung(20, 0.4),), best_counts=False)
    assert [climb(10, 0.9), climb(20, 0.3)] == [False, True]


def test_a_climb_that_reaches_its_end_is_scored():
    climb = Climb((Rung(10),))
    assert not climb(10, 0.0)
    assert climb.stage == "scored" and climb.reason == "" and climb.budget(40) == {"steps": 40}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": (20, 10)}, "--rungs must be steps above zero in ascending order, got 20,10"),
        ({"steps": (0,)}, "--rungs must be steps above zero"),
        ({"keep": 0.0}, "--keep must be above 0 and at most 1, got 0.0"),
        ({"keep": 1.1}, "--keep must be above 0"),
        ({"least": 0}, "--least_at_rung must be 1 or more, got 0"),
    ],
)
def test_bad_rungs_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Halving(**options)
