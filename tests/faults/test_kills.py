"""`tests.faults.kills` in its short forms; the long ones are among the slow tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "flags",
    [
        ("--run=designs", "--kills=6"),
        ("--run=lapt", "--kills=6", "--gentle"),
        pytest.param(("--run=designs", "--kills=200"), marks=pytest.mark.slow),
        pytest.param(("--run=lapt", "--kills=200"), marks=pytest.mark.slow),
        pytest.param(("--run=toy", "--kills=10"), marks=pytest.mark.slow),
        pytest.param(("--run=toy", "--kills=5", "--gentle"), marks=pytest.mark.slow),
        pytest.param(("--run=jail", "--kills=20", "--victim=warm"), marks=pytest.mark.slow),
        pytest.param(("--run=jail", "--kills=20", "--victim=keeper"), marks=pytest.mark.slow),
        pytest.param(("--run=network", "--kills=10", "--victim=worker"), marks=pytest.mark.slow),
        pytest.param(("--run=clrs", "--kills=3"), marks=pytest.mark.slow),
        pytest.param(("--run=clrs", "--kills=3", "--gentle"), marks=pytest.mark.slow),
        pytest.param(("--run=clrs", "--kills=3", "--victim=worker"), marks=pytest.mark.slow),
    ],
    ids=lambda flags: " ".join(flags).replace("--", ""),
)
def test_a_disturbed_search_ends_as_the_undisturbed_one(flags, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.kills", *flags, f"--home={tmp_path}", "--seed=5"],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ": 0 differ" in done.stdout.splitlines()[-1]
