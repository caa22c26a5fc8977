"""What was scored before is not trained again."""

import dataclasses
from concurrent.futures import Future

import pytest

from evo_clrs.executors.base import Job
from evo_clrs.executors.cached import CachedExecutor
from evo_clrs.records import Cost, Design, Evaluation
from evo_clrs.store.scores import Scores
from evo_clrs.training.rungs import Rung

WORK = Design("cell", "arch", (0,))
SCORED = Evaluation(
    "scored",
    "scored",
    metrics={"val_accuracy": 0.75},
    cost=Cost(compile_seconds=2.0, train_seconds=3.0),
    seeds=(0,),
    budget={"steps": 4},
)


class Problem:
    """As much of a problem as the executor looks at."""

    def __init__(self, score_key="accuracy after 4 steps"):
        self.score_key = score_key


class Counting:
    """Answers every job with the same evaluation, or error, and remembers the jobs."""

    workers = 3

    def __init__(self, answer=SCORED, platform="cpu"):
        self.platform = platform
        self.jobs = []
        self.closed = False
        self._answer = answer

    def submit(self, job):
        self.jobs.append(job)
        future = Future()
        if isinstance(self._answer, Exception):
            future.set_exception(self._answer)
        else:
            future.set_result(self._answer)
        return future

    def close(self):
        self.closed = True


def job(split="validation", seeds=(0,), fingerprint="print"):
    return Job(WORK, split, seeds, fingerprint)


@pytest.fixture
def scores(tmp_path):
    with Scores.open(tmp_path) as kept:
        yield kept


def test_a_second_run_trains_nothing_and_is_told_the_same(scores):
    jobs = [job(), job("selection"), job(seeds=(1,)), job(fingerprint="other")]
    first, second = Counting(), Counting()
    told = [CachedExecutor(first, scores, Problem()).submit(j).result() for j in jobs]
    again = CachedExecutor(second, scores, Problem())
    found = [again.submit(j) for j in jobs]
    assert first.jobs == jobs and second.jobs == []
    assert all(future.done() for future in found) and again.known == 4
    for before, after in zip(told, found, strict=True):
        assert after.result().metrics == before.metrics
        assert after.result().budget == before.budget
        assert after.result().cost == Cost()


@pytest.mark.parametrize(
    ("problem", "platform"),
    [("accuracy after 5 steps", "cpu"), ("accuracy after 4 steps", "gpu")],
    ids=["options", "platform"],
)
def test_other_options_or_another_platform_are_other_scores(scores, problem, platform):
    CachedExecutor(Counting(), scores, Problem()).submit(job())
    behind = Counting(platform=platform)
    CachedExecutor(behind, scores, Problem(problem)).submit(job())
    assert len(behind.jobs) == 1


def test_a_job_without_a_fingerprint_is_always_trained(scores):
    behind = Counting()
    cached = CachedExecutor(behind, scores, Problem())
    for _ in range(2):
        assert cached.submit(job(fingerprint="")).result() == SCORED
    assert len(behind.jobs) == 2 and len(scores) == 0


def test_a_training_that_may_be_stopped_is_neither_looked_up_nor_kept(scores):
    CachedExecutor(Counting(), scores, Problem()).submit(job())
    behind = Counting()
    cached = CachedExecutor(behind, scores, Problem())
    watched = dataclasses.replace(job(), rungs=(Rung(2, 0.5),))
    other = dataclasses.replace(watched, fingerprint="other")
    assert [cached.submit(j).result() for j in (watched, other)] == [SCORED, SCORED]
    assert behind.jobs == [watched, other] and cached.known == 0 and len(scores) == 1


def test_what_failed_is_tried_again(scores):
    failed = Evaluation("rejected", "failed", "the training process died twice")
    behind = Counting(failed)
    cached = CachedExecutor(behind, scores, Problem())
    assert [cached.submit(job()).result() for _ in range(2)] == [failed, failed]
    assert len(behind.jobs) == 2 and len(scores) == 0


def test_an_error_comes_through(scores):
    cached = CachedExecutor(Counting(OSError("no worker")), scores, Problem())
    with pytest.raises(OSError, match="no worker"):
        cached.submit(job()).result()


def test_the_executor_behind_shows_through_and_is_closed(scores):
    behind = Counting(platform="gpu")
    with CachedExecutor(behind, scores, Problem()) as cached:
        assert (cached.workers, cached.platform) == (3, "gpu")
    assert behind.closed
