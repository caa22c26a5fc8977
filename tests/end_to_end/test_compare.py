"""`launch.compare` on made-up result lines, as a user would run it."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.result_lines import SMALL, result, seeds, write

ROOT = Path(__file__).parents[2]
SEVEN = [0.50, 0.52, 0.51, 0.53, 0.50, 0.54, 0.52]


def compare(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "launch.compare", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def lines():
    gains = [0.02, 0.03, 0.05, 0.04, 0.01, 0.06, 0.07]
    better = [base + gain for base, gain in zip(SEVEN, gains, strict=True)]
    return [
        *seeds("triplet_gmpnn", "bfs", SEVEN, options=SMALL),
        *seeds("mine", "bfs", [*better, 0.6], options=SMALL),
        result("mine", "dfs", test=None, status="failed", reason="NaN", options=SMALL),
        result("mine", "minimum", test=None, status="failed", inert=True, options=SMALL),
        result("triplet_gmpnn", "bfs", test=SEVEN[0], options=SMALL),
    ]


def test_a_comparison_is_printed_and_kept(tmp_path):
    write(tmp_path / "trained" / "results.jsonl", lines(), '{"cut off": ')
    done = compare(f"--results={tmp_path}/trained", f"--out={tmp_path}/out")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    (row,) = told["rows"]
    assert row["difference"] == pytest.approx(4.0)
    assert row["p"] == row["corrected"] == pytest.approx(2 / 2**7)
    assert row["verdict"] == "better"
    markdown = (tmp_path / "out" / "comparison.md").read_text()
    for text in (done.stdout, markdown):
        assert "Against triplet" in text
        assert "inert: it cannot change a prediction of this task" in text
        assert "failed: NaN" in text
        assert "2 equal lines, counted once" in text
        assert "line 19 is damaged and passed over" in text
        assert (
            "python -m launch.train triplet_gmpnn --tasks=bfs --seeds=7 "
            "--train_steps=300 --hidden_size=16"
        ) in text
    assert markdown.count("Reduced protocol") == 2  # of two tables
    assert ElementTree.parse(tmp_path / "out" / "comparison.svg").getroot().tag.endswith("svg")


def test_a_program_of_a_run_is_corrected_for_all_that_the_run_looked_at(tmp_path):
    (tmp_path / "summary.json").write_text('{"counts": {"proposed": 48}}')
    name = f"{tmp_path.name}:#7"
    trained = f"python -m launch.train {tmp_path}:best --tasks=bfs"
    ours = seeds(name, "bfs", [0.9] * 7, command=trained)
    results = [*seeds("triplet_gmpnn", "bfs", SEVEN), *ours]
    path = write(tmp_path / "results.jsonl", results)
    out = f"--out={tmp_path}/out"
    assert compare(f"--results={path}", f"--programs={name}", out).returncode == 0
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert told["looked_at"] == 48 and told["rows"][0]["verdict"] == "unattainable"
    assert compare(f"--results={path}", "--looked_at=1", out).returncode == 0
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert told["looked_at"] == 1 and told["rows"][0]["verdict"] == "better"


def test_published_and_reached_stand_side_by_side(tmp_path):
    path = write(tmp_path / "results.jsonl", seeds("triplet_gmpnn", "bfs", SEVEN))
    done = compare("--table3", f"--results={path}", "--tasks=bfs", f"--out={tmp_path}/out")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out" / "table3.json").read_text())
    ours, winner = told["entries"]
    assert ours["published"]["mean"] == 99.80
    assert ours["reached"]["mean"] == pytest.approx(100 * sum(SEVEN) / 7)
    assert ours["parameters"] == ours["published_parameters"] == 523_963
    assert winner["program"] == "max_mean" and winner["reached"] is None
    assert "launch.train max_mean --tasks=bfs --seeds=0,1,2" in done.stdout
    kept = (tmp_path / "out" / "counts.json").read_text()
    again = compare("--table3", f"--results={path}", "--tasks=bfs", f"--out={tmp_path}/out")
    assert again.stderr == "" and (tmp_path / "out" / "counts.json").read_text() == kept


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "give --results=FILE_OR_FOLDER,... or --table3"),
        (("--results=nowhere",), 1, "there is no such file or folder"),
        (("--table3", "--tasks=bsf"), 2, "unknown task 'bsf'"),
        (("--results=FILE", "--programs=theirs"), 1, "no result of program 'theirs'"),
        (("--results=FILE", "--looked_at=-1"), 2, "--looked_at must be 0 or more"),
        (("--results=FILE", "--baseline=gmpnn"), 1, "gmpnn has no result"),
        (("--results=FILE", "--out=FILE"), 1, "this is a file, not a folder"),
    ],
    ids=["nothing", "no file", "no task", "no program", "looked at", "no baseline", "out"],
)
def test_bad_input_is_told_in_one_line(arguments, code, words, tmp_path):
    path = write(tmp_path / "results.jsonl", lines())
    done = compare(*(argument.replace("FILE", str(path)) for argument in arguments))
    assert done.returncode == code
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
