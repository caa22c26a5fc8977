"""Regularised evolution against Real et al., and against what follows from its tournaments."""

import collections
import dataclasses
import math

import pytest

from evo_clrs.errors import UserError
from evo_clrs.strategies.regularized_evolution import Options, RegularizedEvolution
from tests.strategies.told import answers, numbers, rejected, scored, shown


def search(*seeds, **options):
    strategy = RegularizedEvolution(Options(**options), seed=0)
    strategy.tell(seeds)
    return strategy


def tell(strategy, *children):
    """Asks for the next round and tells these children; returns what was asked."""
    requests = strategy.ask()
    strategy.tell(answers(requests, children))
    return requests


def full(**options):
    """A search with the members 0 to 9 in its population, the later the fitter."""
    strategy = search(**options)
    strategy.immigrate([scored(number, number) for number in range(10)])
    return strategy


def test_the_defaults_are_those_of_the_published_runs_on_nasbench201():
    options = Options()
    assert (options.population, options.tournament) == (10, 3)
    assert (options.prompts_per_round, options.samples_per_prompt) == (1, 1)


def test_random_programs_are_asked_for_until_the_population_is_full():
    strategy = search(rounds=20)
    operations = []
    for number in range(20):
        child = rejected(number) if number in (2, 5) else scored(number, 0.5)
        operations += [request.operation for request in tell(strategy, child)]
    assert operations == ["random"] * 12 + ["mutate"] * 8
    assert len(strategy.population()) == 10


def test_the_oldest_leaves_however_fit_it_is():
    strategy = search()
    tell(strategy, scored(0, 100.0))
    for number in range(1, 10):
        tell(strategy, scored(number, 1.0))
    assert 0 in numbers(strategy.population())
    tell(strategy, rejected(10))
    assert 0 in numbers(strategy.population())
    tell(strategy, scored(11, 0.5))
    assert numbers(strategy.population()) == [*range(1, 10), 11]
    assert numbers(strategy.best()) == [0]  # the answer is the best of all that was scored


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("tournament", [1, 3, 10])
def test_winners_are_as_frequent_as_chance_has_it(tournament, replacement):
    count = 4000
    requests = full(tournament=tournament, replacement=replacement, prompts_per_round=count).ask()
    wins = collections.Counter(shown(request)[0] for request in requests)
    for rank in range(10):  # the best of k draws is among the lowest r + 1 if all draws are
        share = ((rank + 1) / 10) ** tournament - (rank / 10) ** tournament
        if not replacement:  # the other members are among those below
            share = math.comb(rank, tournament - 1) / math.comb(10, tournament)
        deviation = math.sqrt(share * (1 - share) / count)
        assert abs(wins[f"p{rank}"] / count - share) <= 5 * deviation
    assert {request.operation for request in requests} == {"mutate"}
    assert {len(request.parents) for request in requests} == {1}


def test_all_requests_of_a_round_draw_from_the_population_at_its_begin():
    strategy = full(prompts_per_round=50, samples_per_prompt=2)
    before = {f"p{number}" for number in numbers(strategy.population())}
    requests = tell(strategy, *(scored(100 + number, 99.0) for number in range(100)))
    assert {shown(request)[0] for request in requests} <= before
    assert numbers(strategy.population()) == list(range(190, 200))


def test_a_steady_request_draws_from_all_that_was_told():
    strategy = full(tournament=10)
    first, second = strategy.ask_one(), strategy.ask_one()
    strategy.tell_one(answers([first], [scored(10, 99.0)]))
    third = strategy.ask_one()
    assert [shown(request) for request in (first, second, third)] == [["p9"], ["p9"], ["p10"]]


def test_a_tournament_of_different_members_fits_the_population():
    with pytest.raises(UserError, match=r"--tournament must be at most --population \(10\)"):
        Options(tournament=11)
    assert len(full(tournament=11, replacement=True).ask()) == 1


def test_a_duplicate_is_a_member_like_any_other():
    strategy = full()
    twin = scored(10, 9.0)
    evaluation = dataclasses.replace(twin.evaluation, stage="duplicate_text", reused_from=9)
    tell(strategy, dataclasses.replace(twin, program="p9", evaluation=evaluation))
    assert numbers(strategy.population()) == [*range(1, 10), 10]


@pytest.mark.parametrize("in_history", [False, True])
def test_seeds_are_members_only_if_asked_for(in_history):
    strategy = search(scored(0, 1.0), scored(1, 2.0), seeds_in_history=in_history)
    expected = [0, 1] if in_history else []
    assert numbers(strategy.population()) == expected
    assert sorted(numbers(strategy.best(9))) == expected
    (request,) = strategy.ask()
    assert (request.operation, sorted(shown(request))) == ("random", ["p0", "p1"])
