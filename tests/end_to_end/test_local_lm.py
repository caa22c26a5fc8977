"""A search by a local language model, run as a user runs it, and its replay."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.made_up import write_table

pytest.importorskip("torch")
pytest.importorskip("transformers")

ROOT = Path(__file__).parents[2]


def search(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "launch.search", *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that knows nothing: what it writes is refused, counted and kept."""
    from tests.proposers import tiny_lm

    return tiny_lm.write(tmp_path_factory.mktemp("model"))


def test_a_local_model_searches_and_its_run_can_be_replayed(model, tmp_path):
    write_table(tmp_path / "cifar10.json")
    flags = [
        *("--problem=nasbench201", f"--table={tmp_path}/cifar10.json", "--max_error=1"),
        *("--rounds=2", "--prompts_per_round=1", "--samples_per_prompt=4", "--temperatures=0.2"),
    ]
    lm = [f"--lm=hf:{model}", "--max_new_tokens=40", "--lm_batch=4", "--tune_lm"]
    first = search(*flags, *lm, f"--run={tmp_path}/first")
    assert first.returncode == 0, first.stderr
    assert "8 proposed" in first.stdout
    again = search(
        f"--flagfile={tmp_path}/first/flags.txt",
        f"--lm=replay:{tmp_path}/first",
        f"--run={tmp_path}/again",
    )
    assert again.returncode == 0, again.stderr
    one, two = (
        json.loads((tmp_path / name / "summary.json").read_text()) for name in ("first", "again")
    )
    assert one["counts"] == two["counts"] and one["best"] == two["best"]
    assert one["counts"]["proposed"] == 8
    assert one["ledger"]["lm_completion_tokens"] > 0 < one["ledger"]["lm_prompt_tokens"]
    assert two["ledger"]["lm_seconds"] < 0.2 * one["ledger"]["lm_seconds"]


def test_a_model_that_is_not_there_gets_one_line(tmp_path):
    done = search("--task=bfs", "--lm=hf:/no/such/model", f"--run={tmp_path}/run")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "--lm=hf:/no/such/model: no model there, there is no config.json" in line
    assert not (tmp_path / "run").exists()
