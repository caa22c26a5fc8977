"""Islands: populations that share a budget and send their best around a ring."""

import collections

import pytest

from evo_clrs import strategies
from evo_clrs.errors import UserError
from evo_clrs.randomness import seed_for
from evo_clrs.strategies.evoprompting import EvoPrompting
from evo_clrs.strategies.islands import Islands, Options
from evo_clrs.strategies.regularized_evolution import RegularizedEvolution
from tests.strategies.told import answers, numbers, rejected, scored, shown

SEEDS = (scored(0, 0.1), scored(1, 0.2))


def search(name="regularized_evolution", mixing=None, **options):
    budget = {"rounds": 8, "prompts_per_round": 6, "samples_per_prompt": 1}
    if name == "regularized_evolution":
        budget |= {"population": 2, "tournament": 2}
    mixing = mixing or Options(islands=3)
    strategy = strategies.make(name, budget | options, 5, mixing)
    strategy.tell(SEEDS)
    return strategy


def tell(strategy, number, fitness=None):
    """Tells a round whose children are numbered from 100 x `number`, by position of the prompt."""
    requests = strategy.ask()
    children = [
        scored(100 * number + position, (fitness or {}).get(position, 1.0))
        for position in range(len(requests))
    ]
    strategy.tell(answers(requests, children))
    return requests


def islands_of(strategy):
    """Returns the population of each island, by number."""
    assert isinstance(strategy, Islands)
    return [numbers(island.population()) for island in strategy._islands]


@pytest.mark.parametrize(
    "kind", [EvoPrompting, RegularizedEvolution], ids=["evoprompting", "regularized_evolution"]
)
def test_one_island_is_the_strategy_itself(kind):
    name = {EvoPrompting: "evoprompting", RegularizedEvolution: "regularized_evolution"}[kind]
    alone = strategies.make(name, {}, 5)
    single = strategies.make(name, {}, 5, Options(islands=1))
    assert type(single) is kind
    for strategy in (alone, single):
        strategy.tell(SEEDS)
    assert single.ask() == alone.ask()


def test_the_first_islands_take_what_is_left_of_a_round():
    strategy = search("evoprompting", prompts_per_round=8, samples_per_prompt=2)
    shares = [island.options.prompts_per_round for island in strategy._islands]
    assert shares == [3, 3, 2]
    assert strategy.children == sum(island.children for island in strategy._islands) == 8 * 8 * 2


def test_requests_are_those_of_each_island_in_turn():
    strategy = search("evoprompting")
    for number in range(3):
        requests = tell(strategy, number + 1)
        assert [request.index for request in requests] == list(range(6 * number, 6 * number + 6))
        assert {request.round for request in requests} == {number}
        for island in range(3):
            alone = strategies.make(
                "evoprompting",
                {"rounds": 8, "prompts_per_round": 2, "samples_per_prompt": 1},
                seed_for(5, "island", island),
            )
            alone.tell(SEEDS)
            if number == 0:
                for ours, theirs in zip(requests[island::3], alone.ask(), strict=True):
                    assert (ours.parents, ours.temperatures) == (
                        theirs.parents,
                        theirs.temperatures,
                    )


def test_islands_breed_by_themselves_between_migrations():
    strategy = search(mixing=Options(islands=3, migrate_every=100))
    for number in range(1, 6):
        tell(strategy, number)
        expected = [[100 * number + island, 100 * number + island + 3] for island in range(3)]
        assert islands_of(strategy) == expected
    requests = strategy.ask()
    for position, request in enumerate(requests):
        assert set(shown(request)) <= {f"p{500 + position % 3}", f"p{503 + position % 3}"}


def test_the_fittest_go_round_the_ring_all_at_once():
    strategy = search(mixing=Options(islands=3, migrate_every=2, migrants=1))
    tell(strategy, 1)
    assert islands_of(strategy) == [[100, 103], [101, 104], [102, 105]]
    tell(strategy, 2, fitness={0: 9.0, 4: 8.0, 2: 7.0})
    # Aging keeps two: the younger of the natives, and the migrant, who came last.
    assert islands_of(strategy) == [[203, 202], [204, 200], [205, 204]]
    tell(strategy, 3)
    assert islands_of(strategy) == [[300, 303], [301, 304], [302, 305]]


