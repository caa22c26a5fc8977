"""Asking what is known before training: an executor in front of another one."""

import dataclasses
import importlib.metadata
from concurrent.futures import Future

from evo_clrs.executors.base import Executor, Job
from evo_clrs.problems.base import Problem
from evo_clrs.records import Cost, Evaluation
from evo_clrs.store.scores import ScoreKey, Scores


class CachedExecutor:
    """Gives known scores at once and keeps new ones; see `executors.base.Executor`.

    A known score counts as an evaluation like any other. It is what was measured, with the cost
    left out: nothing was spent on it in this run, and its train seconds of 0 tell that. Rejections
    are not kept: whether memory or time ran out depends on the machine and its limits. A training
    that is watched at rungs is neither looked up nor kept: a stopped one's score is not that of its
    whole budget, and which are stopped must not depend on what earlier runs kept.

    Attributes:
      workers: how many jobs run at the same time.
      platform: what they run on.
      known: how many jobs were answered without training.
    """

    def __init__(self, executor: Executor, scores: Scores, problem: Problem):
        """Takes charge of the executor, which it closes; the scores stay the caller's.

        Args:
          executor: where jobs go whose score is not known.
          scores: the scores that are known.
          problem: what the executor trains for.
        """
        self.workers = executor.workers
        self.platform = executor.platform
        self.known = 0
        self._executor = executor
        self._scores = scores
        self._problem = problem.score_key
        self._jax = importlib.metadata.version("jax")

    def submit(self, job: Job) -> "Future[Evaluation]":
        """Returns a finished future where the score is known; else queues the job."""
        if not job.fingerprint or job.rungs:
            return self._executor.submit(job)
        key = ScoreKey(
            job.fingerprint, self._problem, job.split, job.seeds, self.platform, self._jax
        )
        found = self._scores.find(key)
        answer: Future[Evaluation] = Future()
        if found is not None:
            self.known += 1
            answer.set_result(dataclasses.replace(found, cost=Cost()))
            return answer

        def pass_on(done: "Future[Evaluation]") -> None:
            error = done.exception()
            if error is not None:
                answer.set_exception(error)
                return
            try:
                if done.result().scored:
                    self._scores.keep(key, done.result())  # before anybody can act on it
            finally:
                answer.set_result(done.result())

        self._executor.submit(job).add_done_callback(pass_on)
        return answer

    def close(self) -> None:
        """Closes the executor behind; jobs under way are given up."""
        self._executor.close()

    def __enter__(self) -> "CachedExecutor":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
