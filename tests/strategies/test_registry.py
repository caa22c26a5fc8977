"""What every strategy must do, and how one is made."""

import dataclasses

import pytest

from evo_clrs import strategies
from evo_clrs.errors import UserError
from evo_clrs.randomness import generator
from evo_clrs.records import Candidate, Evaluation, Parent, Request
from evo_clrs.spaces import CELL
from evo_clrs.strategies.base import Learner

SEEDS = 3
# Options that keep the searches of this file short; strategies take those that they know.
SHORT = {
    "rounds": 3,
    "prompts_per_round": 2,
    "samples_per_prompt": 3,
    "survivors": 2,
    "source": "table.json",
    "adapt_after": (),
}
# What those that learn are taught.
EXAMPLES = [Parent("e", CELL.write((3, 3, 3, 1, 3, 3)), {"val_accuracy": 0.9})]


def make(name: str, seed: int = 0) -> strategies.Strategy:
    known = {field.name for field in dataclasses.fields(strategies.options_type(name))}
    strategy = strategies.make(name, {k: v for k, v in SHORT.items() if k in known}, seed)
    if isinstance(strategy, Learner):
        strategy.teach(EXAMPLES)
    return strategy


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


every_strategy = pytest.mark.parametrize("name", strategies.REGISTRY)


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
@pytest.mark.parametrize("name", [name for name in strategies.REGISTRY if name != "genius"])
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
    failed = dataclasses.replace(
        seeds()[0], evaluation=Evaluation("rejected", "trace", "ran out of memory")
    )
    with pytest.raises(UserError, match="ran out of memory"):
        make(name).tell([failed])


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
