"""Scoring in this process, at once: for problems whose scores are looked up, not trained for."""

from concurrent.futures import Future

from evo_clrs.errors import Rejected
from evo_clrs.executors.base import Job, Placement, evaluate
from evo_clrs.problems.base import Problem
from evo_clrs.records import Evaluation


class InlineExecutor:
    """One job at a time, finished when `submit` returns; see `executors.base.Executor`."""

    workers = 1
    platform = "cpu"

    def __init__(self, problem: Problem, placement: Placement):
        """Takes the problem itself; where and how widely to train does not matter here."""
        self._problem = problem

    def submit(self, job: Job) -> "Future[Evaluation]":
        """Returns a finished future."""
        future: Future[Evaluation] = Future()
        try:
            future.set_result(evaluate(self._problem, job))
        except Rejected as rejection:
            future.set_result(Evaluation("rejected", rejection.stage, rejection.reason))
        return future

    def close(self) -> None:
        """Does nothing: no job is ever under way."""

    def __enter__(self) -> "InlineExecutor":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
