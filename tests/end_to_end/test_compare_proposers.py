"""launch.compare_proposers in the smallest form that runs all of its steps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = """--problem=mnist1d
--rounds=4
--prompts_per_round=1
--samples_per_prompt=2
--seeds=linear,mlp
--survivors=2
--max_error=1
--train_steps=4
--validate_every=4
--finalists=1
--selection_trainings=1
"""


def run(*arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "launch.compare_proposers", *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def test_arms_are_run_once_and_compared_at_the_budget(tmp_path):
    preset = tmp_path / "small.flags"
    preset.write_text(SMALL)
    flags = [
        *(f"--out={tmp_path}/out", f"--problems={preset}", "--arms=grammar,grammar_best_of_n"),
        *("--run_seeds=1", "--budget=2"),
    ]
    printed = run(*flags)
    assert "small, grammar_best_of_n, seed 0" in printed
    lines = (tmp_path / "out" / "runs.jsonl").read_text().splitlines()
    assert [json.loads(line)["arm"] for line in lines] == ["grammar", "grammar_best_of_n"]
    (found,) = json.loads((tmp_path / "out" / "proposers.json").read_text())["problems"]
    for row, line in zip(found["rows"], lines, strict=True):
        assert row["best"] == [max(json.loads(line)["fitness"][:2])]
        assert row["short"] == []
    assert (tmp_path / "out" / "scores").is_dir()
    again = run(*flags)
    assert "small, grammar" not in again and again.splitlines()[-1] == printed.splitlines()[-1]
    more = run(*flags[:-2], "--run_seeds=2", "--budget=2", "--minutes=0.000001")
    assert "missing: the same command goes on" in more


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give --out=FOLDER"),
        (["--out=x", "--lm="], "give --lm, the language model to compare, or --arms without one"),
        (["--out=x", "--arms=grammar,chance"], "--arms takes some of grammar, lm, lm_tuned"),
        (
            ["--out=x", "--arms=grammar", "--problems=cells"],
            "--problems takes some of clrs, mnist1d, or files NAME.flags",
        ),
        (
            ["--out=x", "--arms=grammar", "--budget=0"],
            "--run_seeds and --budget are 1 or more",
        ),
    ],
)
def test_bad_flags_are_told_in_one_line(flags, message):
    assert message in run(*flags, code=2)
