"""Training on this machine: one process for each worker, restarted when it dies."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

from evo_clrs.errors import UserError
from evo_clrs.executors import devices, watch, wire
from evo_clrs.executors.base import Job, Placement
from evo_clrs.jail.frames import Frame, FrameError
from evo_clrs.problems.base import Problem
from evo_clrs.records import Evaluation

_ROOT = Path(__file__).resolve().parents[2]
_ATTEMPTS = 2  # a worker may be killed from outside; a job that kills two is at fault itself
_START_SECONDS = 1800.0  # data may have to be made first
_END_SECONDS = 2.0  # for a process whose streams have ended

# Names of variables that hold what nobody needs for training.
_KEYS = re.compile("KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)


class LocalExecutor:
    """Workers on this machine, each with one device (or its share of the cores).

    Attributes:
      workers: how many jobs run at the same time.
      platform: `cpu`, `gpu` or `tpu`.
    """

    def __init__(
        self,
        problem: Problem,
        placement: Placement,
        module: str = "evo_clrs.executors.worker",
    ):
        """Starts nothing yet: each worker starts with its first job.

        Args:
          problem: what to train for; workers build it again from its name and options.
          placement: where and how widely; at its limits a worker is killed and replaced.
          module: what a worker runs.
        """
        self.platform = devices.platform_of(placement.platform)
        self.workers = placement.workers or devices.default_workers(self.platform)
        self._hello = Frame({"problem": problem.name, "options": dict(problem.options)})
        self._job_seconds = placement.job_seconds
        self._job_memory = placement.job_memory * watch.GIB or watch.default_memory(self.workers)
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Evaluation]] | None] = queue.SimpleQueue()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._ready: set[int] = set()
        self._module = module
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
            watch.kill_session(process)
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
            fresh = number not in self._ready
            process = self._worker(number)
            how = self._await_ready(number, process)
            started = not how
            if not started:
                continue
            with watch.Watch(process, self._job_seconds, self._job_memory) as limits:
                try:
                    return _exchange(process, job)
                except (FrameError, OSError) as error:
                    failure = error
            how = self._buried(number, failure)
            if self._closed:
                raise failure
            # Memory that earlier jobs left behind is not to be this one's fault.
            if limits.met and (fresh or not limits.memory_met):
                return Evaluation("rejected", "failed", f"training {limits.met}")
        if not started:
            raise UserError(f"a worker could not start ({how}): its message stands above")
        return Evaluation("rejected", "failed", f"the training process died twice ({how})")

    def _worker(self, number: int) -> subprocess.Popen[bytes]:
        """Returns the worker's process, started if there is none."""
        if number in self._running:
            return self._running[number]
        process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **_without_keys(os.environ),
                "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
                **devices.environment(self.platform, number, self.workers),
            },
            # Signals from the terminal go to the run, which ends its workers itself.
            start_new_session=True,
        )
        os.sched_setaffinity(process.pid, devices.cores(number, self.workers))
        self._running[number] = process
        if self._closed:  # meanwhile: `close` may not have seen this one
            watch.kill_session(process)
        return process

    def _await_ready(self, number: int, process: subprocess.Popen[bytes]) -> str:
        """Has a new worker build its problem; returns why it could not, empty once it did."""
        if number in self._ready:
            return ""
        assert process.stdin is not None and process.stdout is not None
        with watch.Watch(process, _START_SECONDS, self._job_memory) as limits:
            try:
                wire.send(process.stdin, self._hello)
                wire.receive(process.stdout, 0)
                self._ready.add(number)
                return ""
            except (FrameError, OSError) as error:
                failure = error
        how = self._buried(number, failure)
        if self._closed:
            raise failure
        return f"it {limits.met}" if limits.met else how

    def _buried(self, number: int, failure: Exception) -> str:
        """Ends a worker that failed, with all its children; says how it had ended by itself."""
        process = self._running[number]
        try:
            code = process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        self._stop(number)
        if code is None:
            return f"its reply is malformed: {failure}"
        if code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name
        return f"{name}: often too little memory" if name == "SIGKILL" else name

    def _stop(self, number: int) -> None:
        self._ready.discard(number)
        process = self._running.pop(number, None)
        if process is None:
            return
        watch.kill_session(process)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what could not be sent to the dead
                    stream.close()


def _exchange(process: subprocess.Popen[bytes], job: Job) -> Evaluation:
    assert process.stdin is not None and process.stdout is not None
    wire.send(process.stdin, wire.job_frame(job))
    return wire.read_evaluation(wire.receive(process.stdout, 0))


def _without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment without keys: graphs that nobody has read are compiled in it."""
    return {name: value for name, value in environment.items() if not _KEYS.search(name)}
