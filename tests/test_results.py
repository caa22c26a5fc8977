"""Result lines: what is written is read, and nothing damaged is taken for a result."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo_clrs import results
from evo_clrs.errors import UserError
from evo_clrs.results import Result

SCORED = Result(
    program="0123456789abcdef",
    name="triplet_gmpnn",
    slot="processor",
    task="bfs",
    seed=0,
    status="scored",
    steps=10_000,
    best_step=8_450,
    validation=0.99,
    test=0.98,
    test_outputs={"pi": 0.98},
    parameters=523_963,
    live_parameters=523_963,
    fingerprint="fedcba",
    options={"train_steps": 10_000, "train_lengths": [4, 7, 11, 13, 16]},
    full_protocol=True,
    device="cpu",
    platform="cpu",
    precision="float32",
    versions={"jax": "0.10.2"},
    seconds={"compile": 1.5, "train": 20.0, "score": 0.5, "wall": 23.0},
    command="python -m launch.train triplet_gmpnn --tasks=bfs --seeds=0",
    finished="2026-01-02T03:04:05+00:00",
)
# As another tool may write it: the fields of the format, none left out, whole numbers for floats.
LINE = (
    '{"program": "ab", "name": "mine", "slot": "triplet", "task": "dfs", "seed": 3, '
    '"status": "failed", "reason": "loss is not finite at step 6", "steps": 5, "best_step": 0, '
    '"validation": null, "test": null, "test_outputs": {}, "parameters": 7, '
    '"live_parameters": 7, "inert": false, "fingerprint": "f", "options": {}, '
    '"full_protocol": false, "device": "cpu", "platform": "cpu", "precision": "float32", '
    '"versions": {}, "xla_flags": "", "seconds": {"compile": 1, "train": 2}, "command": "x", '
    '"finished": "now"}\n'
)


def test_a_line_of_the_format_is_read():
    found = results.from_line(LINE)
    assert found.key == ("ab", "dfs", 3)
    assert found.reason == "loss is not finite at step 6"
    assert found.validation is None and found.test is None
    assert found.seconds == {"compile": 1.0, "train": 2.0}


def test_a_line_is_one_json_object_with_every_field():
    line = results.to_line(SCORED)
    assert line.endswith("}\n") and line.count("\n") == 1
    assert set(json.loads(line)) == {field.name for field in dataclasses.fields(Result)}


@given(
    reason=st.text(),
    seed=st.integers(0, 2**32 - 1),
    validation=st.none() | st.floats(0, 1),
    seconds=st.dictionaries(st.text(), st.floats(0, 1e9)),
)
def test_what_is_written_is_read(reason, seed, validation, seconds):
    result = dataclasses.replace(
        SCORED,
        status="failed",
        reason=reason,
        seed=seed,
        validation=validation,
        seconds=seconds,
    )
    line = results.to_line(result)
    assert line.count("\n") == 1
    assert results.from_line(line) == result


def test_a_file_keeps_results_in_order(tmp_path):
    path = tmp_path / "results.jsonl"
    assert results.read(path) == []
    second = dataclasses.replace(SCORED, seed=1)
    results.append(path, SCORED)
    results.append(path, second)
    assert results.read(path) == [SCORED, second]


def test_a_line_that_a_kill_cut_off_is_left_out_and_written_over(tmp_path):
    path = tmp_path / "results.jsonl"
    results.append(path, SCORED)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert results.read(path) == [SCORED]
    second = dataclasses.replace(SCORED, seed=1)
    results.append(path, second)
    assert results.read(path) == [SCORED, second]


def test_the_last_line_of_a_training_holds():
    begun = dataclasses.replace(SCORED, status="incomplete", steps=500, test=None)
    other = dataclasses.replace(SCORED, task="dfs")
    assert results.latest([begun, other, SCORED]) == (SCORED, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "0"}, "seed: expected int, got '0'"),
        ({"seed": True}, "seed: expected int, got True"),
        ({"status": "done"}, "status: expected one of scored, failed, incomplete"),
        ({"test": None}, "test: expected a number, since it is scored"),
        ({"test": 1.5}, "test: expected 0 to 1, got 1.5"),
        ({"test": float("nan")}, "test: expected a finite number"),
        ({"test_outputs": [1]}, "test_outputs: expected an object, got list"),
        ({"test_outputs": {"pi": "high"}}, "test_outputs pi: expected float"),
        ({"task": None}, "task: expected str, got None"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, change, message):
    path = tmp_path / "results.jsonl"
    entry = {**json.loads(results.to_line(SCORED)), **change}
    path.write_text(results.to_line(SCORED) + json.dumps(entry) + "\n")
    with pytest.raises(UserError, match="is damaged in line 2") as error:
        results.read(path)
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["[]\n", "{\n", '{"program": "ab"}\n', "\n"])
def test_what_is_no_result_is_told(tmp_path, text):
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match="is damaged in line 1 .*: take the line out"):
        results.read(path)


def test_a_number_that_is_not_finite_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.to_line(dataclasses.replace(SCORED, seconds={"wall": float("inf")}))


def test_a_file_that_cannot_be_written_or_read_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be written: Is a directory"):
        results.append(tmp_path, SCORED)
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        results.read(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\n")
    with pytest.raises(UserError, match="cannot be read: it is not text"):
        results.read(tmp_path / "bytes")
