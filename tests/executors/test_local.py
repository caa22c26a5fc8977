"""Workers on this machine: what they are sent, what they answer, and how they end."""

import dataclasses
import os
import signal
import time

import pytest

from evo_clrs import problems, programs
from evo_clrs.errors import UserError
from evo_clrs.executors import Job, Placement, make, wire
from evo_clrs.jail.jail import Jail
from evo_clrs.records import Cost, Evaluation
from evo_clrs.training.rungs import Rung

OPTIONS = {
    "hidden_size": 8,
    "batch_size": 4,
    "train_steps": 4,
    "validate_every": 2,
    "train_lengths": (4,),
    "validation_length": 4,
    "train_count": 16,
    "validation_count": 4,
    "cache": "none",
}


@pytest.fixture(scope="module")
def problem():
    return problems.make("clrs", OPTIONS)


@pytest.fixture(scope="module")
def job(problem):
    with Jail() as jail:
        source = programs.load("processor")["deep_sets"]
        return Job(jail.trace(problem.slot, source, problem.sizes), "validation", (3,))


def test_a_job_comes_back_from_its_frame_as_it_was(job):
    job = dataclasses.replace(job, rungs=(Rung(2), Rung(4, 0.5)))
    read = wire.read_job(wire.job_frame(job))
    assert read.work.sizes == job.work.sizes
    assert read.work.parameters == job.work.parameters
    assert (read.split, read.seeds, read.rungs) == (job.split, job.seeds, job.rungs)


def test_an_evaluation_comes_back_from_its_frame_as_it_was():
    evaluation = Evaluation(
        status="scored",
        stage="scored",
        metrics={"val_accuracy": 0.1 + 0.2},
        cost=Cost(train_seconds=1.5),
        seeds=(1, 2),
        budget={"steps": 4},
    )
    assert wire.read_evaluation(wire.evaluation_frame(evaluation)) == evaluation


def test_a_worker_scores_as_this_process_does_and_a_killed_one_is_replaced(problem, job):
    here = problem.evaluate(job.work, job.split, job.seeds)
    with make("local", problem, Placement(workers=1, platform="cpu")) as executor:
        future = executor.submit(job)
        while not executor._ready:
            time.sleep(0.01)
        os.kill(executor._running[0].pid, signal.SIGKILL)
        there = future.result(timeout=120)
        watched = dataclasses.replace(job, rungs=(Rung(2, 1.1),))
        stopped = executor.submit(watched).result(timeout=120)
    assert (stopped.stage, stopped.budget["steps"]) == ("stopped", 2)
    assert there.metrics == pytest.approx(here.metrics, abs=1e-6)


def test_a_training_over_its_time_fails_and_the_next_one_finds_a_worker(problem, job):
    placement = Placement(workers=1, platform="cpu", job_seconds=0.3)
    with make("local", problem, placement) as executor:
        first, second = executor.submit(job), executor.submit(job)
        for future in (first, second):
            evaluation = future.result(timeout=120)
            assert evaluation.stage == "failed"
            assert evaluation.reason == "training took more than 0.3 s"


def test_closing_leaves_no_process(problem, job):
    executor = make("local", problem, Placement(workers=1, platform="cpu"))
    executor.submit(job)
    while not executor._running:
        time.sleep(0.05)
    pid = executor._running[0].pid
    executor.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"job_seconds": 0}, {"platform": "gpus"}])
def test_a_wrong_placement_is_refused(problem, wrong):
    with pytest.raises(UserError):
        make("local", problem, Placement(**wrong))
