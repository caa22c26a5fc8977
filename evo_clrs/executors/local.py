"""Training on this machine: one process for each worker, restarted when it dies."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from evo_clrs.errors import UserError
from evo_clrs.executors import devices, wire
from evo_clrs.executors.base import Job, Placement
from evo_clrs.jail.frames import Frame, FrameError
from evo_clrs.problems.base import Problem
from evo_clrs.records import Evaluation

_ROOT = Path(__file__).resolve().parents[2]
_ATTEMPTS = 2  # a worker may be killed from outside; a job that kills two is at fault itself


class LocalExecutor:
    """Workers on this machine, each with one device (or its share of the cores).

    Attributes:
      workers: how many jobs run at the same time.
      platform: `cpu`, `gpu` or `tpu`.
    """

    def __init__(self, problem: Problem, placement: Placement):
        """Starts nothing yet: each worker starts with its first job.

        Args:
          problem: what to train for; workers build it again from its name and options.
          placement: where and how widely; at its time limit a worker is killed.
        """
        self.platform = devices.platform_of(placement.platform)
        self.workers = placement.workers or devices.default_workers(self.platform)
        self._hello = Frame({"problem": problem.name, "options": dict(problem.options)})
        self._job_seconds = placement.job_seconds
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Evaluation]] | None] = queue.SimpleQueue()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._ready: set[int] = set()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), daemon=True)
            for number in range(self.workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> "Future[Evaluation]":
        """Queues a job; its future gives an evaluation, `failed` ones included."""
        future: Future[Evaluation] = Future()
        self._jobs.put((job, future))
        return future

    def close(self) -> None:
        """Kills all workers; jobs under way are given up."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for process in list(self._running.values()):
            process.kill()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _serve(self, number: int) -> None:
        """Takes jobs from the queue until told to stop; runs in a thread for each worker."""
        while (entry := self._jobs.get()) is not None and not self._closed:
            job, future = entry
            try:
                future.set_result(self._attempt(number, job))
            except Exception as error:
                future.set_exception(error)
        self._stop(number)

    def _attempt(self, number: int, job: Job) -> Evaluation:
        """Returns the evaluation of a job; a worker that dies is replaced and tried once more."""
        for _ in range(_ATTEMPTS):
            process, ready = self._worker(number), False
            try:
                self._await_ready(number, process)
                ready = True
                with _deadline(process, self._job_seconds) as expired:
                    return _exchange(process, job)
            except (FrameError, OSError):
                self._stop(number)
                if self._closed:
                    raise
                if ready and expired.is_set():
                    reason = f"training took more than {self._job_seconds:g} s"
                    return Evaluation("rejected", "failed", reason)
        if not ready:
            raise UserError("a worker could not start: its message stands above")
        how = f"exit code {process.returncode}"
        if process.returncode < 0:
            how = f"signal {-process.returncode}: often too little memory"
        return Evaluation("rejected", "failed", f"the training process died twice ({how})")

    def _worker(self, number: int) -> subprocess.Popen[bytes]:
        """Returns the worker's process, started if there is none."""
        if number in self._running:
            return self._running[number]
        process = subprocess.Popen(
            [sys.executable, "-m", "evo_clrs.executors.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
                **devices.environment(self.platform, number, self.workers),
            },
            # Signals from the terminal go to the run, which ends its workers itself.
            start_new_session=True,
        )
        os.sched_setaffinity(process.pid, devices.cores(number, self.workers))
        self._running[number] = process
        return process

    def _await_ready(self, number: int, process: subprocess.Popen[bytes]) -> None:
        """Has a new worker build its problem, and waits until it did."""
        if number in self._ready:
            return
        assert process.stdin is not None and process.stdout is not None
        wire.send(process.stdin, self._hello)
        wire.receive(process.stdout)
        self._ready.add(number)

    def _stop(self, number: int) -> None:
        self._ready.discard(number)
        process = self._running.pop(number, None)
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _exchange(process: subprocess.Popen[bytes], job: Job) -> Evaluation:
    assert process.stdin is not None and process.stdout is not None
    wire.send(process.stdin, wire.job_frame(job))
    return wire.read_evaluation(wire.receive(process.stdout))


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    """Kills the process after so many seconds; the event says whether that happened."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        process.kill()

    timer = threading.Timer(seconds, expire)
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
