"""The loop: every proposal ends somewhere, nothing is done twice, nothing is lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evo_clrs import programs
from evo_clrs.errors import UserError
from evo_clrs.records import Proposal
from evo_clrs.store import Store, selection, summarise
from tests import toy_run
from tests.toy import ToyProblem

ROOT = Path(__file__).resolve().parents[1]


class Replies:
    """A proposer that gives out prepared sources, one list for each request."""

    name = "replies"

    def __init__(self, *rounds):
        self._rounds = rounds
        self.asked = []

    def propose(self, request, slot, prompt, seed):
        self.asked.append(request.index)
        return [Proposal(source) for source in self._rounds[request.index]]


def one_round(samples):
    return {"rounds": 1, "prompts_per_round": 1, "samples_per_prompt": samples, "max_error": 0.9}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run, with what it came to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with Store.open(folder, ToyProblem.identity) as store:
        toy_run.run(store)
        return folder, toy_run.outcome(store), summarise(store)


def test_every_proposal_is_counted_once(whole):
    _, _, summary = whole
    counts = dict(summary["counts"])
    assert counts.pop("proposed") == 8
    assert sum(counts.values()) == 8


def test_a_run_leaves_its_summary_and_its_best_program(whole):
    folder, _, summary = whole
    assert json.loads((folder / "summary.json").read_text())["counts"] == summary["counts"]
    compile((folder / "best.py").read_text(), "best.py", "exec")


def test_the_winner_is_the_fittest_on_selection_data(whole):
    folder, _, _ = whole
    with Store.read(folder) as store:
        selected = selection.read(store)
        assert len(selected) >= 2
        winner = selection.winner(store)
        assert winner.fitness == max(entry.fitness for entry in selected)
        assert winner.candidate.program in (folder / "best.py").read_text()


def test_a_finished_run_is_not_run_again(whole):
    folder, before, _ = whole
    problem = ToyProblem()
    with Store.open(folder, ToyProblem.identity) as store:
        toy_run.run(store, problem=problem)
        assert toy_run.outcome(store) == before
    assert problem.evaluated == 0


def test_a_search_ends_with_the_round_in_which_enough_children_were_scored(whole):
    def children(store):
        return [(c.source, c.request) for c in store.candidates() if c.request is not None]

    folder, _, _ = whole
    with Store.read(folder) as store:
        both = children(store)
    with Store.in_memory(ToyProblem.identity) as store:
        toy_run.run(store, max_scored=1)
        assert children(store) == both[:4]  # two prompts of two samples
        assert selection.winner(store) is not None
        toy_run.run(store, max_scored=100)  # goes on with the next round
        assert children(store) == both


def test_each_fate_has_its_stage():
    gmpnn = programs.load("processor")["gmpnn"]
    renamed = gmpnn.replace("gate", "door")
    same_function = gmpnn.replace("hk.Linear(self.out_size)(z)", "hk.Linear(2 * 4)(z)")
    sources = [
        "def broken(",
        renamed,
        same_function,
        gmpnn.replace("jnp.max(mixed, axis=1)", "jnp.max(mixed, axis=9)"),
        gmpnn.replace("jnp.max(mixed, axis=1)", "jnp.sum(mixed, axis=1)"),
    ]
    store = Store.in_memory(ToyProblem.identity)
    toy_run.run(store, Replies(sources), options=one_round(len(sources)))
    seeds = len(ToyProblem().seeds())
    children = store.candidates()[seeds:]
    stages = [child.evaluation.stage for child in children]
    assert stages == ["static", "duplicate_text", "duplicate_graph", "trace", "scored"]
    reused = children[2].evaluation
    original = store.candidate(reused.reused_from).evaluation
    assert reused.scored and reused.metrics == original.metrics


def test_a_function_whose_original_failed_fails_with_it():
    gmpnn = programs.load("processor")["gmpnn"]
    changed = gmpnn.replace("jnp.max(mixed, axis=1)", "jnp.sum(mixed, axis=1)")
    again = changed.replace("hk.Linear(self.out_size)(z)", "hk.Linear(2 * 4)(z)")
    store = Store.in_memory(ToyProblem.identity)
    toy_run.run(store, Replies([changed]), options=one_round(1))
    print_ = store.candidates()[2].evaluation.facts.fingerprint
    store = Store.in_memory(ToyProblem.identity)
    problem = ToyProblem(failing=(print_,))
    toy_run.run(store, Replies([changed, again]), problem=problem, options=one_round(2))
    first, second = (child.evaluation for child in store.candidates()[2:])
    assert (first.stage, second.stage) == ("failed", "duplicate_graph")
    assert not second.scored and "loss is not finite" in second.reason


def test_a_graph_that_our_own_tools_break_on_costs_one_candidate():
    class Breaking(ToyProblem):
        def examine(self, graph):
            if graph.parameters == ():
                raise IndexError("list index out of range")
            return super().examine(graph)

    plain = (
        "import clrs\n\n\nclass Processor(clrs.processors.Processor):\n"
        "    def __init__(self, out_size, name='none'):\n        super().__init__(name=name)\n\n"
        "    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused):\n"
        "        return node_fts + hidden, None\n"
    )
    fine = programs.load("processor")["mpnn"]
    with Store.in_memory(ToyProblem.identity) as store:
        toy_run.run(store, Replies([plain, fine]), Breaking(), one_round(2))
        broken, scored = (c.evaluation for c in store.candidates()[2:])
    assert broken.stage == "failed"
    assert broken.reason.endswith("could not be examined: IndexError: list index out of range")
    assert scored.scored


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def broken(", "line 1"),
        ("x = 1\n", "Processor"),
        (programs.load("processor")["gmpnn"].replace("axis=1", "axis=7"), "axis"),
    ],
)
def test_a_broken_seed_ends_the_run_with_its_name(source, reason):
    problem = ToyProblem({"mine": source})
    with pytest.raises(UserError, match=f"seed mine: .*{reason}"):
        toy_run.run(Store.in_memory(ToyProblem.identity), problem=problem)


def test_an_interrupted_run_asks_nothing_twice(whole):
    _, before, _ = whole

    class Interrupted(toy_run.Grammar):
        asked = []

        def propose(self, request, slot, prompt, seed):
            if request.index == 3 and request.index not in self.asked:
                self.asked.append(request.index)
                raise KeyboardInterrupt
            self.asked.append(request.index)
            return super().propose(request, slot, prompt, seed)

    store = Store.in_memory(ToyProblem.identity)
    with pytest.raises(KeyboardInterrupt):
        toy_run.run(store, Interrupted())
    toy_run.run(store, Interrupted())
    assert toy_run.outcome(store) == before
    assert Interrupted.asked == [0, 1, 2, 3, 3]


def kill_and_resume(folder, steps, rungs=()):
    """Runs the toy search with a kill after each of these numbers of steps, then to its end."""
    command = [sys.executable, "-m", "tests.toy_run", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    kills = 0
    for number in steps:
        done = subprocess.run(
            [*command, str(number), *map(str, rungs)],
            env=environment,
            cwd=ROOT,
            timeout=120,
            capture_output=True,
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        kills += 1
    command += ["0", *map(str, rungs)]
    done = subprocess.run(command, env=environment, cwd=ROOT, timeout=120, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return kills


def test_a_run_killed_at_many_points_ends_as_if_it_had_not_been(whole, tmp_path):
    _, before, _ = whole
    kills = kill_and_resume(tmp_path / "run", [1, 2, 3, 6, 5, 4, 7, 8])
    assert kills >= 6
    with Store.read(tmp_path / "run") as store:
        assert toy_run.outcome(store) == before


@pytest.mark.slow
def test_a_run_with_rungs_killed_at_many_points_ends_as_if_it_had_not_been(tmp_path):
    whole, rungs = Store.in_memory(ToyProblem.identity), (10, 20)
    toy_run.run(whole, rungs=rungs)
    assert any(c.evaluation.stopped for c in whole.candidates())
    kills = kill_and_resume(tmp_path / "run", [5, 6, 7, 8, 9, 10], rungs)
    assert kills >= 4
    with Store.read(tmp_path / "run") as store:
        assert toy_run.outcome(store) == toy_run.outcome(whole)


@pytest.mark.slow
def test_a_run_killed_at_every_point_ends_as_if_it_had_not_been(whole, tmp_path):
    """Two steps forward, then a kill, before or after the transaction in turn."""
    _, before, _ = whole
    kills = kill_and_resume(tmp_path / "run", [2, 1, 2, 3] * 60)
    assert kills >= 15
    with Store.read(tmp_path / "run") as store:
        assert toy_run.outcome(store) == before
