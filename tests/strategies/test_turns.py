"""The common base: order of calls, numbers of requests, what a strategy is handed."""

import pytest

from evo_clrs.errors import UserError
from evo_clrs.records import Request
from evo_clrs.strategies.base import Steady, Turns, fittest, metric, no_seed
from evo_clrs.strategies.requests import Prompting, targets
from tests.strategies.told import answers, numbers, rejected, scored


class Noting(Turns):
    """A strategy that notes what it is handed: two requests of two children, three times."""

    def __init__(self, **options):
        super().__init__(0, **options)
        self.noted = []

    children = 12

    @property
    def finished(self):
        return self.told == 6

    def population(self):
        return ()

    def _begin(self, seeds):
        self.noted.append(("begin", numbers(seeds)))

    def _requests(self):
        return [self._one(self.next_index(position)) for position in range(2)]

    def _request(self):
        return None if self.next_index() == 6 else self._one(self.next_index())

    def _take(self, children):
        self.noted.append((self.told, numbers(children)))

    def _one(self, index):
        return Request(index, index // 2, (), {}, (1.0, 1.0))


class ByRounds(Turns):
    finished = False


def begun(*seeds, **options):
    strategy = Noting(**options)
    strategy.tell(seeds)
    return strategy


def test_children_are_handed_on_in_the_order_asked_with_and_without_scores():
    strategy = begun(scored(0, 1.0), rejected(1))
    children = [scored(2, 1.0), rejected(3), scored(4, 2.0), scored(5, 0.0)]
    strategy.tell(answers(strategy.ask(), children))
    assert strategy.noted == [("begin", [0]), (2, [2, 3, 4, 5])]
    assert numbers(strategy.scored) == [0, 2, 4, 5]
    assert (strategy.round, strategy.told, strategy.next_index()) == (1, 2, 2)


def test_tell_one_answers_the_oldest_request_under_way():
    strategy = begun()
    asked = [strategy.ask_one() for _ in range(3)]
    assert strategy.under_way == tuple(asked)
    with pytest.raises(ValueError, match="expected answers to requests 0 to 0"):
        strategy.tell_one(answers([asked[1]], [scored(5, 1.0)]))
    strategy.tell_one(answers([asked[0]], [scored(0, 1.0)]))
    assert strategy.under_way == tuple(asked[1:])
    strategy.tell_one([])  # nobody answered
    assert strategy.noted == [("begin", []), (1, [0]), (2, [])]
    assert [strategy.ask_one().index for _ in range(3)] == [3, 4, 5]
    assert strategy.ask_one() is None


def test_the_base_is_steady_where_a_strategy_gives_single_requests():
    assert isinstance(begun(), Steady)
    strategy = ByRounds(0)
    strategy.tell([])
    with pytest.raises(UserError, match="goes by rounds: leave out --schedule=steady"):
        strategy.ask_one()


@pytest.mark.parametrize("places", [[(0, 1), (0, 0)], [(0, 0), (0, 0)], [(0, 2)], [(2, 0)]])
def test_answers_out_of_order_or_of_nobody_are_refused(places):
    strategy = begun()
    strategy.ask()
    children = [
        answers([Request(request, 0, (), {}, (1.0,) * 3)], [scored(9, 1.0)] * 3)[sample]
        for request, sample in places
    ]
    with pytest.raises(ValueError, match="expected"):
        strategy.tell(children)
    assert strategy.noted == [("begin", [])]


def test_seeds_of_which_none_is_scored_are_an_error_before_anything_else():
    strategy = Noting()
    with pytest.raises(UserError, match="no seed could be scored: no"):
        strategy.tell([rejected(0)])
    assert strategy.noted == []
    assert "name one or more with --seeds" in str(no_seed([]))


@pytest.mark.parametrize("in_history, best", [(True, [0, 2]), (False, [2])])
def test_seeds_are_among_the_best_if_they_belong_to_the_history(in_history, best):
    strategy = begun(scored(0, 5.0), seeds_in_history=in_history)
    strategy.tell(answers(strategy.ask(), [scored(2, 1.0)]))
    assert numbers(strategy.best(9)) == best
    assert strategy.tuning_set() == ()


def test_ties_go_to_the_earlier_candidate():
    candidates = [scored(3, 1.0), scored(1, 1.0), scored(2, 2.0), scored(0, 0.5)]
    assert numbers(fittest(candidates, 3)) == [2, 1, 3]
    assert numbers(fittest(candidates, 9)) == [2, 1, 3, 0]


def test_a_metric_that_is_not_measured_is_answered_with_those_that_are():
    with pytest.raises(UserError, match="no metric 'depth' .*: choose from fitness, num_params"):
        metric(scored(0, 1.0), "depth")


def test_there_is_nothing_to_reach_without_parents():
    assert targets(()) == {}


@pytest.mark.parametrize("name", ["rounds", "samples_per_prompt", "target_accuracy"])
def test_what_is_asked_for_is_above_zero(name):
    with pytest.raises(UserError, match=f"--{name} must be above zero, got 0"):
        Prompting(**{name: 0})
