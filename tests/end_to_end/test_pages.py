"""The pages that say how to add a problem and a strategy are followed to the letter."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {
    "problem": ROOT / "evo_clrs" / "problems" / "README.md",
    "strategy": ROOT / "evo_clrs" / "strategies" / "README.md",
}


@pytest.fixture
def copy(tmp_path):
    """The package and its scripts, to be changed."""
    for name in ("evo_clrs", "launch"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    return tmp_path


def follow(page: str, folder: Path) -> list[Path]:
    """Does what a page says in a copy of the repository; returns the run folders it made."""
    file = re.search(r"Write\s+`(?P<path>[^`]+)`:\n\n```python\n(?P<text>.*?)```", page, re.DOTALL)
    assert file is not None
    (folder / file["path"]).write_text(file["text"])
    line = re.search(
        r"Add this line to `(?P<name>\w+)` in `(?P<path>[^`]+)`:\n\n```python\n(?P<text>.*?)```",
        page,
        re.DOTALL,
    )
    assert line is not None
    registry = folder / line["path"]
    before = registry.read_text()
    after = re.sub(rf"^({line['name']}\b.*{{\n)", rf"\1{line['text']}", before, flags=re.MULTILINE)
    assert after != before
    registry.write_text(after)
    made = []
    (commands,) = re.findall(r"```\n(python -m .*?)```", page, re.DOTALL)
    for command in commands.splitlines():
        words = shlex.split(command)
        done = subprocess.run(
            [sys.executable, *words[1:]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        made += [folder / w.removeprefix("--run=") for w in words if w.startswith("--run=")]
    return made


@pytest.mark.parametrize("page", PAGES)
def test_a_toy_of_thirty_lines_runs_by_flag(page, copy):
    text = PAGES[page].read_text()
    (run,) = follow(text, copy)
    summary = json.loads((run / "summary.json").read_text())
    assert summary[page] == "toy"
    assert summary["counts"]["scored"] > 0
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    lines = [line for line in code[1].splitlines() if line.strip()]
    assert len(lines) <= 40  # thirty of code, with docstrings


def test_the_toy_problem_is_solved(copy):
    (run,) = follow(PAGES["problem"].read_text(), copy)
    assert json.loads((run / "summary.json").read_text())["best"]["fitness"] == 1.0
