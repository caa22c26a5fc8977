"""A language model that is down, answers nothing or never ends: the search is kept and goes on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evo_clrs.errors import UserError
from evo_clrs.proposers.grammar.proposer import Grammar
from evo_clrs.store import Store
from tests.faults import runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def command(table):
    flags = ["--problem=nasbench201", f"--table={table}", "--rounds=3", "--max_error=1"]
    return lambda fault: [sys.executable, "-m", "tests.faults.faulty", fault, *flags]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = subprocess.run([*command("none"), f"--run={folder}"], cwd=ROOT, timeout=120)
    assert done.returncode == 0
    return runs.contents(folder)


def check_kept_and_go_on(command, whole, folder):
    """Two requests were answered and kept; the search goes on as if nothing had been."""
    with Store.read(folder) as store:
        assert store.proposals(1) is not None
        assert store.proposals(2) is None
    subprocess.run([*command("none"), f"--run={folder}"], cwd=ROOT, timeout=120, check=True)
    assert runs.contents(folder) == whole


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("down", "error: the language model at http://localhost:1 does not answer"),
        pytest.param(
            *("refused", "error: ConnectionRefusedError: [Errno 111] Connection refused (--debug"),
            marks=pytest.mark.slow,
        ),
        pytest.param("broken", "error: KeyError: 'choices", marks=pytest.mark.slow),
    ],
)
def test_a_failing_model_ends_the_search_in_one_line(command, whole, tmp_path, fault, message):
    folder = tmp_path / "run"
    done = subprocess.run(
        [*command(fault), f"--run={folder}"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(message)
    check_kept_and_go_on(command, whole, folder)


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("silent", signal.SIGTERM),
        pytest.param("endless", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("endless", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_model_that_never_ends_can_be_interrupted(command, whole, tmp_path, fault, how):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [*command(fault), f"--run={folder}"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_for_request(folder, 2)
        process.send_signal(how)
        _, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert "kept" in stderr.splitlines()[-1]
    check_kept_and_go_on(command, whole, folder)


def _wait_for_request(folder, index):
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        try:
            with Store.read(folder) as store:
                if store.request(index) is not None:
                    return
        except UserError:  # it is being made
            pass
        time.sleep(0.05)
    raise AssertionError("the search did not start")


class Down(Grammar):
    """Down for its first answers."""

    def __init__(self, times):
        self.left = times

    def propose(self, request, slot, prompt, seed):
        if self.left:
            self.left -= 1
            raise OSError(111, "Connection refused")
        return super().propose(request, slot, prompt, seed)


def test_a_model_that_comes_back_is_asked_the_same_again(small, undisturbed, tmp_path):
    """However often the search is started meanwhile, a request is asked once and answered once."""
    proposer = Down(5)
    for _ in range(5):
        with pytest.raises(OSError, match="refused"):
            small(tmp_path / "run", proposer)
    assert small(tmp_path / "run", proposer) == undisturbed[1]


def test_too_few_or_no_replies_do_not_stop_a_search(small, tmp_path):
    class Curt(Grammar):
        def propose(self, request, slot, prompt, seed):
            return super().propose(request, slot, prompt, seed)[: request.index % 3]

    held = small(tmp_path / "run", Curt())
    assert [row["answers"] for row in held["requests"]] == [index % 3 for index in range(6)]
    assert held["summary.json"]["counts"]["proposed"] == sum(index % 3 for index in range(6))
    assert small(tmp_path / "run", Curt()) == held
