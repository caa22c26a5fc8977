"""A candidate that breaks its worker costs itself, and the next one finds a new worker."""

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evo_clrs.errors import UserError
from evo_clrs.executors import Job, LocalExecutor, Placement, watch, wire
from evo_clrs.jail.frames import Frame, FrameError
from evo_clrs.records import Cost, Design, Evaluation

MODULE = "tests.executors.hostile_worker"
DIED = "the training process died twice"
FINE = Evaluation("scored", "scored", metrics={"val_accuracy": 0.5})


@dataclasses.dataclass
class Named:
    """All that an executor asks of a problem."""

    name: str = "hostile"
    options: dict = dataclasses.field(default_factory=dict)


def job(action: str) -> Job:
    return Job(Design("cells", action, ()), "validation", (0,))


def executor(seconds: float = 30.0, memory: float = 0.7, name: str = "hostile") -> LocalExecutor:
    placement = Placement(workers=1, platform="cpu", job_seconds=seconds, job_memory=memory)
    return LocalExecutor(Named(name), placement, MODULE)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("allocate", "training took more than 0.7 GiB of memory"),
        ("abort", f"{DIED} (SIGABRT)"),
        ("segfault", f"{DIED} (SIGSEGV)"),
        ("leave", f"{DIED} (exit code 3)"),
        ("exit", f"{DIED} (exit code 0)"),
        ("garbage", f"{DIED} (its reply is malformed: not a frame)"),
        ("other", f"{DIED} (its reply is malformed: not an evaluation (KeyError))"),
        ("raise", "ZeroDivisionError: division by zero"),
        ("escape", "RuntimeError: [2Jred line"),
        ("nan", "val_accuracy is not finite"),
    ],
    ids=lambda text: text if text.isalpha() else "",
)
def test_a_worker_that_breaks_costs_one_candidate(action, reason):
    with executor() as workers:
        broken, next_one = workers.submit(job(action)), workers.submit(job("fine"))
        found = broken.result(timeout=120)
        assert (found.status, found.stage, found.reason) == ("rejected", "failed", reason)
        assert next_one.result(timeout=120) == FINE


def test_a_worker_that_hangs_and_ignores_signals_is_killed():
    with executor(seconds=2.0) as workers:
        assert workers.submit(job("fine")).result(timeout=120) == FINE
        hanging, next_one = workers.submit(job("hang")), workers.submit(job("fine"))
        assert hanging.result(timeout=120).reason == "training took more than 2 s"
        assert next_one.result(timeout=120) == FINE


def test_memory_that_earlier_jobs_left_is_not_the_next_ones_fault():
    """A worker that is over its limit is replaced once before a job is blamed."""
    with executor() as workers:
        assert workers.submit(job("keep")).result(timeout=120) == FINE
        first = workers._running[0].pid
        assert workers.submit(job("keep")).result(timeout=120) == FINE
        assert workers._running[0].pid != first


def test_a_child_that_a_dead_worker_left_is_killed():
    with executor() as workers:
        assert workers.submit(job("fine")).result(timeout=120) == FINE
        session = workers._running[0].pid
        workers.submit(job("leave")).result(timeout=120)
        assert list(watch.members(session)) == []


def test_closing_kills_children_too():
    workers = executor()
    workers.submit(job("hang"))
    while not workers._ready:
        time.sleep(0.02)
    process = workers._running[0]
    assert list(watch.members(process.pid)) == [process.pid]
    workers.close()
    assert list(watch.members(process.pid)) == []


def test_a_worker_goes_when_the_run_is_killed():
    code = """
import sys, time
from tests.executors.test_limits import executor, job
workers = executor()
workers.submit(job("hang"))
while not workers._ready:
    time.sleep(0.02)
print(workers._running[0].pid, flush=True)
time.sleep(600)
"""
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
    ) as run:
        worker = int(run.stdout.readline())
        assert Path(f"/proc/{worker}/oom_score_adj").read_text().strip() == "500"
        run.kill()
    deadline = time.monotonic() + 20
    while list(watch.members(worker)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_key_is_in_a_workers_environment(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "canary")
    monkeypatch.setenv("HF_TOKEN", "canary")
    monkeypatch.setenv("EVO_CLRS_PLAIN", "kept")
    with executor() as workers:
        names = workers.submit(job("keys")).result(timeout=120).reason.split()
    assert "EVO_CLRS_PLAIN" in names
    assert not {"SOME_API_KEY", "HF_TOKEN"} & set(names)


def test_a_worker_that_cannot_start_ends_the_run_with_one_line():
    with executor(name="unbuildable") as workers:
        future = workers.submit(job("fine"))
        with pytest.raises(UserError, match=r"a worker could not start \(exit code 7\)"):
            future.result(timeout=120)


def test_a_limit_too_low_to_start_says_so():
    with executor(memory=0.005, name="slow") as workers:
        future = workers.submit(job("fine"))
        with pytest.raises(UserError, match=r"\(it took more than 0.005 GiB of memory\)"):
            future.result(timeout=120)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"status": "scored"},
        {**dataclasses.asdict(FINE), "cost": 3},
        {**dataclasses.asdict(FINE), "seeds": 3},
        {**dataclasses.asdict(FINE), "metrics": ["val_accuracy"]},
        {**dataclasses.asdict(FINE), "metrics": {"val_accuracy": "0.5"}},
        {**dataclasses.asdict(FINE), "reason": None},
        {**dataclasses.asdict(FINE), "extra": 1},
        {**dataclasses.asdict(FINE), "cost": {**dataclasses.asdict(Cost()), "more": 1.0}},
    ],
    ids=["empty", "short", "cost", "seeds", "metrics", "text", "reason", "extra", "costs"],
)
def test_what_is_no_evaluation_is_refused(header):
    with pytest.raises(FrameError, match="not an evaluation"):
        wire.read_evaluation(Frame(header))


@pytest.mark.parametrize(
    ("gib", "workers", "share"), [(40, 1, 32), (40, 4, 8), (40, 64, 2), (1, 4, 0.8)]
)
def test_each_worker_has_its_share_of_the_memory(monkeypatch, gib, workers, share):
    monkeypatch.setattr(watch, "_CONTAINER_LIMITS", ())
    monkeypatch.setattr(watch.os, "sysconf", lambda name: gib * watch.GIB / watch._PAGE)
    assert watch.default_memory(workers) == pytest.approx(share * watch.GIB)


def test_a_container_may_have_less_than_its_machine(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text(f"{10 * 2**30}\n")
    (tmp_path / "unlimited").write_text("max\n")
    paths = [str(tmp_path / name) for name in ("unlimited", "not_there", "memory.max")]
    monkeypatch.setattr(watch, "_CONTAINER_LIMITS", paths)
    monkeypatch.setattr(watch.os, "sysconf", lambda name: 40 * watch.GIB / watch._PAGE)
    assert watch.default_memory(1) == pytest.approx(8 * watch.GIB)


@pytest.mark.parametrize("memory", [-1.0, float("nan")])
def test_a_memory_limit_is_a_number_of_gib(memory):
    with pytest.raises(UserError, match="--job_memory"):
        Placement(job_memory=memory)
