"""What plots and tables show is right: hand-made examples."""

import math

import pytest

from evo_clrs.records import Candidate, Evaluation
from evo_clrs.report import analysis
from evo_clrs.report.analysis import Point
from evo_clrs.store import Store, selection


def scored(index, fitness, parents=(), edits=(), stage="scored"):
    """A scored candidate `p<index>`; a seed if it has no parents."""
    return Candidate(
        index,
        f"p{index}",
        "",
        tuple(f"p{parent}" for parent in parents),
        0 if parents else None,
        edits=edits,
        name="" if parents else f"seed{index}",
        evaluation=Evaluation("scored", stage, "", {"fitness": fitness, "num_params": 10.0}),
    )


def rejected(index, stage, reason):
    return Candidate(
        index, f"p{index}", "", ("p0",), 0, evaluation=Evaluation("rejected", stage, reason)
    )


def points(*pairs):
    return [Point(i, f"#{i}", size, score, False) for i, (size, score) in enumerate(pairs)]


def test_the_pareto_front_is_what_no_other_beats():
    found = points(
        (10, 0.5),  # on the front: smallest
        (10, 0.4),  # same size, worse
        (20, 0.5),  # larger, no better
        (20, 0.7),  # on the front
        (30, 0.6),  # larger and worse than the one before
        (40, 0.9),  # on the front
        (50, 0.9),  # larger, no better
    )
    assert [point.index for point in analysis.pareto_front(found)] == [0, 3, 5]
    assert [point.index for point in analysis.pareto_front(reversed(found))] == [0, 3, 5]


def test_the_pareto_front_of_an_error_goes_down():
    found = points((10, 0.5), (20, 0.6), (30, 0.2), (5, 0.9))
    assert [point.index for point in analysis.pareto_front(found, sign=-1)] == [3, 0, 2]


def test_every_point_is_beaten_by_the_front_or_on_it():
    found = points(*((i * 37 % 101, math.sin(i)) for i in range(100)))
    front = analysis.pareto_front(found)
    for point in found:
        beaten = [f for f in front if f.size <= point.size and f.score >= point.score]
        assert beaten
    assert [f.size for f in front] == sorted({f.size for f in front})
    assert [f.score for f in front] == sorted({f.score for f in front})


def test_the_best_so_far_rises_only():
    values = (-5.0, -7.0, -5.0, math.nan, -3.0, -4.0, -1.0)
    candidates = [scored(i, value) for i, value in enumerate(values)]
    candidates.insert(3, rejected(9, "trace", "no"))
    assert analysis.best_so_far(candidates) == [(0, -5.0), (4, -3.0), (6, -1.0)]
    assert [c.index for c in analysis.ranked(candidates)] == [6, 4, 5, 0, 2, 1]


def test_proposals_are_counted_once_and_seeds_not():
    candidates = [
        scored(0, -1.0),
        rejected(1, "trace", "bad\n shape"),
        rejected(2, "trace", "bad shape"),
        rejected(3, "static", "imports os"),
        scored(4, -2.0, (0,)),
        scored(5, -2.0, (0,), stage="duplicate_graph"),
        Candidate(6, "p6", "", ("p0",), 0),
    ]
    counts = analysis.stage_counts(candidates)
    assert {stage: count for stage, count in counts.items() if count} == {
        "static": 1,
        "trace": 2,
        "duplicate_graph": 1,
        "scored": 1,
    }
    assert analysis.reasons(candidates) == {
        "static": [("imports os", 1)],
        "trace": [("bad shape", 2)],
    }


def test_an_edit_improves_if_the_child_beats_all_its_parents():
    candidates = [
        scored(0, -10.0),
        scored(1, -20.0),
        scored(2, -15.0, (0, 1), ("gate",)),
        scored(3, -9.0, (0, 1), ("gate", "head")),
        rejected(4, "trace", ""),
    ]
    assert analysis.edits(candidates) == [
        analysis.Edit("gate", 2, 2, 1, -9.0),
        analysis.Edit("head", 1, 1, 1, -9.0),
    ]


def test_a_family_is_layered_by_the_longest_way():
    candidates = [
        scored(0, -9.0),
        scored(1, -8.0),
        scored(2, -7.0, (0, 1)),
        scored(3, -7.0, (1,)),  # not an ancestor
        scored(4, -6.0, (0, 2)),
        scored(5, -5.0, (4, 1)),
    ]
    tree = analysis.family(candidates, 5)
    assert tree.layers == ((0, 1), (2,), (4,), (5,))
    assert tree.edges == ((0, 2), (0, 4), (1, 2), (1, 5), (2, 4), (4, 5))
    assert not tree.cut
    shorter = analysis.family(candidates, 5, generations=2)
    assert shorter.layers == ((1, 4), (5,))
    assert shorter.cut
    assert analysis.family(candidates, 0).layers == ((0,),)


@pytest.mark.parametrize("generations", [1, 2, 3, 7])
def test_a_long_family_ends_at_the_candidate(generations):
    candidates = [scored(0, 0.0), scored(1, 0.0)]
    candidates += [scored(i, float(i), (i - 1, i - 2)) for i in range(2, 40)]
    tree = analysis.family(candidates, 39, generations)
    assert tree.layers[-1] == (39,)
    assert tree.cut
    depth = {index: level for level, layer in enumerate(tree.layers) for index in layer}
    assert all(depth[parent] < depth[child] for parent, child in tree.edges)


def test_a_program_is_not_its_own_ancestor():
    candidates = [scored(0, -1.0), Candidate(1, "p1", "", ("p1", "p0"), 0)]
    assert [c.index for c in analysis.parents_of(candidates, 1)] == [0]


def test_the_winner_is_announced_with_both_figures_their_interval_and_its_rivals():
    measured = {"fitness": -1.0, "num_params": 10.0, "val_accuracy": 0.9}
    with Store.in_memory({"problem": "toy"}) as store:
        assert analysis.announcement(store) == ""
        for index in range(3):
            evaluation = Evaluation("scored", "scored", "", measured)
            store.record_candidate(Candidate(index, f"p{index}", "", evaluation=evaluation))
        fresh = Evaluation(
            "scored",
            "scored",
            metrics={"fitness": -2.0, "accuracy": 0.8, "accuracy_spread": 0.1},
            seeds=(7, 8, 9),
        )
        winner = store.candidate(1)
        assert winner is not None
        selection.record(store, winner, fresh)
        told = analysis.announcement(store)
    # 4.303 is Student's t with 2 degrees of freedom.
    low, high = 0.8 - 4.303 * 0.1 / 3**0.5, 0.8 + 4.303 * 0.1 / 3**0.5
    assert told == (
        "#1, picked among 3 programs looked at: accuracy 0.9000 in the search, 0.8000 on selection "
        f"data (95 % interval {low:.4f} to {high:.4f} over 3 fresh trainings)"
    )
