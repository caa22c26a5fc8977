"""Every strategy and control, by changing one flag, on problems of every kind."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evo_clrs import strategies
from tests.made_up import write_table

ROOT = Path(__file__).parents[2]
BUDGET = ("--rounds=3", "--prompts_per_round=4", "--samples_per_prompt=2", "--survivors=3")
TINY = {
    "clrs": (
        *("--task=bfs", "--train_steps=4", "--validate_every=4", "--hidden_size=8"),
        *("--train_lengths=4", "--validation_length=4", "--validation_count=4", "--batch_size=2"),
        *("--selection_count=4", "--seeds=pgn,gmpnn", "--max_error=1.1"),
    ),
    "mnist1d": ("--train_steps=20", "--validate_every=20", "--seeds=linear,mlp", "--max_error=1.1"),
    "cells": (
        *("--images=digits", "--width=2", "--cells_per_stage=1", "--epochs=1", "--scores=none"),
        *("--seeds=conv1x1", "--max_error=1.1"),
    ),
}


def search(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "launch.search", "--lm=grammar", *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two tables of made-up accuracies: one to search, one to learn from."""
    folder = tmp_path_factory.mktemp("tables")
    for name, scale in (("cifar10", 1.0), ("imagenet16-120", 0.5)):
        write_table(folder / f"{name}.json", scale)
    return folder


@pytest.mark.parametrize("strategy", strategies.REGISTRY)
def test_every_strategy_searches_a_table_within_the_same_budget(strategy, tables, tmp_path):
    done = search(
        "--problem=nasbench201",
        f"--table={tables}/cifar10.json",
        f"--strategy={strategy}",
        f"--run={tmp_path}/run",
        *BUDGET,
        *([f"--source={tables}/imagenet16-120.json"] if strategy == "lapt" else []),
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["strategy"] == strategy
    assert summary["counts"]["proposed"] == 3 * 4 * 2
    assert "winner: " in done.stdout


@pytest.mark.parametrize(
    "options",
    [("--islands=2",), ("--schedule=steady",), ("--islands=2", "--schedule=steady", "--lag=3")],
    ids=["islands", "steady", "both"],
)
def test_islands_and_the_steady_schedule_are_flags(options, tables, tmp_path):
    for strategy in ("evoprompting", "regularized_evolution"):
        run = tmp_path / strategy
        table = f"--table={tables}/cifar10.json"
        named = (f"--strategy={strategy}", f"--run={run}")
        done = search("--problem=nasbench201", table, *named, *BUDGET, *options)
        assert done.returncode == 0, done.stderr
        assert json.loads((run / "summary.json").read_text())["counts"]["proposed"] == 24


@pytest.mark.parametrize(
    ("problem", "strategy"),
    [
        pytest.param("mnist1d", "llmatic"),
        pytest.param("cells", "regularized_evolution"),
        *(
            pytest.param(problem, strategy, marks=pytest.mark.slow)
            for problem, strategy in itertools.product(TINY, strategies.REGISTRY)
            if strategy != "lapt"
            and (problem, strategy)
            not in (("mnist1d", "llmatic"), ("cells", "regularized_evolution"))
        ),
    ],
)
def test_every_strategy_searches_every_trained_problem(problem, strategy, tmp_path):
    done = search(
        f"--problem={problem}",
        f"--strategy={strategy}",
        f"--run={tmp_path}/run",
        *("--rounds=2", "--prompts_per_round=2", "--samples_per_prompt=1"),
        *("--finalists=1", "--selection_trainings=1", "--platform=cpu", "--workers=2"),
        *TINY[problem],
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["counts"]["scored"] > 0


def test_principles_need_a_table_to_learn_from(tmp_path):
    done = search(
        "--problem=mnist1d", "--strategy=lapt", f"--run={tmp_path}/run", "--source=x.json"
    )
    assert done.returncode == 1
    assert "learns from a table of designs, and problem mnist1d has none" in done.stderr
