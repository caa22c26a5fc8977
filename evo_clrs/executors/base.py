"""Where candidates are trained: the interface that every executor fills."""

import dataclasses
from concurrent.futures import Future
from typing import Protocol

from evo_clrs.errors import UserError
from evo_clrs.problems.base import Problem, Stoppable
from evo_clrs.records import Evaluation, Work
from evo_clrs.training.rungs import Rung


@dataclasses.dataclass(frozen=True)
class Job:
    """One training to be done.

    Attributes:
      work: what to train.
      split: the split to score on: `validation` in a search, `selection` to pick a winner.
      seeds: training seeds.
      fingerprint: of the work, by which its score may be known already.
      rungs: what the training must have reached on its way, see `problems.base.Stoppable`.
    """

    work: Work
    split: str
    seeds: tuple[int, ...]
    fingerprint: str = ""
    rungs: tuple[Rung, ...] = ()


def evaluate(problem: Problem, job: Job) -> Evaluation:
    """Returns what a problem makes of a job; raises what its `evaluate` does."""
    if not job.rungs:
        return problem.evaluate(job.work, job.split, job.seeds)
    assert isinstance(problem, Stoppable)  # see `stopping.check`
    return problem.evaluate(job.work, job.split, job.seeds, job.rungs)


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where and how widely to train.

    Attributes:
      workers: how many jobs at the same time; 0 for one a device, or one a core.
      platform: one of `devices.PLATFORMS`.
      job_seconds: wall-clock limit of one job.
      job_memory: memory, in GiB, that a worker and its children may hold; 0 for an equal share
        of four fifths of the machine's, and at least 2.

    Raises:
      UserError: a value is out of range.
    """

    workers: int = 0
    platform: str = "auto"
    job_seconds: float = 3600.0
    job_memory: float = 0.0

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise UserError(f"--workers must be 0 or more, got {self.workers}")
        if not self.job_seconds > 0:
            raise UserError(f"--job_seconds must be above zero, got {self.job_seconds}")
        if not self.job_memory >= 0:
            raise UserError(f"--job_memory must be 0 or more, got {self.job_memory}")


class Executor(Protocol):
    """Trains graphs somewhere, several at a time; a context manager that closes at its end.

    Attributes:
      workers: how many jobs run at the same time.
      platform: what they run on: `cpu`, `gpu` or `tpu`.
    """

    workers: int
    platform: str

    def submit(self, job: Job) -> "Future[Evaluation]":
        """Queues a job; its future gives an evaluation, `failed` ones included, in any order."""
        ...

    def close(self) -> None:
        """Ends all workers; jobs under way are given up."""
        ...

    def __enter__(self) -> "Executor": ...

    def __exit__(self, *error: object) -> None: ...
