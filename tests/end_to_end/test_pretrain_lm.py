"""launch.pretrain_lm and launch.measure_lm in the smallest form that runs all of their steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

ROOT = Path(__file__).resolve().parents[2]


def run(script, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", f"launch.{script}", *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if not code else done.stderr


def test_a_model_is_trained_gone_on_with_and_measured(tmp_path):
    flags = [
        *(f"--out={tmp_path}", "--chunks=network:1", "--vocabulary=400", "--epochs=1"),
        *("--layers=1", "--width=16", "--batch_tokens=4096"),
    ]
    stopped = run("pretrain_lm", *flags, "--minutes=0.0001")
    assert stopped.endswith("stopped after --minutes=0.0001: the same command goes on\n")
    assert (tmp_path / "checkpoint.pt").exists() and not (tmp_path / "model").exists()
    assert "parameters" in run("pretrain_lm", *flags)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        path.name for path in (tmp_path / "model").iterdir()
    }
    printed = run(
        "measure_lm",
        *(f"--lm=hf:{tmp_path}/model", "--prompt=edits", f"--work={tmp_path}", "--slots=network"),
        *("--prompts=1", "--samples=2", f"--result={tmp_path}/figures.json"),
        "--max_new_tokens=40",
    )
    assert "Spearman, parameters asked and got" in printed
    figures = json.loads((tmp_path / "figures.json").read_text())["network"]
    assert figures["samples"] == 2 and figures["trace"] == 0  # it knows nothing yet
    assert sum(figures["reasons"].values()) == 2


def test_bad_flags_are_told_in_one_line(tmp_path):
    told = run("pretrain_lm", f"--out={tmp_path}", "--chunks=cell:3", code=2)
    assert "--chunks takes SLOT:NUMBER of processor, triplet, network; got 'cell:3'" in told
    assert "--work" in run("measure_lm", code=2)
