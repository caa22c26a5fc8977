"""Whole searches by a remote model: budgets, kills, batches, and where the key does not go."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evo_clrs import proposers
from evo_clrs.errors import BudgetSpent
from evo_clrs.store import Store, selection
from tests import table_run
from tests.proposers import lm_server
from tests.toy_run import outcome

pytest.importorskip("openai")

ROOT = Path(__file__).parents[2]
KEY = "sk-canary-77ab01"


def writer(body):
    return f"```python\n{table_run.write_cell(body['seed'])}\n```"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    return folder / "cifar10.json", table_run.make_problem(folder)


@pytest.fixture(scope="module")
def server():
    with lm_server.serve(writer) as server:
        yield server


@pytest.fixture(scope="module")
def whole(table, server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    table_run.run(folder, table[1], proposers.make(f"openai:m@{server.url}", {}, folder))
    return folder


def test_a_search_that_met_faults_is_the_search_that_met_none(table, whole, tmp_path, monkeypatch):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    kinds = [lm_server.status(500), lm_server.cut, lm_server.status(429, **{"Retry-After": "0.01"})]
    faults = {number: kinds[number % 3] for number in range(0, 24, 4)}
    with lm_server.serve(writer, faults) as server:
        proposer = proposers.make(f"openai:m@{server.url}", {}, tmp_path / "run")
        table_run.run(tmp_path / "run", table[1], proposer)
    with Store.read(whole) as first, Store.read(tmp_path / "run") as second:
        assert outcome(first) == outcome(second)


def test_a_spent_budget_picks_a_winner_and_more_of_it_goes_on(table, server, whole, tmp_path):
    folder = tmp_path / "run"

    def attempt(limit):
        options = {"max_tokens": limit, "max_new_tokens": 300}
        proposer = proposers.make(f"openai:m@{server.url}", options, folder)
        table_run.run(folder, table[1], proposer)

    with pytest.raises(BudgetSpent, match="raise it to go on"):
        attempt(4_000)
    with Store.read(folder) as store:
        told = len(store.candidates())
        assert selection.winner(store) is not None
        assert 0 < store.cost().lm_prompt_tokens <= 4_000
    attempt(100_000)
    with Store.read(whole) as first, Store.read(folder) as second:
        programs = [[c.program for c in store.candidates()] for store in (first, second)]
    assert programs[0] == programs[1] and len(programs[0]) > told


def search(table, folder, *arguments):
    flags = [
        *("--problem=nasbench201", f"--table={table[0]}", f"--run={folder}", "--max_error=1"),
        *("--rounds=2", "--prompts_per_round=2", "--samples_per_prompt=2", "--survivors=3"),
    ]
    return subprocess.run(
        [sys.executable, "-m", "launch.search", *flags, *arguments],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "OPENAI_API_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=120,
    )


def check_key_is_nowhere(folder, *outputs):
    """Neither in what was printed nor in any file of the run."""
    for output in outputs:
        assert KEY not in output.stdout + output.stderr
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"run.sqlite", "flags.txt", "summary.json"} <= {path.name for path in files}
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path


def test_the_script_searches_and_keeps_the_key_to_itself(table, tmp_path):
    def echo(handler):
        handler.complete(text=f"{writer(handler.body)}\n{handler.headers['Authorization']}")

    wrong = lm_server.status(401, f"Incorrect API key provided: {KEY}")
    with lm_server.serve(writer, {0: echo, 5: wrong}) as server:
        model = f"--lm=openai:m@{server.url}"
        stopped = search(table, tmp_path / "run", model, "--in_flight=1", "--debug")
        plain = search(table, tmp_path / "run", f"--lm=openai:x@{server.url}")
        done = search(table, tmp_path / "run", model)
    assert stopped.returncode == 1
    assert "refuses the key in OPENAI_API_KEY (HTTP 401)" in stopped.stderr
    assert plain.returncode == 1 and "holds a search of lm" in plain.stderr
    assert done.returncode == 0, done.stderr
    assert "8 proposed" in done.stdout
    check_key_is_nowhere(tmp_path / "run", stopped, plain, done)


def test_the_script_stops_for_a_batch_and_goes_on_from_its_answers(table, tmp_path):
    folder = tmp_path / "run"
    for number in (1, 2):
        waiting = search(table, folder, "--lm=openai:m", "--batch")
        assert waiting.returncode == 0, waiting.stderr
        last = waiting.stdout.strip().splitlines()[-1]
        assert f"4 requests are written to {folder}/batch-{number}.jsonl" in last
        assert "to go on: " in last
        lines = (folder / f"batch-{number}.jsonl").read_text().splitlines()
        with (folder / f"batch-{number}.answers.jsonl").open("w") as file:
            for line in map(json.loads, lines):
                message = {"content": writer(line["body"]), "role": "assistant"}
                body = {"choices": [{"message": message, "finish_reason": "stop"}]}
                response = {"status_code": 200, "body": body}
                answer = {"custom_id": line["custom_id"], "response": response, "error": None}
                file.write(json.dumps(answer) + "\n")
    command = last.split("to go on: ")[1].split()
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert "8 proposed" in done.stdout
    check_key_is_nowhere(folder, waiting, done)


def test_the_script_says_how_a_spent_budget_goes_on(table, server, tmp_path):
    model = f"--lm=openai:m@{server.url}"
    done = search(table, tmp_path / "run", model, "--max_tokens=1", "--max_new_tokens=9")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("stopped: ")]
    assert "of --max_tokens=1, 0 are spent" in line and "to go on: " in line
    assert "best program: " in done.stdout
