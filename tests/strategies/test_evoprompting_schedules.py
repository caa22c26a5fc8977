"""EvoPrompting in both schedules: rounds as they always were, and the steady one."""

import dataclasses
import hashlib
from typing import Any

import pytest

from evo_clrs.randomness import generator
from evo_clrs.records import Candidate
from evo_clrs.strategies.evoprompting import EvoPrompting, Options
from tests.strategies.told import answers, numbers, rejected, shown
from tests.strategies.told import scored as scored_with


def scored(
    index: int, error: float, parameters: int = 1000, reused_from: int | None = None
) -> Candidate:
    return scored_with(index, -parameters * error, error, parameters, reused_from)


# What the requests of a search in rounds come to, from before it shared its base with others.
REQUESTS = {
    "defaults": ({}, 0, "23ca269291b9702a"),
    "another_seed": ({}, 7, "f44a94522a47f7a2"),
    "per_prompt": ({"temperature_per": "prompt", "in_context": 3}, 1, "30ec914530bffe61"),
    "children_only": (
        {"seeds_in_history": False, "final_includes_parents": False},
        2,
        "daf7d156e2a50261",
    ),
    "few_kept": ({"max_error": 0.05, "tuning_children": "all"}, 3, "662f8f1fcba4b86c"),
}


def drawn(index: int, request: int | None = None, sample: int = 0) -> Candidate:
    """Returns a candidate drawn from its index: one in four rejected, one in five a twin."""
    draw = generator(5, "child", index)
    parameters, error = draw.randrange(1000, 90000), draw.random() * 0.7
    if request is not None and draw.random() < 0.25:
        return dataclasses.replace(rejected(index), request=request, sample=sample)
    twin = draw.randrange(index) if index and draw.random() < 0.2 else None
    child = scored(index, error, parameters, twin)
    return dataclasses.replace(child, source=f"x = {index}", request=request, sample=sample)


def digest(strategy: EvoPrompting) -> str:
    """Returns a digest of all that a search asks for, and of whom it holds for good."""
    strategy.tell([drawn(index) for index in range(3)])
    count, lines = 3, []
    while requests := strategy.ask():
        children = []
        for request in requests:
            parents = [(p.program, p.source, sorted(p.metrics.items())) for p in request.parents]
            lines.append(
                repr(
                    (
                        *(request.index, request.round, parents),
                        *(sorted(request.targets.items()), request.temperatures),
                        request.operation,
                    )
                )
            )
            for sample in range(request.samples):
                children.append(drawn(count, request.index, sample))
                count += 1
        strategy.tell(children)
        held = (*strategy.population(), *strategy.best(5), *strategy.tuning_set())
        lines.append(repr(numbers(held)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.mark.parametrize("case", REQUESTS)
def test_searches_in_rounds_ask_for_what_they_always_asked_for(case):
    options, seed, expected = REQUESTS[case]
    budget = {"rounds": 6, "prompts_per_round": 4, "samples_per_prompt": 3, "survivors": 3}
    assert digest(EvoPrompting(Options(**budget, **options), seed)) == expected


def steady(**options: Any) -> EvoPrompting:
    """A steady search of 4 rounds of 3 prompts, begun with the seeds 0 and 1."""
    values = {"rounds": 4, "prompts_per_round": 3, "samples_per_prompt": 2, "in_context": 20}
    strategy = EvoPrompting(Options(**(values | {"survivors": 2} | options)), seed=0)
    strategy.tell([scored(0, 0.3), scored(1, 0.4)])
    return strategy


def shown_next(strategy: EvoPrompting) -> list[str]:
    """Asks for one request; returns the programs in it. Twenty draws show all of two or three."""
    request = strategy.ask_one()
    assert request is not None
    return sorted(set(shown(request)))


def answered(strategy: EvoPrompting, *children: Candidate) -> None:
    strategy.tell_one(answers(strategy.under_way[:1], children))


def test_a_steady_request_draws_from_all_that_was_told():
    strategy = steady()
    assert shown_next(strategy) == ["p0", "p1"]
    assert shown_next(strategy) == ["p0", "p1"]
    answered(strategy, scored(2, 0.01))
    assert shown_next(strategy) == ["p0", "p2"]  # seed 1, the less fit, makes room
    answered(strategy, scored(3, 0.02), scored(4, 0.7))
    assert shown_next(strategy) == ["p2", "p3"]


def test_a_steady_parent_retires_after_as_many_requests_as_a_round_has():
    strategy = steady()
    shown_next(strategy)
    answered(strategy, scored(2, 0.01), scored(3, 0.02))
    assert [shown_next(strategy) for _ in range(3)] == [["p2", "p3"]] * 3
    # Seeds 0 and 1 were parents of one request only, and have two left.
    assert [shown_next(strategy) for _ in range(2)] == [["p0", "p1"]] * 2
    # Nobody is left: the fittest of the history are chosen again.
    assert [shown_next(strategy) for _ in range(4)] == [["p2", "p3"]] * 4


def test_steady_seeds_serve_their_time_though_they_do_not_enter_the_history():
    strategy = steady(seeds_in_history=False)
    shown_next(strategy)
    answered(strategy, scored(2, 0.01))
    assert shown_next(strategy) == ["p0", "p2"]
    assert numbers(strategy.best(9)) == [2]


@pytest.mark.parametrize("which, tuned", [("all", [5, 6, 7]), ("not_chosen", [5])])
def test_a_steady_search_tunes_on_the_children_of_a_rounds_worth_of_requests(which, tuned):
    strategy = steady(tuning_children=which)
    for number in range(6):
        shown_next(strategy)
        answered(strategy, scored(2 + number, 0.1 / (1 + number)))
    assert numbers(strategy.tuning_set()) == tuned


def test_nothing_is_tuned_after_the_last_request():
    strategy = steady(rounds=1)
    for number in range(3):
        shown_next(strategy)
        answered(strategy, scored(2 + number, 0.1))
    assert strategy.finished
    assert numbers(strategy.tuning_set()) == []
