"""Random parents: whatever was scored may be a parent, the worse as often as the better."""

import collections

import pytest

from evo_clrs.errors import UserError
from evo_clrs.strategies.random_parents import Options, RandomParents
from tests.strategies.told import answers, numbers, rejected, scored, shown


def search(*seeds, **options):
    strategy = RandomParents(Options(**options), seed=0)
    strategy.tell(seeds)
    return strategy


def test_parents_are_drawn_uniformly_from_seeds_and_scored_children():
    strategy = search(scored(0, 9.0), rounds=2, prompts_per_round=2000, samples_per_prompt=1)
    first = strategy.ask()
    assert {program for request in first for program in shown(request)} == {"p0"}
    children = [scored(1, -5.0), rejected(2), scored(3, 1.0), *map(rejected, range(4, 2001))]
    strategy.tell(answers(first, children))
    counts = collections.Counter(p for request in strategy.ask() for p in shown(request))
    # 4000 draws of 3: five standard deviations are 149.
    assert counts.keys() == {"p0", "p1", "p3"}
    assert all(abs(count - 4000 / 3) < 149 for count in counts.values())
    assert numbers(strategy.population()) == [0, 1, 3]


def test_the_best_is_the_fittest_child():
    strategy = search(scored(0, 9.0), prompts_per_round=1, samples_per_prompt=2)
    strategy.tell(answers(strategy.ask(), [scored(4, 1.0), scored(5, 2.0)]))
    assert numbers(strategy.best()) == [5]


def test_without_seeds_it_says_how_to_name_some():
    with pytest.raises(UserError, match="starts from seeds: name one or more with --seeds"):
        search()
