"""Scores kept from run to run: found under their full key only, safe with several writers."""

import dataclasses
import math
import multiprocessing
import sqlite3

import pytest

from evo_clrs.errors import UserError
from evo_clrs.records import Cost, Evaluation
from evo_clrs.store import scores
from evo_clrs.store.scores import DATABASE, ScoreKey, Scores

KEY = ScoreKey("print", "problem", "validation", (0, 1), "cpu", "0.10.2")


def scored(accuracy):
    return Evaluation(
        status="scored",
        stage="scored",
        metrics={"val_accuracy": accuracy, "val_error": 1 - accuracy},
        cost=Cost(train_seconds=1.5),
        seeds=(0, 1),
        budget={"steps": 4},
    )


def test_a_score_comes_back_as_it_was(tmp_path):
    with Scores.open(tmp_path) as kept:
        kept.keep(KEY, scored(0.1 + 0.2))
    with Scores.open(tmp_path) as kept:
        assert kept.find(KEY) == scored(0.1 + 0.2)
        assert len(kept) == 1


def test_metrics_that_are_not_finite_come_back_too(tmp_path):
    with Scores.open(tmp_path) as kept:
        kept.keep(KEY, scored(math.inf))
        found = kept.find(KEY)
    assert found is not None and dict(found.metrics) == {
        "val_accuracy": math.inf,
        "val_error": -math.inf,
    }


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("fingerprint", "another"),
        ("problem", "another"),
        ("split", "selection"),
        ("seeds", (0,)),
        ("platform", "gpu"),
        ("jax", "0.11.0"),
    ],
)
def test_a_key_that_differs_anywhere_finds_nothing(tmp_path, field, other):
    with Scores.open(tmp_path) as kept:
        kept.keep(KEY, scored(0.5))
        assert kept.find(dataclasses.replace(KEY, **{field: other})) is None


def test_the_first_score_stays(tmp_path):
    with Scores.open(tmp_path) as first, Scores.open(tmp_path) as second:
        first.keep(KEY, scored(0.5))
        second.keep(KEY, scored(0.75))
        assert first.find(KEY) == second.find(KEY) == scored(0.5)


def _write(folder, writer, count):
    with Scores.open(folder) as kept:
        for number in range(count):
            kept.keep(dataclasses.replace(KEY, seeds=(number,)), scored(writer))


def test_processes_that_open_and_write_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    folder = tmp_path / "made" / "by whoever comes first"
    writers = [context.Process(target=_write, args=(folder, n, 50)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    with Scores.open(folder) as kept:
        assert len(kept) == 50
        found = [kept.find(dataclasses.replace(KEY, seeds=(n,))) for n in range(50)]
    assert {score.metrics["val_accuracy"] for score in found if score} <= {0, 1, 2}
    assert None not in found


def test_a_damaged_database_is_told_of(tmp_path):
    (tmp_path / DATABASE).write_bytes(b"not a database at all" * 1000)
    with pytest.raises(UserError, match=r"scores.sqlite is damaged: remove it"):
        Scores.open(tmp_path)


def test_another_programs_database_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / DATABASE) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(UserError, match="another program's database"):
        Scores.open(tmp_path)


def test_another_versions_database_is_left_alone(tmp_path):
    Scores.open(tmp_path).close()
    with sqlite3.connect(tmp_path / DATABASE) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(UserError, match="format 99, not 1"):
        Scores.open(tmp_path)


def test_a_folder_that_is_a_file_is_told_of(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot be used .*--scores=none"):
        Scores.open(tmp_path / "taken")


def test_a_locked_database_costs_a_warning_and_the_score_only(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(scores, "_BUSY_SECONDS", 0.05)
    scores._warn_once.cache_clear()
    with Scores.open(tmp_path) as kept:
        with sqlite3.connect(tmp_path / DATABASE, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            kept.keep(KEY, scored(0.5))
            kept.keep(KEY, scored(0.5))
        other.close()
        assert [record.getMessage() for record in caplog.records] == [
            f"{tmp_path / DATABASE}: database is locked: scores are neither found nor kept here"
        ]
        assert kept.find(KEY) is None
        kept.keep(KEY, scored(0.25))
        assert kept.find(KEY) == scored(0.25)


def test_an_entry_that_cannot_be_read_counts_as_unknown(tmp_path, caplog):
    scores._warn_once.cache_clear()
    with Scores.open(tmp_path) as kept:
        kept.keep(KEY, scored(0.5))
        for damaged in ("{", "[]", "{}", '{"cost": {"pounds": 1}, "seeds": []}'):
            with sqlite3.connect(tmp_path / DATABASE) as other:
                other.execute("UPDATE scores SET evaluation = ?", (damaged,))
            other.close()
            assert kept.find(KEY) is None
    assert "it is measured again" in caplog.text