def test_migrants_that_are_there_already_stay_where_they_are():
    strategy = search(mixing=Options(islands=2, migrate_every=1, migrants=2), population=20)
    tell(strategy, 1, fitness={0: 9.0})
    assert islands_of(strategy) == [[100, 102, 104, 101, 103], [101, 103, 105, 100, 102]]
    tell(strategy, 2)
    assert islands_of(strategy) == [
        [100, 102, 104, 101, 103, 200, 202, 204, 105, 201],
        [101, 103, 105, 100, 102, 201, 203, 205, 104, 200],
    ]
    everybody = {*range(100, 106), *range(200, 206)}
    assert sorted(numbers(strategy.population())) == sorted(everybody)


def test_nobody_migrates_after_the_last_round():
    strategy = search(rounds=2, mixing=Options(islands=3, migrate_every=2, migrants=1))
    tell(strategy, 1)
    tell(strategy, 2)
    assert strategy.finished and strategy.ask() == ()
    assert islands_of(strategy) == [[200, 203], [201, 204], [202, 205]]


def test_migrants_become_parents_of_the_next_round_of_evoprompting():
    strategy = search("evoprompting", mixing=Options(islands=2, migrate_every=1, migrants=1))
    tell(strategy, 1, fitness={0: 9.0, 1: 8.0})
    first, second = islands_of(strategy)
    assert first[:2] == [100, 101] and second[:2] == [100, 101]
    assert {102, 104} <= set(first) and {103, 105} <= set(second)


def test_a_steady_search_goes_round_the_islands_and_migrates_after_a_rounds_worth_of_tells():
    strategy = search(mixing=Options(islands=3, migrate_every=2, migrants=1))
    told = 0
    asked = [strategy.ask_one() for _ in range(4)]
    while told < 12:
        fitness = {6: 9.0, 10: 8.0, 8: 7.0}.get(told, 1.0)
        strategy.tell_one(answers([asked[told]], [scored(100 + told, fitness)]))
        asked.append(strategy.ask_one())
        told += 1
        if told == 11:
            assert islands_of(strategy) == [[106, 109], [107, 110], [105, 108]]
    assert [request.index for request in asked] == list(range(16))
    assert islands_of(strategy) == [[109, 108], [110, 106], [111, 110]]


def test_the_best_is_the_best_of_all_islands_each_once_as_it_was_told():
    strategy = search(mixing=Options(islands=3, migrate_every=1, migrants=2))
    requests = strategy.ask()
    children = answers(requests, [scored(10 + n, n) for n in (3, 1, 5, 0, 4)])
    strategy.tell(children)
    for number in (2, 3):
        tell(strategy, number)
    assert numbers(strategy.best(4)) == [15, 14, 13, 11]
    assert strategy.best(2) == (children[2], children[4])


def test_rejected_children_reach_their_island_and_no_other():
    strategy = search()
    requests = strategy.ask()
    strategy.tell(
        answers(requests, [scored(10, 1.0), rejected(11), *map(scored, range(12, 16), [1.0] * 4)])
    )
    assert islands_of(strategy) == [[10, 13], [14], [12, 15]]
    operations = collections.Counter(request.operation for request in strategy.ask()[1::3])
    assert operations == {"random": 2}


@pytest.mark.parametrize("name", ["random", "best_of_n", "hill_climb", "llmatic", "genius"])
def test_strategies_without_a_population_to_share_say_so(name):
    with pytest.raises(UserError, match="leave out --islands"):
        strategies.make(name, {"prompts_per_round": 4}, 0, Options(islands=2))


def test_an_island_without_prompts_is_refused():
    with pytest.raises(UserError, match="--prompts_per_round must be 4 or more, got 3"):
        search("evoprompting", Options(islands=4), prompts_per_round=3)


@pytest.mark.parametrize("name", ["islands", "migrate_every", "migrants"])
def test_numbers_out_of_range_are_refused_by_name(name):
    with pytest.raises(UserError, match=f"--{name} must be 1 or more, got 0"):
        Options(**{name: 0})
