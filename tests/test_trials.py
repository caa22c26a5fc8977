"""Trials are whole searches; their curves are checked against the table they were made on."""

import itertools
import json

import pytest

from evo_clrs import spaces, trials
from evo_clrs.errors import UserError
from evo_clrs.store import opening
from evo_clrs.trials import Arm

CELLS = [spaces.CELL.arch(choices) for choices in itertools.product(range(5), repeat=6)]


def accuracy(arch: str) -> float:
    """Validation accuracy of the made-up table, in percent: convolutions are good."""
    return 50 + 5 * arch.count("nor_conv_3x3") + 2 * arch.count("nor_conv_1x1")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "cells.json"
    rows = {
        arch: {"val_acc_200": accuracy(arch), "test_acc_200": accuracy(arch) - 1, "rank": 1 + i}
        for i, arch in enumerate(CELLS)
    }
    path.write_text(json.dumps(rows))
    return str(path)


def arm(table: str, strategy: str = "random", **options) -> Arm:
    budget = {"rounds": 30, "prompts_per_round": 1, "samples_per_prompt": 1}
    place = {"table": table, "data": "cifar10", "seeds": ("none",)}
    return Arm(strategy, "cifar10", "nasbench201", place, budget | options, (1, 10, 30))


def test_a_curve_rises_and_tells_what_the_table_holds(table):
    points = trials.run_trial(arm(table), seed=0)
    assert [point.evaluations for point in points] == [1, 10, 30]
    assert [p.chosen_by for p in points] == sorted(p.chosen_by for p in points)
    for point in points:
        assert point.chosen_by == pytest.approx(accuracy(point.arch))
        assert point.test == pytest.approx(point.chosen_by - 1)


def test_a_curve_begins_as_that_of_a_shorter_search(table):
    longer = trials.run_trial(arm(table), seed=3)
    shorter = trials.run_trial(arm(table, rounds=10), seed=3)
    assert shorter == longer[:2]


def test_trials_are_kept_and_not_repeated(table, tmp_path, monkeypatch):
    searched = arm(table)
    seeds = {searched.key: [0, 1, 2]}
    first = list(trials.run_trials([searched], seeds, tmp_path, workers=1))
    kept = tmp_path / "trials.jsonl"
    # A kill in the middle of a line loses that trial and no other.
    kept.write_text("".join(kept.read_text().splitlines(keepends=True)[:2]) + '{"arm": "')
    ran = []
    whole = trials.run_trial
    monkeypatch.setattr(trials, "run_trial", lambda a, s: ran.append(s) or whole(a, s))
    again = list(trials.run_trials([searched], seeds, tmp_path, workers=1))
    assert ran == [2]
    assert sorted(again, key=lambda t: t[1]) == first


def test_trials_in_processes_give_the_same(table, tmp_path):
    searched = arm(table, "regularized_evolution")
    seeds = {searched.key: range(4)}
    alone = list(trials.run_trials([searched], seeds, tmp_path / "one", workers=1))
    together = list(trials.run_trials([searched], seeds, tmp_path / "two", workers=2))
    assert alone == together


def test_another_option_is_another_arm_but_another_place_is_not(table):
    assert arm(table).key != arm(table, rounds=31).key
    assert arm(table).key == arm("elsewhere.json").key


def test_a_problem_without_a_table_is_refused():
    clrs = Arm("random", "bfs", "clrs", {"task": "bfs"}, {}, (10,))
    with pytest.raises(UserError, match="problem clrs has no table"):
        trials.run_trial(clrs, seed=0)


def test_a_looked_up_evaluation_takes_few_statements(table, monkeypatch):
    """Statements are most of what such an evaluation costs, and can be counted on any machine."""
    taken: list[str] = []
    connect = opening.connect

    def connect_and_count(name):
        connection = connect(name)
        connection.set_trace_callback(taken.append)
        return connection

    monkeypatch.setattr(opening, "connect", connect_and_count)
    counts = []
    for rounds in (10, 30):
        taken.clear()
        trials.run_trial(arm(table, rounds=rounds), seed=0)
        counts.append(len(taken))
    # Request, reply, candidate and evaluation, each with its begin and its end, take 15 without
    # parents, and nothing is looked for that was never recorded; twins read who they follow.
    assert (counts[1] - counts[0]) / 20 < 18
