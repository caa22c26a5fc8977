"""launch.report from the command line: tables, the page, exit codes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def script(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "launch.report", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_run_is_shown_and_its_page_written(run, tmp_path):
    ended = script(run, f"--html={tmp_path / 'page.html'}")
    assert ended.returncode == 0, ended.stderr
    assert "Seeds against the best" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert ended.stdout.endswith(f"page: {tmp_path / 'page.html'}\n")
    assert "</html>" in (tmp_path / "page.html").read_text()


def test_bad_input_is_one_line(tmp_path):
    ended = script(tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [f"error: no run in {tmp_path}: there is no run.sqlite"]
    ended = script()
    assert ended.returncode == 2 and "expected one run folder, got 0" in ended.stderr
    (tmp_path / "run.sqlite").write_text("no database" * 500)
    ended = script(tmp_path)
    assert ended.returncode == 1 and "not a database" in ended.stderr
