"""The search script, run as a user runs it, on real CLRS data."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evo_clrs import programs
from evo_clrs.store import Store
from tests.toy_run import outcome

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "launch.search"]
# As small as a search on real data can be: it takes its time from compiling.
TINY = [
    *("--task=bfs", "--seeds=deep_sets", "--rounds=1", "--prompts_per_round=1"),
    *("--samples_per_prompt=2", "--max_error=1.0", "--train_steps=4", "--validate_every=2"),
    *("--hidden_size=8", "--batch_size=4", "--train_lengths=4", "--validation_length=4"),
    *("--train_count=32", "--validation_count=8", "--selection_count=8", "--workers=2"),
    *("--finalists=1", "--selection_trainings=1", "--platform=cpu", "--cache=none"),
]


ON_CPU = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
}


def search(*arguments, timeout=300):
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=ON_CPU,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "run"
    done = search(*TINY, f"--run={folder}")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_search_ends_with_its_table_and_what_to_do_next(finished):
    folder, done = finished
    assert "Seeds against the best" in done.stdout
    lines = done.stdout.strip().splitlines()
    assert lines[-2].endswith(f"{folder / 'best.py'}")
    assert lines[-1].endswith(f"-m launch.report {folder}")
    assert "scored" in done.stderr


def test_a_search_leaves_the_run_folder_of_the_design(finished):
    folder, _ = finished
    assert {"run.sqlite", "flags.txt", "best.py", "summary.json"} <= {
        path.name for path in folder.iterdir()
    }
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary) == {
        *("run", "problem", "task", "slot", "strategy", "lm", "seed"),
        *("counts", "seeds_best", "best", "ledger"),
    }
    assert summary["task"] == "bfs" and summary["lm"] == "grammar"
    assert summary["counts"]["proposed"] == 2
    assert summary["ledger"]["train_seconds"] > 0


def test_the_jail_and_the_versions_are_on_record(finished):
    folder, _ = finished
    with Store.read(folder) as store:
        (start,) = store.events("start")
    assert "seccomp" in start.data["jail"]
    assert start.data["versions"]["dm-clrs"] == "2.0.3"


def test_prompts_are_recorded_for_a_proposer_that_reads_none(finished):
    folder, _ = finished
    with Store.read(folder) as store:
        request, prompt = store.request(0)
    assert prompt.startswith('"""Metrics: {')
    assert prompt.endswith("class Processor(clrs.processors.Processor):\n")
    assert len(request.parents) == 2


def test_its_flagfile_repeats_the_run(finished, tmp_path):
    folder, _ = finished
    again = tmp_path / "again"
    done = search(f"--flagfile={folder}/flags.txt", f"--run={again}", "--platform=cpu")
    assert done.returncode == 0, done.stderr
    with Store.read(folder) as first, Store.read(again) as second:
        assert outcome(first) == outcome(second)


def test_a_finished_run_is_only_shown_again(finished):
    folder, _ = finished
    begin = time.monotonic()
    done = search(*TINY, f"--run={folder}")
    assert done.returncode == 0 and "Seeds against the best" in done.stdout
    assert time.monotonic() - begin < 60


def test_the_report_is_one_page_and_a_table(finished):
    folder, _ = finished
    done = subprocess.run(
        [sys.executable, "-m", "launch.report", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "deep_sets" in done.stdout
    assert "<svg" in (folder / "report.html").read_text()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_everything_and_says_how_to_go_on(finished, tmp_path, how):
    whole, _ = finished
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [*COMMAND, *TINY, f"--run={folder}"],
        cwd=ROOT,
        env=ON_CPU,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_for_training(folder, process)
        process.send_signal(how)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    last = stderr.strip().splitlines()[-1]
    assert "kept" in last and str(folder) in last
    command = last.split("to go on: ")[1].split()
    done = subprocess.run(
        command, cwd=ROOT, env=ON_CPU, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    with Store.read(whole) as first, Store.read(folder) as second:
        assert outcome(first) == outcome(second)


def _wait_for_training(folder, process):
    """Waits until candidates are on record, so that the interruption falls into training."""
    for _ in range(600):
        if (folder / "run.sqlite").exists() and process.poll() is None:
            try:
                with Store.read(folder) as store:
                    if store.candidates():
                        return
            except Exception:  # the database is being made at this moment
                pass
        time.sleep(0.1)
    raise AssertionError("the search did not start")


GMPNN = programs.load("processor")["gmpnn"]
ENDLESS = GMPNN.replace(
    "        return node, None",
    "        for _ in range(10**12):\n            node = node\n        return node, None",
)
GREEDY = GMPNN.replace(
    "        return node, None",
    "        big = [0] * 10**10\n        return node, None",
)
SIZED = GMPNN.replace(
    "jax.nn.relu(own + update)",
    "jax.nn.relu(own + update) + hk.get_parameter('w', [node_fts.shape[1]], init=jnp.zeros)[0]",
)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--task=bsf"], 2, "did you mean one of: bfs"),
        (["--slot=tripled"], 2, "--slot must be one of processor, triplet"),
        (["--strategy=evoprompt"], 2, "did you mean evoprompting"),
        (["--problem=mnist"], 2, "problem: expected one of clrs"),
        (["--lm=gpt"], 2, "unknown proposer 'gpt'"),
        (["--flagfile=launch/presets/desktop.flags"], 2, "desktop.flags"),
        (["--no_such_flag=1"], 2, "no_such_flag"),
        (["--rounds=zero"], 2, "--rounds=zero"),
        (["--rounds=0"], 2, "--rounds must be above zero"),
        (["--hidden_size=-4"], 2, "--hidden_size must be above zero"),
        (["--train_lengths=4,x"], 2, "--train_lengths=4,x"),
        (["--validation_length=0"], 2, "validation_length"),
        (["--workers=-1"], 2, "--workers must be 0 or more"),
        (["--executor=slurm"], 2, "--executor must be one of local"),
        (["--seeds=nobody"], 1, "seed 'nobody'"),
        (["surprise"], 2, "unexpected argument 'surprise'"),
    ],
)
def test_bad_flags_get_one_line(tmp_path, arguments, code, message):
    done = search(*TINY, f"--run={tmp_path / 'run'}", *arguments)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert message in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class Processor(", "line 1"),
        ("import jax\n", "Processor"),
        (GMPNN.replace("self, node_fts", "self, extra, node_fts"), "expected `__call__` to take"),
        ("import os\n" + GMPNN, "os"),
        (ENDLESS, "took more than"),
        (GREEDY, "memory"),
        (GMPNN.replace("return node, None", "return msgs, None"), "returned node of shape"),
        (SIZED, "must not depend on the size"),
        (GMPNN.replace("return node, None", "return node / 0.0, None"), "not finite"),
    ],
    ids=["syntax", "empty", "signature", "import", "endless", "memory", "shape", "sized", "nan"],
)
def test_a_bad_seed_file_gets_one_line(tmp_path, source, message):
    path = tmp_path / "mine.py"
    path.write_text(source)
    lengths = "--train_lengths=4", "--validation_length=5"
    done = search(*TINY, *lengths, f"--run={tmp_path / 'run'}", f"--seeds={path}")
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: seed mine: ") and message in last


def test_debug_shows_the_traceback(tmp_path):
    done = search(*TINY, "--seeds=nobody", "--debug")
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_a_folder_of_another_problem_is_left_alone(finished):
    folder, _ = finished
    before = (folder / "summary.json").read_bytes()
    done = search(*TINY, "--task=dfs", f"--run={folder}")
    assert done.returncode == 1
    assert "task 'bfs', asked for 'dfs'" in done.stderr.strip().splitlines()[-1]
    assert (folder / "summary.json").read_bytes() == before


def test_help_shows_the_main_flags_first():
    done = search("--help")
    assert done.returncode == 0
    assert done.stdout.index("--task") < done.stdout.index("Further flags")
    assert done.stdout.index("--task") < done.stdout.index("--clip_norm")
