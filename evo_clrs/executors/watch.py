"""Watching over a worker: what it and its children use, and an end to all of them."""

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

GIB = 2.0**30

_GLANCE = 0.1  # seconds between two looks
_ROUNDS = 100
_PAGE = resource.getpagesize()
_SHARE = 0.8  # of the machine's memory, for all workers together
_LEAST = 2 * GIB

# Files that say how much memory a container may use, of cgroups 2 and 1.
_CONTAINER_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


class Watch:
    """Holds the session of a process to a time and a memory limit, as a context manager.

    Memory is what all processes of the session hold at once, looked at ten times a second; a
    limit of the kernel's on address space is of no use with XLA, which maps more than it uses.

    Attributes:
      met: the limit that was met, in words that follow "training"; empty if none was.
      memory_met: whether it was that of memory.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float, memory: float):
        """Takes a process that leads a session, seconds, and bytes (infinity for no limit)."""
        self.met = ""
        self.memory_met = False
        self._process = process
        self._seconds = seconds
        self._memory = memory
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        deadline = time.monotonic() + self._seconds
        left = self._seconds
        while not self._over.wait(min(_GLANCE, max(left, 0.0))):
            left = deadline - time.monotonic()
            self.memory_met = resident(self._process.pid) > self._memory
            if self.memory_met:
                self.met = f"took more than {self._memory / GIB:.3g} GiB of memory"
            elif left <= 0:
                self.met = f"took more than {self._seconds:g} s"
            if self.met:
                kill_session(self._process)
                return


def members(session: int) -> Iterator[int]:
    """Yields the processes of a session."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] not in "ZX":
                    yield int(name)


def resident(session: int) -> float:
    """Returns the bytes of memory that the processes of a session hold."""
    total = 0
    for pid in members(session):
        with contextlib.suppress(OSError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return total


def kill_session(process: "subprocess.Popen[bytes]") -> None:
    """Kills a process that leads a session, and what is left of the session, if it is gone."""
    process.kill()
    for _ in range(_ROUNDS):  # more than one, for children that are born meanwhile
        others = [pid for pid in members(process.pid) if pid != process.pid]
        if not others:
            return
        for pid in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_GLANCE / 10)


def default_memory(workers: int) -> float:
    """Returns the bytes one of so many workers may hold: its share of the machine's memory.

    A machine with many cores has little for each; what JAX needs at least is not cut from that,
    since workers rarely hold their most at the same time.
    """
    available = [os.sysconf("SC_PHYS_PAGES") * _PAGE]
    for path in _CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            available.append(int(Path(path).read_text()))
    whole = _SHARE * min(available)
    return min(whole, max(whole / workers, _LEAST))
