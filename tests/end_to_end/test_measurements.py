"""The measuring scripts, in the smallest form that runs all of their steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ON_CPU = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
}


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", f"launch.{script}", *arguments],
        cwd=ROOT,
        env=ON_CPU,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_launch_measure_fidelity(tmp_path):
    flags = [
        *("--task=bfs", "--programs=3", "--factor=2", "--train_steps=2", "--validate_every=1"),
        *("--hidden_size=8", "--batch_size=2", "--train_lengths=4", "--validation_length=4"),
        *("--train_count=8", "--validation_count=4", "--cache=none", "--platform=cpu"),
    ]
    out = tmp_path / "out"
    first = run("measure_fidelity", *flags, f"--out={out}")
    assert "rank correlation" in first.splitlines()[-1]
    result = json.loads((out / "fidelity.json").read_text())
    assert len(result["rows"]) == 3 and -1 <= result["rank_correlation"] <= 1
    assert len((out / "trainings.jsonl").read_text().splitlines()) == 2 * 3
    again = run("measure_fidelity", *flags, f"--out={out}")
    assert again.splitlines()[-1] == first.splitlines()[-1]


def test_launch_measure_rungs(tmp_path):
    flags = [
        *("--task=bfs", "--programs=10", "--orders=20", "--train_steps=3", "--validate_every=1"),
        *("--seeds=deep_sets,mpnn", "--rungs=1", "--prompts_per_round=1", "--samples_per_prompt=3"),
        *("--hidden_size=8", "--batch_size=2", "--train_lengths=4", "--validation_length=4"),
        *("--train_count=8", "--validation_count=8", "--cache=none", "--platform=cpu"),
        *("--least_at_rung=2",),
    ]
    out = tmp_path / "out"
    first = run("measure_rungs", *flags, f"--out={out}")
    assert first.splitlines()[-1].startswith("the search's own: by fitness, rungs 1, keep 0.5: ")
    result = json.loads((out / "rungs.json").read_text())
    assert (result["programs"], result["seeds"], len(result["top_fifth"])) == (10, 2, 2)
    assert 0 < result["search"]["saved"] < 2 / 3 and 0 <= result["search"]["share_cut"] <= 1
    for line in result["trainings"]:  # the score is the best look, the last one after 3 steps
        assert line["val_accuracy_at_1"] <= line["val_accuracy_at_2"] <= line["val_accuracy"]
    again = run("measure_rungs", *flags, f"--out={out}")
    assert again.splitlines() == first.splitlines()[10:]
    assert len((out / "trainings.jsonl").read_text().splitlines()) == 10


def test_launch_measure_grammar(tmp_path):
    printed = run("measure_grammar", f"--out={tmp_path}", "--count=3", "--slots=triplet")
    assert "new fingerprint" in printed
    fates = json.loads((tmp_path / "triplet-fates.json").read_text())
    assert len(fates) == 3
    assert all(fate["traced"] or fate["reason"] for fate in fates)
