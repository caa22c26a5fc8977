"""The data set's baselines: trained in their authors' order, tested on the record."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from evo_clrs.jail.jail import Jail
from evo_clrs.problems.mnist1d import baselines
from evo_clrs.problems.mnist1d.data import Samples
from evo_clrs.problems.mnist1d.trial import draw_in_order

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = [sys.executable, "-m", "launch.mnist1d_baselines"]


def test_signals_come_in_the_same_order_again_and_again():
    pool = Samples(np.arange(12, dtype=np.float32).reshape(6, 2), np.arange(6))
    classes = [draw_in_order(jnp.int32(step), pool, 4).classes.tolist() for step in range(4)]
    assert classes == [[0, 1, 2, 3], [4, 5, 0, 1], [2, 3, 4, 5], [0, 1, 2, 3]]


def test_logistic_regression_is_soon_where_its_authors_have_it():
    """Within 4 points of the published 31.5 % after 500 of 6,000 steps; chance is 10 %."""
    readings = []
    short = dataclasses.replace(baselines.TRAINING, steps=500)
    with Jail() as jail:
        result = baselines.reproduce("linear", 1, jail, readings.append, short)
    assert abs(result.mean - baselines.PUBLISHED["linear"]) < 4
    assert result.parameters == 410
    assert readings == [1000]


def test_launch_mnist1d_baselines(tmp_path):
    out = tmp_path / "out.json"
    flags = ["--networks=linear", "--seeds=2", "--train_steps=3", f"--out={out}"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        SCRIPT + flags, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    head, line = done.stdout.splitlines()
    assert head.split()[:4] == ["network", "parameters", "accuracy", "published"]
    assert line.split()[0] == "linear" and "31.5" in line.split()
    written = json.loads(out.read_text())
    (result,) = written["results"]
    assert len(result["accuracies"]) == 2 and result["published"] == 31.5
    assert written["test_readings"] == [{"network": "linear", "split": "test", "signals": 1000}]
    assert written["training"]["batch_size"] == 100


def test_an_unknown_network_is_told(tmp_path):
    done = subprocess.run(
        [*SCRIPT, "--networks=lstm", f"--out={tmp_path / 'out.json'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2
    assert "--networks of: linear, mlp, cnn, gru" in done.stderr
