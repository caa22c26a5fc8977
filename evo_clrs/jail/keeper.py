"""The keeper: one trusted process per request that watches the child and buries it.

It never runs a line of the program. It collects what the child writes, holds it to its limits,
kills everything that is left of it, and tells the parent how it ended.
"""

import contextlib
import dataclasses
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from evo_clrs.jail import child, frames, linux, namespaces
from evo_clrs.jail.limits import Limits

_GLANCE = 0.02  # seconds between two looks at what the child uses
_CHUNK = 1 << 20
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = resource.getpagesize()


@dataclasses.dataclass(frozen=True)
class Usage:
    """What processes use: CPU seconds, resident and mapped bytes, processes and threads."""

    cpu_seconds: float = 0.0
    resident: int = 0
    mapped: int = 0
    threads: int = 0


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a child ended.

    Attributes:
      cause: `exit` or `signal` where it ended by itself, `abandoned` where the parent went away,
        else the limit it ran into: `cpu`, `wall`, `memory`, `processes` or `output`.
      code: exit code or signal.
      cpu_seconds: CPU time it took.
      wall_seconds: time from the request to its end.
      ready_seconds: time from the request to the first byte from it, sent once it was confined.
      memory_bytes: the most it was seen to have mapped beyond what it was forked with.
    """

    cause: str
    code: int
    cpu_seconds: float
    wall_seconds: float
    ready_seconds: float
    memory_bytes: int


def keep(
    control: socket.socket,
    request: Mapping[str, Any],
    readable: Sequence[str],
    blobs: Sequence[bytes] = (),
) -> None:
    """Has one request answered by a child and sends `Ending` and its raw output to the parent."""
    started = time.monotonic()
    entered = () if "namespaces" in request.get("without", ()) else namespaces.enter()
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)  # orphans of the child become ours
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of credentials
    limits = Limits(**request["limits"])
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        child.run(writing, request, readable, entered, blobs)
    os.close(writing)
    watch = _Watch(pid, reading, control, limits, started, spread=request["weak"])
    ending = watch.until_the_end()
    control.sendall(frames.encode(dataclasses.asdict(ending), (watch.output,)))


class _Watch:
    """One child under watch."""

    def __init__(
        self,
        pid: int,
        reading: int,
        control: socket.socket,
        limits: Limits,
        started: float,
        spread: bool,
    ):
        self._pid = pid
        self._reading = reading
        self._control = control
        self._limits = limits
        self._started = started
        self._spread = spread  # whether it could have started further processes
        self._at_first = _usage([pid])
        self._received = bytearray()
        self._ready: float | None = None
        self._memory = 0
        os.set_blocking(reading, False)

    @property
    def output(self) -> bytes:
        """What the child wrote, cut at the limit."""
        return bytes(self._received[: self._most])

    @property
    def _most(self) -> int:
        return self._limits.output_bytes + frames.HEADER_LIMIT

    @property
    def _wall(self) -> float:
        return time.monotonic() - self._started

    def until_the_end(self) -> Ending:
        """Waits until the child ends or meets a limit; nothing of it is left afterwards."""
        cause = self._wait()
        os.kill(self._pid, signal.SIGKILL)
        _, status, rusage = os.wait4(self._pid, 0)
        _bury_descendants()
        self._read()
        cpu = rusage.ru_utime + rusage.ru_stime
        signalled = os.WIFSIGNALED(status)
        if cause == "ended":
            # The kernel's own limit on CPU time kills between two looks. It counts by ticks: what
            # it took for too much may be less by the clock.
            past = signalled and (
                cpu >= self._limits.cpu_seconds or os.WTERMSIG(status) == signal.SIGXCPU
            )
            cause = "cpu" if past else "signal" if signalled else "exit"
        code = os.WTERMSIG(status) if signalled else os.WEXITSTATUS(status)
        return Ending(cause, code, cpu, self._wall, self._ready or self._wall, self._memory)

    def _wait(self) -> str:
        poll = select.poll()
        poll.register(self._control, select.POLLRDHUP)
        poll.register(self._reading, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll(_GLANCE * 1000):
                if descriptor == self._control.fileno():
                    return "abandoned"
                if not self._read():
                    poll.unregister(self._reading)  # closed: its end, or it closed its side
            limit = self._limit_met()
            if limit:
                return limit
            if os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return "ended"

    def _read(self) -> bool:
        """Takes what the pipe holds; False at its end.

        One that never runs dry is left after a while: the child's other limits count as well.
        """
        until = time.monotonic() + _GLANCE
        while len(self._received) <= self._most:
            try:
                chunk = os.read(self._reading, _CHUNK)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self._ready = self._ready or self._wall
            self._received += chunk
            if time.monotonic() > until:
                break
        return True

    def _limit_met(self) -> str | None:
        processes = [self._pid, *(_descendants(self._pid) if self._spread else ())]
        usage = _usage(processes)
        self._memory = max(self._memory, usage.mapped - self._at_first.mapped)
        met = {
            "output": len(self._received) > self._most,
            "cpu": usage.cpu_seconds > self._limits.cpu_seconds,
            "wall": self._wall > self._limits.wall_seconds,
            "memory": usage.resident - self._at_first.resident > self._limits.memory_bytes,
            "processes": usage.threads > self._limits.processes,
        }
        return next((name for name, is_met in met.items() if is_met), None)


def _usage(processes: Sequence[int]) -> Usage:
    """Returns what these processes use together; one that is gone uses nothing."""
    total = Usage()
    for pid in processes:
        fields = _stat(pid)
        if fields:
            total = Usage(
                total.cpu_seconds + (int(fields[11]) + int(fields[12])) / _TICKS,
                total.resident + int(fields[21]) * _PAGE,
                total.mapped + int(fields[20]),
                total.threads + int(fields[17]),
            )
    return total


def _stat(pid: int) -> list[str]:
    """Returns the fields of /proc/PID/stat from the state on; empty where there is no such."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def _descendants(root: int) -> list[int]:
    """Returns children of a process, their children, and so on."""
    parents = {}
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else []
        if fields:
            parents[int(name)] = int(fields[1])
    found = [root]
    for pid in found:
        found.extend(other for other, parent in parents.items() if parent == pid)
    return found[1:]


def _bury_descendants() -> None:
    """Kills what the child left behind: orphans in whatever session end up as our children."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return
        if ended is None:
            for pid in _descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_GLANCE / 10)
