"""Best of n: proposals from the seeds only."""

import collections

import pytest

from evo_clrs.errors import UserError
from evo_clrs.strategies.best_of_n import BestOfN, Options
from tests.strategies.told import answers, numbers, rejected, scored, shown


def search(*seeds, **options):
    strategy = BestOfN(Options(**options), seed=0)
    strategy.tell(seeds)
    return strategy


def test_parents_are_seeds_whatever_was_found():
    strategy = search(scored(0, 0.1), scored(1, 0.2), rejected(2), rounds=3)
    index = 10
    while requests := strategy.ask():
        assert {program for request in requests for program in shown(request)} == {"p0", "p1"}
        assert {request.operation for request in requests} == {"vary"}
        strategy.tell(answers(requests, (scored(index + i, i) for i in range(160))))
        index += 160
    assert strategy.finished and index == 10 + 3 * 160


def test_seeds_are_drawn_uniformly_with_replacement():
    requests = search(scored(0, 0.1), scored(1, 0.2), prompts_per_round=4000).ask()
    pairs = collections.Counter(tuple(shown(request)) for request in requests)
    # 1000 expected for each ordered pair; five standard deviations are 137.
    assert len(pairs) == 4
    assert all(abs(count - 1000) < 137 for count in pairs.values())


def test_without_seeds_it_says_how_to_name_some():
    with pytest.raises(UserError, match="starts from seeds: name one or more with --seeds"):
        search()


@pytest.mark.parametrize("in_history, best", [(False, [5]), (True, [0])])
def test_the_best_is_a_child_unless_seeds_are_in_the_history(in_history, best):
    strategy = search(scored(0, 9.0), seeds_in_history=in_history)
    strategy.tell(answers(strategy.ask(), [scored(4, 1.0), scored(5, 2.0)]))
    assert numbers(strategy.best()) == best
