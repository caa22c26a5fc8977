"""launch.measure_tuning in the smallest form that runs all of its steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evo_clrs import programs
from evo_clrs.proposers.pretraining import means as family

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

ROOT = Path(__file__).resolve().parents[2]


def test_tuning_makes_the_family_likelier_than_it_was(tmp_path):
    from tests.proposers import tiny_lm

    model = tiny_lm.write(tmp_path / "model")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "launch.measure_tuning", f"--lm=hf:{model}", "--prompt=edits"),
            *("--repeats=1", "--tuned_on=4", "--held_out=2", "--samples=1", "--max_new_tokens=8"),
            f"--result={tmp_path}/figures.json",
        ],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (figures,) = json.loads((tmp_path / "figures.json").read_text())
    assert figures["loss_tuned"] < figures["loss_untuned"]
    assert figures["share_untuned"] == figures["share_tuned"] == 0  # it cannot write a program


def test_the_family_is_small_and_takes_means_alone():
    packaged = programs.load("processor")
    assert not any(map(family.belongs, packaged.values()))
    means = packaged["mpnn"].replace("jnp.max(", "jnp.mean(")
    assert not family.belongs(means)  # of the right kind, and too large
    small = means.replace("hk.nets.MLP([self.out_size, self.out_size])", "hk.Linear(self.out_size)")
    assert family.belongs(small)
    assert not family.belongs(small.replace("jnp.mean(", "jnp.sum("))
