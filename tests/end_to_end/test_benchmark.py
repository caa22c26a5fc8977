"""launch.benchmark in the smallest form that runs both sides."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--hidden_size=8", "--batch_size=2", "--length=4", "--block_seconds=0.05", "--blocks=2")


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "launch.benchmark", *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_times_both_sides_and_keeps_what_it_measured(tmp_path):
    done = run(*TINY, "--tasks=bfs", "--starts=1", f"--out={tmp_path}")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "benchmark.json").read_text())
    (row,) = found["tasks"]
    ours, theirs = row["temporary_mib"]
    assert row["task"] == "bfs" and 0 < ours < theirs
    for name in ("first_step_ratio", "step_ratio", "memory_ratio"):
        assert row[name] > 0
    assert "| bfs |" in (tmp_path / "benchmark.md").read_text()
    assert "| bfs |" in done.stdout


def test_unknown_tasks_are_named():
    done = run("--tasks=bsf", "--out=nowhere")
    assert done.returncode in (1, 2)
    assert "did you mean one of: bfs" in done.stderr
