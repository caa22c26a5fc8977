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


def test_launch_measure_grammar(tmp_path):
    printed = run("measure_grammar", f"--out={tmp_path}", "--count=3", "--slots=triplet")
    assert "new fingerprint" in printed
    fates = json.loads((tmp_path / "triplet-fates.json").read_text())
    assert len(fates) == 3
    assert all(fate["traced"] or fate["reason"] for fate in fates)
