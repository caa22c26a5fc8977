"""`launch.tables` on made-up tables, as a user would run it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.made_up import write_table

ROOT = Path(__file__).parents[2]


def tables(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "launch.tables", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two tables in which the same operations are good, and one differs in scale."""
    folder = tmp_path_factory.mktemp("tables")
    for name, scale in (("cifar10", 1.0), ("imagenet", 0.5)):
        write_table(folder / f"{name}.json", scale)
    return folder


def test_every_strategy_is_set_beside_what_was_published(files, tmp_path):
    options = (
        f"--cifar10={files}/cifar10.json",
        f"--imagenet={files}/imagenet.json",
        f"--out={tmp_path}",
        "--trials=2",
        "--fewer_trials=2",
        "--strategies=random,genius,lapt",
    )
    done = tables(*options)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "tables.json").read_text())
    assert {row["strategy"] for row in rows} == {"random", "genius", "lapt"}
    first = next(r for r in rows if r["strategy"] == "random" and r["evaluations"] == 20)
    assert first["published"] == [93.33, 0.47]
    assert first["chosen_by"][0] == pytest.approx(first["test"][0] + 1)
    # The rule learnt on the other table finds the best operation, and so the best cell.
    learnt = next(r for r in rows if r["strategy"] == "lapt" and r["evaluations"] == 20)
    assert learnt["test"][0] > first["test"][0]
    kept = (tmp_path / "trials.jsonl").read_text()
    assert tables(*options).returncode == 0
    assert (tmp_path / "trials.jsonl").read_text() == kept


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "give --out=FOLDER and a table"),
        (("--cifar10=nowhere.json", "--out=OUT"), 1, "nowhere.json"),
        (("--cifar10=x", "--out=OUT", "--strategies=magic"), 1, "unknown strategy 'magic'"),
    ],
    ids=["nothing", "no table", "no strategy"],
)
def test_bad_input_is_told_in_one_line(arguments, code, words, tmp_path):
    done = tables(*(a.replace("OUT", str(tmp_path)) for a in arguments), "--trials=2")
    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count("error: ") == 1
