"""What a search asks of a training at its rungs: told fitness in, needed accuracy out."""

import pytest

from evo_clrs import problems
from evo_clrs.errors import UserError
from evo_clrs.records import Candidate, Evaluation, Facts
from evo_clrs.stopping import Stopping, check
from evo_clrs.training.rungs import Halving, Rung

PROBLEM = problems.make("mnist1d", {"train_steps": 400, "validate_every": 100})
RUNGS = Halving((100, 200), keep=0.5, least=1)


def facts(parameters):
    return Facts(parameters, parameters, 1.0, 1.0, 1.0, 1, f"print {parameters}")


def told(index, parameters, *accuracies, reused_from=None):
    names = ("val_accuracy_at_100", "val_accuracy_at_200")
    metrics = dict(zip(names, accuracies, strict=False)) | {"val_accuracy": accuracies[-1]}
    evaluation = Evaluation(
        *("scored", "scored"), metrics=metrics, facts=facts(parameters), reused_from=reused_from
    )
    return Candidate(index, f"p{index}", "", request=0, evaluation=evaluation)


def test_what_is_needed_is_the_accuracy_that_gives_the_fitness_told():
    """Fitness is minus parameters times error: half the parameters may err twice as often."""
    stopping = Stopping(PROBLEM, RUNGS)
    stopping.tell([told(0, 1000, 0.6, 0.8)])  # -400, then -200
    needed = {}
    for parameters in (200, 500, 1000, 2000):
        child = Candidate(1, "child", "", request=1)
        needed[parameters] = [r.at_least for r in stopping.rungs(child, facts(parameters))]
    assert needed[1000] == pytest.approx([0.6, 0.8])
    assert needed[2000] == pytest.approx([0.8, 0.9])
    assert needed[500] == pytest.approx([0.2, 0.6])
    assert needed[200] == [0.0, 0.0]  # -200 with nothing right: it need not be accurate
    assert needed[1000][0] <= 0.6 and needed[1000][1] <= 0.8  # an equal one goes on


def test_seeds_are_watched_and_never_stopped():
    stopping = Stopping(PROBLEM, RUNGS)
    stopping.tell([told(0, 1000, 0.6, 0.8)])
    assert stopping.rungs(Candidate(1, "seed", ""), facts(10)) == (Rung(100), Rung(200))


def test_each_function_counts_once_and_failures_not_at_all():
    stopping = Stopping(PROBLEM, Halving((100,), keep=0.5, least=2))
    failed = Candidate(3, "f", "", request=0, evaluation=Evaluation("rejected", "failed"))
    stopping.tell([told(0, 1000, 0.6), told(1, 1000, 0.6, reused_from=0), failed])
    child = Candidate(4, "child", "", request=1)
    assert stopping.rungs(child, facts(1000)) == (Rung(100),)
    stopping.tell([told(5, 1000, 0.3)])
    (rung,) = stopping.rungs(child, facts(1000))
    assert rung.at_least == pytest.approx(0.6)


def test_one_that_was_stopped_counts_at_the_rungs_it_reached():
    stopping = Stopping(PROBLEM, RUNGS)
    stopping.tell([told(0, 1000, 0.6, 0.8), told(1, 1000, 0.5)])
    first, second = stopping.rungs(Candidate(2, "child", "", request=1), facts(1000))
    assert (first.at_least, second.at_least) == pytest.approx((0.6, 0.8))


def test_without_rungs_nothing_is_asked():
    stopping = Stopping(PROBLEM, Halving())
    stopping.tell([told(0, 1000, 0.6)])
    assert stopping.rungs(Candidate(1, "child", "", request=1), facts(1000)) == ()


@pytest.mark.parametrize("steps", [(50,), (100, 400), (500,)])
def test_rungs_must_be_steps_with_a_look_before_the_last(steps):
    with pytest.raises(UserError, match="come every 100 steps .* before step 400"):
        check(PROBLEM, Halving(steps))


def test_problems_without_looks_refuse_rungs():
    cells = problems.make("cells", {})
    check(cells, Halving())
    with pytest.raises(UserError, match="problem cells .* leave out --rungs"):
        check(cells, Halving((10,)))
