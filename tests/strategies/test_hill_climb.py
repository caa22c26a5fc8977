"""Hill climbing: up, never sideways, and anew when stuck."""

from evo_clrs.strategies.hill_climb import HillClimb, Options
from tests.strategies.told import answers, numbers, rejected, scored, shown

SEEDS = (scored(0, 1.0), scored(1, 2.0))


def search(*seeds, **options):
    budget = {"rounds": 100, "prompts_per_round": 1, "samples_per_prompt": 3}
    strategy = HillClimb(Options(**(budget | options)), seed=0)
    strategy.tell(seeds)
    return strategy


def tell(strategy, *children):
    """Asks for the next round and tells these children; returns what was asked."""
    (request,) = strategy.ask()
    strategy.tell(answers([request], children))
    return request


def test_it_begins_at_the_fittest_seed():
    request = tell(search(*SEEDS))
    assert (request.operation, shown(request)) == ("mutate", ["p1"])


def test_without_seeds_it_begins_at_the_first_random_program_with_a_score():
    strategy = search()
    assert tell(strategy, rejected(0)).operation == "random"
    assert tell(strategy, scored(1, 0.5), scored(2, 0.7)).operation == "random"
    assert shown(tell(strategy)) == ["p2"]


def test_it_moves_to_the_fittest_child_if_that_is_fitter():
    strategy = search(*SEEDS)
    tell(strategy, scored(2, 2.5), scored(3, 3.5), scored(4, 3.0))
    assert numbers(strategy.population()) == [3]
    tell(strategy, scored(5, 3.5), scored(6, 1.0), rejected(7))
    assert numbers(strategy.population()) == [3]
    assert numbers(strategy.best(2)) == [3, 5]  # children only


def test_it_begins_anew_at_a_random_seed_when_patience_runs_out():
    starts = set()
    for patience in range(1, 20):
        strategy = search(*SEEDS, samples_per_prompt=1, patience=patience)
        tell(strategy, scored(2, 5.0))
        for number in range(patience):
            assert numbers(strategy.population()) == [2]
            tell(strategy, rejected(3) if number % 2 else scored(3, 1.0))
        starts |= set(numbers(strategy.population()))
    assert starts == {0, 1}


def test_progress_renews_patience():
    strategy = search(*SEEDS, samples_per_prompt=1, patience=2)
    for number in range(2, 12, 2):
        tell(strategy, rejected(number))
        tell(strategy, scored(number + 1, number + 1.0))
        assert numbers(strategy.population()) == [number + 1]


def test_without_seeds_it_begins_anew_at_a_random_program():
    strategy = search(samples_per_prompt=1, patience=1)
    tell(strategy, scored(0, 5.0))
    assert tell(strategy, scored(1, 1.0)).operation == "mutate"
    assert strategy.population() == ()
    assert tell(strategy, scored(2, 1.0)).operation == "random"
    assert numbers(strategy.population()) == [2]


def test_children_of_an_earlier_climb_do_not_enter_a_later_one():
    strategy = search(*SEEDS, samples_per_prompt=1, patience=2)
    asked = [strategy.ask_one() for _ in range(3)]
    strategy.tell_one(answers([asked[0]], [rejected(2)]))
    strategy.tell_one(answers([asked[1]], [rejected(3)]))  # patience runs out
    (start,) = numbers(strategy.population())
    strategy.tell_one(answers([asked[2]], [scored(4, 99.0)]))
    assert numbers(strategy.population()) == [start]
    assert numbers(strategy.best()) == [4]  # it was found all the same
    asked = strategy.ask_one()
    strategy.tell_one(answers([asked], [scored(5, 50.0)]))
    assert numbers(strategy.population()) == [5]
