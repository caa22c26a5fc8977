"""The training script, run as a user runs it, on real CLRS data in small."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evo_clrs import programs, results
from evo_clrs.report.text import number
from tests.report.events import scalars

ROOT = Path(__file__).resolve().parents[2]
ON_CPU = {**os.environ, "JAX_PLATFORMS": "cpu"}
COMMAND = [sys.executable, "-m", "launch.train"]
TINY = [
    *("--train_steps=40", "--validate_every=10", "--hidden_size=8", "--batch_size=2"),
    *("--train_lengths=4", "--validation_length=4", "--test_length=6", "--train_count=16"),
    *("--validation_count=4", "--test_count=4", "--nomultiply_counts"),
    *("--platform=cpu", "--cache=none"),
]
TITLE = "deep_sets-bfs-seed0"


def train(*arguments, timeout=400):
    return subprocess.run(
        [*COMMAND, *arguments, *TINY],
        cwd=ROOT,
        env=ON_CPU,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def told(folder):
    """What results say but for times and the command line, by program, task and seed."""
    found = {}
    for result in results.latest(results.read(folder / results.FILE)):
        entry = json.loads(results.to_line(result))
        for times in ("seconds", "finished", "command"):
            del entry[times]
        found[result.key] = entry
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "out"
    done = train("deep_sets", "--tasks=bfs,minimum", "--seeds=0", f"--out={folder}")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_training_ends_with_its_scores_on_screen_and_in_files(finished):
    folder, done = finished
    first, second = results.read(folder / results.FILE)
    assert [(r.task, r.status, r.steps) for r in (first, second)] == [
        ("bfs", "scored", 40),
        ("minimum", "scored", 40),
    ]
    assert done.stdout.splitlines()[0].startswith("deep_sets on bfs from seed 0: validation ")
    assert done.stdout.splitlines()[0].endswith(f"test {number(first.test)}")
    assert done.stdout.splitlines()[-1] == f"results: {folder / results.FILE}"
    assert "2 of 2 trainings" in done.stderr
    assert first.command.startswith("python -m launch.train deep_sets --tasks=bfs,minimum")
    assert len((folder / "test_readings.jsonl").read_text().splitlines()) == 2


def test_losses_and_scores_are_in_event_files(finished):
    folder, _ = finished
    found = scalars(folder / "tensorboard" / TITLE)
    assert sorted(found["loss"]) == list(range(1, 41))
    assert sorted(found["validation/score"]) == [10, 20, 30, 40]
    (first, _) = results.read(folder / results.FILE)
    assert max(found["validation/score"].values()) == pytest.approx(first.validation)


def test_what_is_finished_is_shown_and_not_repeated(finished):
    folder, first = finished
    before = (folder / results.FILE).read_bytes()
    again = train("deep_sets", "--tasks=bfs,minimum", "--seeds=0", f"--out={folder}")
    assert again.returncode == 0 and again.stdout == first.stdout
    assert (folder / results.FILE).read_bytes() == before


def begun(folder, step, process):
    """Waits until a checkpoint after so many steps is there."""
    place = folder / "checkpoints" / TITLE
    for _ in range(3000):
        steps = (
            [int(p.name) for p in place.iterdir() if p.name.isdecimal()] if place.exists() else []
        )
        if steps and max(steps) >= step:
            return
        assert process.poll() is None, "it ended too soon"
        time.sleep(0.02)
    raise AssertionError("the training did not begin")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_training_that_ends_in_the_middle_goes_on_to_the_same_result(finished, tmp_path, how):
    whole, _ = finished
    command = ["deep_sets", "--tasks=bfs", f"--out={tmp_path}", "--checkpoint_seconds=0"]
    process = subprocess.Popen(
        [*COMMAND, *command, *TINY],
        cwd=ROOT,
        env=ON_CPU,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        begun(tmp_path, 13, process)
        process.send_signal(how)
        _, stderr = process.communicate(timeout=100)
    finally:
        process.kill()
    if how == signal.SIGINT:
        assert process.returncode == 130
        last = stderr.strip().splitlines()[-1]
        assert last.startswith("interrupted: 0 of 1 trainings are finished")
        assert f"to go on: python -m launch.train deep_sets --tasks=bfs --out={tmp_path}" in last
    assert results.read(tmp_path / results.FILE) == []
    done = train(*command)
    assert done.returncode == 0, done.stderr
    (key,) = told(tmp_path)
    assert told(tmp_path)[key] == told(whole)[key]


@pytest.mark.slow
def test_the_time_is_over_and_the_same_command_goes_on(finished, tmp_path):
    whole, _ = finished
    command = ["deep_sets", "--tasks=bfs", f"--out={tmp_path}"]
    stopped = train(*command, "--max_seconds=0.1")
    assert stopped.returncode == 0, stopped.stderr
    assert stopped.stdout.startswith("stopped after --max_seconds=0.1: 0 of 1 trainings")
    done = train(*command)
    assert done.returncode == 0, done.stderr
    (key,) = told(tmp_path)
    assert told(tmp_path)[key] == told(whole)[key]


@pytest.mark.slow
def test_a_failed_training_leaves_the_others_their_turn(tmp_path):
    source = programs.load("processor")["deep_sets"].replace(
        "        return node, None", "        return node / 0.0, None"
    )
    (tmp_path / "mine.py").write_text(source)
    done = train(f"{tmp_path}/mine.py", "deep_sets", "--tasks=bfs", f"--out={tmp_path}/out")
    assert done.returncode == 1
    assert "mine on bfs from seed 0: not scored: loss is not finite at step 1" in done.stdout
    assert "deep_sets on bfs from seed 0: validation" in done.stdout
    assert done.stderr.strip().splitlines()[-1] == "error: 1 of 2 trainings failed"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "name a program"),
        (["deepsets"], 1, "program 'deepsets' is neither a file, nor RUN:PROGRAM"),
        (["deep_sets", "--tasks=bsf"], 1, "did you mean one of: bfs"),
        (["deep_sets", "--seeds=x"], 2, "--seeds=x"),
        (["deep_sets", "--validate_every=41"], 2, "ends before the first evaluation"),
        (["deep_sets", "--max_seconds=-1"], 1, "--max_seconds must be 0 or more"),
        (["deep_sets", "--platform=abacus"], 1, "platform: expected one of"),
        (["deep_sets", "--slot=triplet"], 2, "slot"),
        (["deep_sets", "--out=setup.py"], 1, "setup.py: this is a file, not a folder"),
    ],
)
def test_bad_input_gets_one_line(arguments, code, message):
    command = [*COMMAND, *TINY, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=ON_CPU, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ") and message in line
