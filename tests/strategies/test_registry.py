"""What every strategy must do, and how one is made."""

import copy
import dataclasses
import itertools
from typing import Any

import pytest

from evo_clrs import strategies
from evo_clrs.errors import UserError
from evo_clrs.randomness import generator
from evo_clrs.records import Candidate, Evaluation, Parent, Request
from evo_clrs.spaces import CELL
from evo_clrs.strategies import islands
from evo_clrs.strategies.base import Learner, Steady

SEEDS = 3
# Options that keep the searches of this file short; strategies take those that they know.
SHORT = {
    "rounds": 3,
    "prompts_per_round": 2,
    "samples_per_prompt": 3,
    "survivors": 2,
    "population": 4,
    "source": "table.json",
    "adapt_after": (),
}
# What those that learn are taught.
EXAMPLES = [Parent("e", CELL.write((3, 3, 3, 1, 3, 3)), {"val_accuracy": 0.9})]


# Every strategy alone, and those that can live on islands.
ISLANDS = islands.Options(islands=2, migrate_every=1, migrants=1)
VARIANTS: dict[str, tuple[str, islands.Options | None]] = {
    **{name: (name, None) for name in strategies.REGISTRY},
    "evoprompting_islands": ("evoprompting", ISLANDS),
    "regularized_evolution_islands": ("regularized_evolution", ISLANDS),
}
NEED_SEEDS = ("evoprompting", "evoprompting_islands", "best_of_n", "random_parents")


def make(variant: str, seed: int = 0, **options: Any) -> strategies.Strategy:
    name, mixing = VARIANTS[variant]
    known = {field.name for field in dataclasses.fields(strategies.options_type(name))}
    values = {k: v for k, v in (SHORT | options).items() if k in known}
    strategy = strategies.make(name, values, seed, mixing)
    if isinstance(strategy, Learner):
        strategy.teach(EXAMPLES)
    return strategy


def goes_steadily(variant: str) -> bool:
    strategy = make(variant)
    strategy.tell(seeds())
    try:
        return isinstance(strategy, Steady) and strategy.ask_one() is not None
    except UserError as error:
        assert "leave out --schedule=steady" in str(error)
        return False


def evaluated(index: int, request: int | None = None, sample: int = 0) -> Candidate:
    """Returns a candidate whose score is drawn from its index; every fourth child is rejected."""
    draw = generator(0, "score", index)
    parameters, error = draw.randrange(1000, 9000), draw.random() * 0.4
    evaluation = Evaluation(
        "scored",
        "scored",
        metrics={
            "num_params": parameters,
            "live_params": parameters,
            "flops": 100.0 * draw.randrange(1000, 9000),
            "val_accuracy": 1 - error,
            "val_error": error,
            "fitness": -parameters * error,
        },
    )
    if request is not None and index % 4 == 0:
        evaluation = Evaluation("rejected", "trace", "no")
    return Candidate(
        index, f"p{index}", f"x = {index}\n", request=request, sample=sample, evaluation=evaluation
    )


def seeds() -> list[Candidate]:
    return [evaluated(index) for index in range(SEEDS)]


def ask(strategy: strategies.Strategy) -> list[Request]:
    """Returns what is asked next; a request for principles is answered without words."""
    requests = list(strategy.ask())
    if requests and requests[0].operation == "principles":
        assert isinstance(strategy, Learner)
        strategy.learn([""])
        requests += strategy.ask()
    return requests


def answers(requests: list[Request], first: int) -> list[Candidate]:
    programs = [request for request in requests if request.operation != "principles"]
    places = [(request.index, s) for request in programs for s in range(request.samples)]
    return [evaluated(first + n, *place) for n, place in enumerate(places)]


def search(strategy: strategies.Strategy) -> tuple[list[Request], list[list[Candidate]]]:
    """Runs a search to its end; returns what was asked and what was told."""
    asked: list[Request] = []
    told = [seeds()]
    strategy.tell(told[0])
    while requests := ask(strategy):
        asked += requests
        told.append(answers(requests, sum(map(len, told))))
        strategy.tell(told[-1])
    return asked, told


