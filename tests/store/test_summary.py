"""summary.json has the promised shape and counts each proposal once; best.py is a program."""

import ast
import dataclasses
import json
import math

import pytest

from evo_clrs.errors import UserError
from evo_clrs.records import Candidate, Cost, Evaluation, Proposal, Request
from evo_clrs.store import Store, summarise, write_best, write_summary
from evo_clrs.store.summary import write

IDENTITY = {
    "problem": "clrs",
    "task": "bfs",
    "slot": "triplet",
    "strategy": "evoprompting",
    "lm": "grammar",
    "seed": 3,
    "rounds": 10,
}
SOURCE = '"""What it computes."""\n\nimport jax\n\n\ndef get_triplet_msgs():\n    return jax\n'
STAGES = (
    "static",
    "static",
    "duplicate_text",
    "trace",
    "inert",
    "over_budget",
    "duplicate_graph",
    "failed",
    "failed",
    "failed",
    "scored",
)


def fill(store):
    """Two seeds, eleven proposals that ended, one under way."""
    scored = {"num_params": 4800, "val_error": 0.25, "fitness": -1200.0}
    for index, fitness in enumerate((-1200.0, -1500.0)):
        evaluation = Evaluation(
            "scored", "scored", "", {**scored, "fitness": fitness}, cost=Cost(train_seconds=2.0)
        )
        store.record_candidate(
            Candidate(index, f"seed{index}", SOURCE, name="v1", evaluation=evaluation)
        )
    store.record_request(Request(0, 0, (), {}, (0.2,) * 12), "")
    store.record_proposals(0, [Proposal("s", (), 10, 5, 0.5)] * 12)
    for sample, stage in enumerate(STAGES):
        has_score = stage in ("scored", "duplicate_graph")
        cost = Cost(lm_seconds=0.5, lm_prompt_tokens=10, trace_seconds=0.25, score_seconds=0.125)
        evaluation = Evaluation(
            "scored" if has_score else "rejected",
            stage,
            "" if has_score else "because",
            {"fitness": -900.0 - sample, "val_error": 0.2} if has_score else {},
            cost=cost,
        )
        store.record_candidate(
            Candidate(2 + sample, f"p{sample}", SOURCE, ("seed0",), 0, sample, "grammar")
        )
        store.record_evaluation(2 + sample, evaluation)
    store.record_candidate(Candidate(13, "last", SOURCE, ("seed0",), 0, 11, "grammar"))
    store.add_seconds(60.0)


def test_the_summary_is_the_one_promised(tmp_path):
    with Store.open(tmp_path / "NAME", IDENTITY) as store:
        fill(store)
        write_summary(store.folder, store)
    assert json.loads((tmp_path / "NAME" / "summary.json").read_text()) == {
        "run": "NAME",
        "problem": "clrs",
        "task": "bfs",
        "slot": "triplet",
        "strategy": "evoprompting",
        "lm": "grammar",
        "seed": 3,
        "counts": {
            "proposed": 12,
            "rejected_static": 2,
            "rejected_trace": 1,
            "duplicate_text": 1,
            "duplicate_graph": 1,
            "inert": 1,
            "over_budget": 1,
            "failed": 3,
            "stopped": 0,
            "scored": 1,
        },
        "seeds_best": {
            "program": "seed0",
            "fitness": -1200.0,
            "metrics": {"num_params": 4800, "val_error": 0.25, "fitness": -1200.0},
        },
        "best": {
            "program": "p6",
            "fitness": -906.0,
            "metrics": {"fitness": -906.0, "val_error": 0.2},
        },
        "ledger": {
            "lm_seconds": 6.0,
            "lm_prompt_tokens": 120,
            "lm_completion_tokens": 60,
            "trace_seconds": 2.75,
            "compile_seconds": 0.0,
            "train_seconds": 4.0,
            "score_seconds": 1.375,
            "wall_seconds": 60.0,
        },
    }


