"""GENIUS: the history grows, refused designs come back with their reason, lost ones are counted."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from evo_clrs.errors import UserError
from evo_clrs.records import Candidate, Evaluation, Request
from evo_clrs.spaces import MACRO, identity
from evo_clrs.strategies.genius import Genius, Options

OVER = Evaluation("rejected", "over_budget", "12 M FLOPs, over the bound of 10 M by 2 M")
UNREADABLE = Evaluation("rejected", "static", "line 2: unknown operation mb9_k9")


def scored(accuracy: float, reused_from: int | None = None) -> Evaluation:
    metrics = {"num_params": 10, "val_accuracy": accuracy, "fitness": accuracy}
    return Evaluation("scored", "scored", metrics=metrics, reused_from=reused_from)


def answer(request: Request, evaluation: Evaluation, sample: int = 0) -> Candidate:
    """Returns a child with this outcome; its index is that of its request."""
    choices = tuple(request.index // 3**place % 3 for place in range(8))
    source = MACRO.write(choices)
    return Candidate(
        request.index,
        identity(MACRO, choices),
        source,
        request=request.index,
        sample=sample,
        evaluation=evaluation,
    )


def tell(genius: Genius, *evaluations: Evaluation) -> list[Request]:
    """Tells one outcome after another; returns the requests that they answered."""
    asked = []
    for evaluation in evaluations:
        (request,) = genius.ask()
        asked.append(request)
        genius.tell([answer(request, evaluation)])
    return asked


def begun(seeds: Sequence[Candidate] = (), **options: Any) -> Genius:
    genius = Genius(Options(**options), 0)
    genius.tell(seeds)
    return genius


def accuracies(request: Request) -> list[float]:
    return [parent.metrics["val_accuracy"] for parent in request.parents]


def test_ten_designs_each_asked_for_with_all_earlier_ones_in_order():
    told = [0.5, 0.9, 0.7, 0.6, 0.8, 0.4, 0.3, 0.2, 0.91, 0.1]
    genius = begun()
    asked = tell(genius, *map(scored, told))
    assert [accuracies(request) for request in asked] == [told[:count] for count in range(10)]
    assert {request.operation for request in asked} == {"improve"}
    assert {request.temperatures for request in asked} == {(0.0,)}
    assert {request.instruction for request in asked} == {""}
    assert genius.finished and genius.children == 10 and genius.lost == []
    assert genius.best(1)[0].evaluation == scored(0.91)


def test_a_refused_design_is_asked_for_again_with_the_reason():
    genius = begun()
    tell(genius, scored(0.5), UNREADABLE)
    (again,) = genius.ask()
    assert UNREADABLE.reason in again.instruction
    assert answer(dataclasses.replace(again, index=1), UNREADABLE).source.strip() in (
        again.instruction
    )
    assert accuracies(again) == [0.5]
    assert again.kinds == ()


def test_a_design_over_a_bound_is_shown_and_answered_by_edits_that_shrink():
    genius = begun()
    refused = answer(tell(genius, OVER)[0], OVER)
    (again,) = genius.ask()
    assert "over the bound of 10 M by 2 M" in again.instruction
    assert again.kinds == ("shrink",)
    assert [(parent.source, dict(parent.metrics)) for parent in again.parents] == [
        (refused.source, {})
    ]


def test_a_revision_uses_up_no_iteration():
    genius = begun(rounds=3)
    asked = tell(genius, scored(0.5), OVER, OVER, scored(0.6), scored(0.7))
    assert [request.round for request in asked] == [0, 1, 1, 1, 2]
    assert [request.instruction != "" for request in asked] == [False, False, True, True, False]
    assert genius.finished and genius.lost == []


def test_an_iteration_is_lost_after_so_many_revisions():
    genius = begun(rounds=2, revisions=2)
    asked = tell(genius, OVER, OVER, UNREADABLE, scored(0.6))
    assert [request.round for request in asked] == [0, 0, 0, 1]
    assert asked[-1].parents == () and asked[-1].instruction == ""
    assert genius.lost == [0]


def test_without_revisions_every_refusal_costs_an_iteration():
    genius = begun(rounds=2, revisions=0)
    tell(genius, OVER, OVER)
    assert genius.finished and genius.lost == [0, 1]


def test_only_the_refused_ones_of_several_are_asked_for_again():
    genius = begun(rounds=1, prompts_per_round=2, samples_per_prompt=2)
    first, second = genius.ask()
    genius.tell(
        [
            answer(first, scored(0.5)),
            answer(first, OVER, 1),
            answer(second, UNREADABLE),
            answer(second, scored(0.6), 1),
        ]
    )
    requests = genius.ask()
    assert [request.index for request in requests] == [2, 3]
    assert [request.samples for request in requests] == [1, 1]
    assert OVER.reason in requests[0].instruction and UNREADABLE.reason in requests[1].instruction
    genius.tell([answer(request, scored(0.7)) for request in requests])
    assert genius.finished


def test_a_score_that_is_not_finite_and_a_missing_one_are_refused():
    genius = begun()
    tell(genius, scored(float("nan")))
    (again,) = genius.ask()
    assert "its score is not finite" in again.instruction
    genius.tell([dataclasses.replace(answer(again, OVER), evaluation=None)])
    assert "it could not be evaluated" in genius.ask()[0].instruction


@pytest.mark.parametrize("refuse", [False, True])
def test_a_repeated_design_costs_an_iteration_or_is_refused(refuse):
    genius = begun(rounds=2, refuse_repeats=refuse)
    tell(genius, scored(0.5), scored(0.5, reused_from=0))
    assert genius.finished is not refuse
    if refuse:
        assert "it repeats a design" in genius.ask()[0].instruction


def seed(index: int, accuracy: float) -> Candidate:
    return Candidate(index, f"s{index}", "", sample=index, evaluation=scored(accuracy))


def test_seeds_are_shown_until_a_child_has_a_score():
    genius = begun([seed(0, 0.3), seed(1, 0.99)], rounds=2)
    first, second = tell(genius, scored(0.5), scored(0.6))
    assert accuracies(first) == [0.3, 0.99]
    assert accuracies(second) == [0.5]
    assert genius.best(1)[0].evaluation == scored(0.6)


def test_seeds_may_stay_in_the_history():
    genius = begun([seed(0, 0.3), seed(1, 0.99)], rounds=2, seeds_in_history=True)
    _, second = tell(genius, scored(0.5), scored(0.6))
    assert accuracies(second) == [0.3, 0.99, 0.5]
    assert genius.best(1)[0].name == "" and genius.best(1)[0].evaluation == scored(0.99)


def test_a_resumed_search_asks_the_same():
    outcomes = [scored(0.5), OVER, UNREADABLE, scored(0.6), OVER]
    whole, again = begun(), begun()
    tell(whole, *outcomes)
    tell(again, *outcomes)
    assert whole.ask() == again.ask()
    assert whole.population() == again.population()


def test_it_goes_by_rounds_only():
    with pytest.raises(UserError, match="leave out --schedule=steady"):
        begun().ask_one()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"temperature": -0.1}, "--temperature must be 0 or more, got -0.1"),
        ({"temperature": float("inf")}, "--temperature must be 0 or more, got inf"),
        ({"revisions": -1}, "--revisions must be 0 or more, got -1"),
        ({"rounds": 0}, "--rounds must be 1 or more, got 0"),
    ],
    ids=["temperature", "infinite", "revisions", "rounds"],
)
def test_bad_options_are_named(option, message):
    with pytest.raises(UserError, match=message):
        Options(**option)
