"""Random search: nothing that is found shapes what is asked for."""

import pytest

from evo_clrs.strategies.random_search import Options, RandomSearch
from tests.strategies.told import answers, numbers, rejected, scored, shown


def search(*seeds, **options):
    budget = {"rounds": 3, "prompts_per_round": 4, "samples_per_prompt": 2}
    strategy = RandomSearch(Options(**(budget | options)), seed=0)
    strategy.tell(seeds)
    return strategy


def test_without_seeds_it_asks_for_programs_of_the_whole_space_and_shows_none():
    for request in search().ask():
        assert (request.operation, request.parents, request.targets) == ("random", (), {})
        assert request.allowed == ()


def test_seeds_are_shown_as_examples_each_once():
    requests = search(*(scored(i, 0.1) for i in range(3)), prompts_per_round=60).ask()
    assert {request.operation for request in requests} == {"random"}
    pairs = {tuple(shown(request)) for request in requests}
    assert pairs == {(a, b) for a in ("p0", "p1", "p2") for b in ("p0", "p1", "p2") if a != b}
    assert {tuple(shown(r)) for r in search(scored(0, 0.1), in_context=9).ask()} == {("p0",)}


def test_what_is_told_changes_no_request():
    lucky, unlucky = search(scored(0, 0.1)), search(scored(0, 0.1))
    for first in (10, 30, 50):
        requests = lucky.ask()
        assert unlucky.ask() == requests
        lucky.tell(answers(requests, (scored(first + i, i) for i in range(8))))
        unlucky.tell(answers(requests, map(rejected, range(first, first + 8))))
    assert lucky.finished and unlucky.finished


@pytest.mark.parametrize("in_history, best", [(False, [2, 1]), (True, [0, 2])])
def test_the_answer_is_the_best_that_was_drawn(in_history, best):
    strategy = search(scored(0, 9.0), seeds_in_history=in_history)
    strategy.tell(answers(strategy.ask(), [scored(1, 3.0), scored(2, 4.0), rejected(3)]))
    assert numbers(strategy.best(2)) == best