def steady_search(strategy: Any, lag: int) -> list[Request]:
    """Runs a steady search to its end, with `lag` requests under way; returns what was asked."""
    asked: list[Request] = []
    strategy.tell(seeds())
    for told in itertools.count():
        while len(asked) - told < lag and (request := strategy.ask_one()):
            asked.append(request)
        if told == len(asked):
            break
        strategy.tell_one(answers([asked[told]], SEEDS + number_of_programs(asked[:told])))
    return asked


def numbers(candidates) -> list[int]:
    return [candidate.index for candidate in candidates]


def rejected(candidate: Candidate) -> Candidate:
    evaluation = Evaluation("rejected", "trace", "ran out of memory")
    return dataclasses.replace(candidate, evaluation=evaluation)


def number_of_programs(requests: list[Request]) -> int:
    return sum(request.samples for request in requests if request.operation != "principles")


every_strategy = pytest.mark.parametrize("name", VARIANTS)
every_steady_strategy = pytest.mark.parametrize("name", list(filter(goes_steadily, VARIANTS)))


@every_strategy
def test_a_search_ends_and_numbers_its_requests_in_order(name):
    strategy = make(name)
    asked, _ = search(strategy)
    assert strategy.finished
    assert [request.index for request in asked] == list(range(len(asked)))
    assert [request.round for request in asked] == sorted(request.round for request in asked)
    assert list(strategy.ask()) == []


@every_strategy
def test_the_state_is_a_function_of_what_was_told(name):
    whole = make(name)
    asked, told = search(whole)
    for stop in range(1, len(told) + 1):
        again, repeated = make(name), []
        for number, candidates in enumerate(told[:stop]):
            if number:
                repeated += ask(again)
            again.tell(candidates)
        assert repeated == asked[: len(repeated)]
    assert again.best(5) == whole.best(5)
    assert again.population() == whole.population()


# GENIUS draws nothing: the run's seed reaches only the proposer.
@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "genius"])
def test_another_seed_gives_another_search(name):
    assert search(make(name, 0))[0] != search(make(name, 1))[0]


@every_strategy
def test_calls_out_of_order_raise(name):
    strategy = make(name)
    with pytest.raises(RuntimeError, match="seeds"):
        strategy.ask()
    strategy.tell(seeds())
    with pytest.raises(RuntimeError, match="without asking"):
        strategy.tell(seeds())
    requests = ask(strategy)
    with pytest.raises(RuntimeError, match="again"):
        strategy.ask()
    strategy.tell(answers(requests, SEEDS))
    with pytest.raises(RuntimeError, match="without asking"):
        strategy.tell(answers(requests, SEEDS))


@every_strategy
def test_answers_to_other_requests_are_refused(name):
    strategy = make(name)
    strategy.tell(seeds())
    requests = ask(strategy)
    children = answers(requests, SEEDS)
    with pytest.raises(ValueError, match="expected answers to requests"):
        strategy.tell([dataclasses.replace(children[0], request=99)])
    with pytest.raises(ValueError, match="order asked"):
        strategy.tell(children[::-1])
    strategy.tell(children)  # a refused call changes nothing


@every_strategy
def test_the_best_was_told_and_is_best_first(name):
    strategy = make(name)
    _, told = search(strategy)
    everyone = [candidate for candidates in told for candidate in candidates]
    best = strategy.best(3)
    assert len(best) == 3
    assert all(candidate in everyone for candidate in best)
    assert all(candidate.evaluation and candidate.evaluation.scored for candidate in best)
    assert strategy.best(1) == best[:1]


@every_strategy
def test_no_scored_seed_is_an_error_that_tells_why(name):
    with pytest.raises(UserError, match="ran out of memory"):
        make(name).tell([rejected(seeds()[0])])


@every_strategy
def test_the_budget_is_met_to_the_child(name):
    strategy = make(name, revisions=0)  # GENIUS asks again for what was refused, on top
    asked, _ = search(strategy)
    assert number_of_programs(asked) == strategy.children == 3 * 2 * 3


