"""launch.measure_coverage in the smallest form that runs all of its steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "launch.measure_coverage", *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_launch_measure_coverage(tmp_path):
    flags = [
        *("--problem=clrs", "--task=bfs", "--seeds=pgn", "--hidden_size=8", "--batch_size=2"),
        *("--train_lengths=4", "--validation_length=4", "--cache=none"),
        *("--proposals=4", "--prompts_per_round=2", "--random_networks=2"),
    ]
    printed = run(*flags, f"--out={tmp_path}")
    result = json.loads((tmp_path / "coverage.json").read_text())
    traced = (tmp_path / "programs.jsonl").read_text()
    first, last = result["niches_reached_after_each_round"]
    assert printed.splitlines()[-1] == f"bfs-processor: {last} of 100 niches in 4 proposals"
    assert first >= 1 and 2 <= last == len(result["elites"]) <= 5
    assert result["descriptors"] == ["live_params", "flops"]
    assert result["proposals"] == sum(result["stages"].values()) == 4
    assert 1 <= len(traced.splitlines()) <= 5
    assert run(*flags, f"--out={tmp_path}") == printed
    assert (tmp_path / "programs.jsonl").read_text() == traced  # nothing was traced again