def test_an_event_with_a_cost_counts_in_the_ledger():
    with Store.in_memory(IDENTITY) as store:
        fill(store)
        cost = dataclasses.asdict(Cost(train_seconds=10.0, score_seconds=1.0))
        store.record_event("selection", {"candidate": 0, "cost": cost})
        ledger = summarise(store)["ledger"]
    assert ledger["train_seconds"] == 14.0
    assert ledger["score_seconds"] == 2.375


def test_write_does_both_files(tmp_path):
    with Store.open(tmp_path, IDENTITY) as store:
        fill(store)
        assert write(store) == summarise(store)
        assert (tmp_path / "summary.json").exists()
        assert "p6" in (tmp_path / "best.py").read_text()
        write(store, best=1)
        assert "seed1" in (tmp_path / "best.py").read_text()
    with Store.in_memory(IDENTITY) as store:
        assert write(store)["best"] is None


def test_an_empty_run_has_a_summary():
    with Store.in_memory({}) as store:
        summary = summarise(store)
    assert summary["best"] is None and summary["seeds_best"] is None
    assert set(summary["counts"].values()) == {0}
    assert set(summary["ledger"].values()) == {0}


def test_a_fitness_that_is_no_number_never_wins(tmp_path):
    with Store.open(tmp_path, IDENTITY) as store:
        for index, fitness in enumerate((math.nan, math.inf, -1.0, -1.0)):
            metrics = {"fitness": fitness, "val_error": math.nan}
            store.record_candidate(
                Candidate(
                    index, f"p{index}", "", evaluation=Evaluation("scored", "scored", "", metrics)
                )
            )
        write_summary(tmp_path, store)
    best = json.loads((tmp_path / "summary.json").read_text())["best"]
    assert best == {
        "program": "p2",
        "fitness": -1.0,
        "metrics": {"fitness": -1.0, "val_error": None},
    }


def test_best_is_a_program_with_a_heading(tmp_path):
    with Store.open(tmp_path / "NAME", IDENTITY) as store:
        assert write_best(store.folder, store) is None
        fill(store)
        path = write_best(store.folder, store)
    text = path.read_text()
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(SOURCE))
    assert ast.get_docstring(ast.parse(text)) == "What it computes."
    heading = text[: text.index('"""')]
    assert all(line.startswith("#") for line in heading.splitlines() if line)
    for words in ("p6", "NAME", "bfs", "fitness: -906", "val_error: 0.2"):
        assert words in heading


def test_a_file_is_never_half_written(tmp_path, monkeypatch):
    with Store.open(tmp_path, IDENTITY) as store:
        fill(store)
        write_summary(tmp_path, store)
        before = (tmp_path / "summary.json").read_text()
        store.add_seconds(1.0)

        def full(descriptor):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full)
            with pytest.raises(UserError, match="the disk is full"):
                write_summary(tmp_path, store)
        assert (tmp_path / "summary.json").read_text() == before
        write_summary(tmp_path, store)
    assert json.loads((tmp_path / "summary.json").read_text())["ledger"]["wall_seconds"] == 61.0
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_program_that_was_stopped_is_best_only_where_nothing_was_trained_in_full():
    def evaluated(stage, fitness, **planned):
        metrics, budget = {"fitness": fitness}, {"steps": 5, **planned}
        return Evaluation("scored", stage, "", metrics, budget=budget)

    with Store.in_memory(IDENTITY) as store:
        stopped = evaluated("stopped", -1.0, planned_steps=10)
        store.record_candidate(Candidate(0, "s", SOURCE, evaluation=stopped))
        assert store.best().index == 0
        store.record_candidate(Candidate(1, "p", SOURCE, evaluation=evaluated("scored", -9.0)))
        store.record_candidate(Candidate(2, "q", SOURCE, evaluation=evaluated("scored", -8.0)))
        assert store.best().index == 2