@every_strategy
def test_nothing_that_was_told_is_changed(name):
    strategy = make(name)
    told = [seeds()]
    strategy.tell(told[0])
    kept = copy.deepcopy(told)
    while requests := ask(strategy):
        told.append(answers(requests, sum(map(len, told))))
        kept.append(copy.deepcopy(told[-1]))
        strategy.tell(told[-1])
    strategy.best(9), strategy.population(), strategy.tuning_set()
    assert told == kept


@every_strategy
@pytest.mark.parametrize("answer", ["rejected", "without_evaluation", "left_out"])
def test_a_search_in_which_nothing_is_scored_ends_with_its_seeds_at_most(name, answer):
    strategy = make(name, revisions=0)
    strategy.tell(seeds())
    asked: list[Request] = []
    while requests := ask(strategy):
        asked += requests
        children = answers(requests, SEEDS + number_of_programs(asked))
        if answer == "rejected":
            strategy.tell(list(map(rejected, children)))
        elif answer == "without_evaluation":
            strategy.tell([dataclasses.replace(child, evaluation=None) for child in children])
        else:
            strategy.tell([])
    assert number_of_programs(asked) == strategy.children
    assert set(numbers(strategy.best(9))) <= set(range(SEEDS))
    assert set(numbers(strategy.population())) <= set(range(SEEDS))


@every_strategy
def test_without_seeds_a_search_begins_at_random_or_says_that_it_cannot(name):
    strategy = make(name)
    if name in NEED_SEEDS:
        with pytest.raises(UserError, match="--seeds"):
            strategy.tell([])
        return
    strategy.tell([])
    requests = [request for request in ask(strategy) if request.operation != "principles"]
    assert all(request.parents == () for request in requests)
    strategy.tell(answers(requests, 0))
    assert strategy.best() != ()


@every_steady_strategy
@pytest.mark.parametrize("lag", [1, 4])
def test_a_steady_search_asks_for_as_much_one_request_at_a_time(name, lag):
    whole, again = make(name), make(name)
    steady_search(whole, lag)
    asked = steady_search(again, lag)
    assert again.finished
    assert [request.index for request in asked] == list(range(3 * 2))
    assert [request.round for request in asked] == [0, 0, 1, 1, 2, 2]
    assert number_of_programs(asked) == again.children
    assert again.best(5) == whole.best(5)
    assert again.population() == whole.population()


@every_steady_strategy
def test_steady_calls_out_of_order_raise(name):
    strategy = make(name)
    with pytest.raises(RuntimeError, match="seeds"):
        strategy.ask_one()
    strategy.tell(seeds())
    with pytest.raises(RuntimeError, match="without asking"):
        strategy.tell_one([])
    first, second = strategy.ask_one(), strategy.ask_one()
    with pytest.raises(ValueError, match="expected answers to requests 0 to 0"):
        strategy.tell_one(answers([second], SEEDS))
    strategy.tell_one(answers([first], SEEDS))
    strategy.tell_one(answers([second], SEEDS + first.samples))


@pytest.mark.parametrize("name", ["evopromting", "EvoPrompting"])
def test_a_misspelt_strategy_is_corrected(name):
    with pytest.raises(UserError, match="did you mean evoprompting"):
        strategies.make(name, {}, 0)


def test_an_unknown_strategy_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match="choose one of evoprompting"):
        strategies.make("xyz", {}, 0)


def test_a_misspelt_option_is_corrected():
    with pytest.raises(UserError, match="'survivor': did you mean survivors"):
        strategies.make("evoprompting", {"survivor": 3}, 0)


def test_options_may_come_from_json():
    first = strategies.make("evoprompting", {"temperatures": [0.5, 1.0]}, 0)
    second = strategies.make("evoprompting", {"temperatures": (0.5, 1.0)}, 0)
    for strategy in (first, second):
        strategy.tell(seeds())
    assert first.ask() == second.ask()
