"""The parent's side of the jail: `Jail.trace` turns a program's source into a graph."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import evo_clrs
from evo_clrs.errors import Rejected, UserError
from evo_clrs.jail import frames, macos
from evo_clrs.jail.confine import ENVIRONMENT, missing
from evo_clrs.jail.limits import Limits, amount
from evo_clrs.jail.reply import check_verified, clean, graph_of, layers_of
from evo_clrs.jail.request import encode_slot
from evo_clrs.records import Graph, Size
from evo_clrs.slots import Slot

_START_SECONDS = 180.0  # for imports on a cold disk
_GRACE_SECONDS = 15.0  # for the keeper to clean up after the child's time is over

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from evo_clrs.jail import warm; warm.main()"
)


# What to say of a child that met a limit.
_REASONS: Mapping[str, Callable[[Limits], str]] = {
    "cpu": lambda limits: f"took more than {limits.cpu_seconds:g} s of CPU time",
    "wall": lambda limits: f"took more than {limits.wall_seconds:g} s",
    "memory": lambda limits: f"used more than {amount(limits.memory_bytes)} of memory",
    "processes": lambda limits: f"started more than {limits.processes} processes or threads",
    "output": lambda limits: f"its reply is larger than {amount(limits.output_bytes)}",
}


class _Lost(Exception):
    """The warm process, or the keeper it forked, did not answer."""


class Jail:
    """Traces programs, each in a confined child of a warm process.

    The warm process is started when it is first needed, and again when it was lost. One jail
    traces one program at a time; it may be shared by threads.

    Args:
      limits: what a program may use.
      weak: go on where layers below the minimum are missing (see `layers`).
      without: which of `confine.SWITCHES` to do without, for tests of what happens then.
    """

    def __init__(
        self, limits: Limits | None = None, weak: bool = False, without: Sequence[str] = ()
    ):
        self._limits = limits or Limits()
        self._weak = weak
        self._without = list(without)
        self._lock = threading.Lock()
        self._warm: _Warm | macos.Spawned | None = None
        self._layers: tuple[str, ...] = ()
        self._last: Mapping[str, float] = {}

    def trace(self, slot: Slot, source: str, sizes: Sequence[Size]) -> Graph:
        """Returns the graph of a program, traced at these sizes.

        Raises:
          Rejected: at stage `trace`, for anything the program does wrong.
          UserError: layers below the minimum are missing here.
          RuntimeError: the jail itself does not work.
          ValueError: no sizes, or a size without one of the slot's dimensions or below 1.
        """
        _check_sizes(slot, sizes)
        started = time.monotonic()
        request = {
            "slot": encode_slot(slot),
            "source": source,
            "sizes": [list(size) for size in sizes],
        }
        with self._lock:
            ending, reader = self._ask(request)
            self._last = {k: v for k, v in ending.items() if isinstance(v, int | float)}
            self._refuse(ending)
            graph = graph_of(reader, slot, sizes, self._limits.output_bytes)
            graph = self._verified(graph, slot)
        return dataclasses.replace(graph, trace_seconds=time.monotonic() - started)

    def _verified(self, graph: Graph, slot: Slot) -> Graph:
        """Returns the graph with artefacts that trusted code wrote around verified modules.

        MLIR reads the modules in a second child, confined like the first one, in which no program
        has run: what crashes or exhausts the parser costs one candidate and not the run.
        """
        from evo_clrs.gates import artefacts  # JAX is not needed to start

        graph, modules = artefacts.unpack(graph, slot)
        told = [[m.what, list(m.arguments), list(m.results)] for m in modules]
        ending, reader = self._ask({"modules": told}, [module.code for module in modules])
        try:
            self._refuse(ending)
            check_verified(reader)
        except Rejected as rejection:
            reason = f"its graph is refused: {rejection.reason}"
            raise Rejected("trace", reason) from rejection
        return graph

    def layers(self) -> tuple[str, ...]:
        """Returns the layers of confinement in force, e.g. `("clean_exec", "rlimits", ...)`.

        Raises:
          UserError: some below the minimum are missing, and the jail is not `weak`.
          RuntimeError: the jail itself does not work.
        """
        with self._lock:
            self._started()
            return self._layers

    @property
    def last(self) -> Mapping[str, float]:
        """What the last program took: cpu_seconds, wall_seconds, ready_seconds, memory_bytes."""
        return self._last

    def close(self) -> None:
        """Ends the warm process; the jail can be used again afterwards."""
        with self._lock:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(
        self, request: Mapping[str, Any], blobs: Sequence[bytes] = ()
    ) -> tuple[Mapping[str, Any], frames.Reader]:
        """Has a request answered; a second time by a fresh warm process where one was lost."""
        unconfined = False
        for _ in range(2):
            try:
                warm = self._started()
                ending, reader, layers = self._exchange(warm, request, self._limits, blobs)
            except _Lost:
                self._stop()
                continue
            # Only a child that met a limit may end before it has said that it is confined.
            unconfined = not set(self._layers) <= set(layers or ())
            if not unconfined or (layers is None and ending["cause"] in _REASONS):
                return ending, reader
            self._stop()
        if unconfined:
            raise RuntimeError("the jail's child could not be confined as before")
        self._started()  # raises where the jail does not work even without a program
        raise Rejected("trace", "the jail was lost twice while tracing it")

    def _exchange(
        self,
        warm: "_Warm | macos.Spawned",
        request: Mapping[str, Any],
        limits: Limits,
        blobs: Sequence[bytes] = (),
    ) -> tuple[Mapping[str, Any], frames.Reader, tuple[str, ...] | None]:
        """Returns how the child ended, what else it sent, and its layers if it told them."""
        settings = {
            "limits": dataclasses.asdict(limits),
            "weak": self._weak,
            "without": self._without,
        }
        full = {**request, **settings, "layers": self._layers}
        room = limits.output_bytes + frames.HEADER_LIMIT
        try:
            warm.send(frames.encode(full, blobs))
            answer = warm.receive(room, limits.wall_seconds + _GRACE_SECONDS)
        except BaseException:
            # Also when interrupted: an answer that comes later must not be taken for the next.
            self._stop()
            raise
        reader = frames.Reader(answer.blobs[0])
        return answer.header, reader, layers_of(reader)

    def _started(self) -> "_Warm | macos.Spawned":
        """Returns the warm process, started and known to confine its children.

        One that is lost while it starts, as any process may be killed, is started once more.
        """
        if self._warm is not None and self._warm.alive:
            return self._warm
        try:
            return self._restart()
        except _Lost:
            pass
        try:
            return self._restart()
        except _Lost as error:
            raise RuntimeError(f"the jail does not work: {error}") from None

    def _restart(self) -> "_Warm | macos.Spawned":
        """Starts a warm process in the place of any that there was; raises _Lost where it ends."""
        self._stop()
        self._warm = _start()
        _, _, layers = self._exchange(self._warm, {}, Limits())
        lacking = missing(layers or ())
        if layers is None or (lacking and not self._weak):
            self._stop()
            if layers is None:
                raise RuntimeError("the jail does not work: its child ends before it is confined")
            raise UserError(
                f"the jail lacks {', '.join(lacking)} on this machine: "
                "pass --weak_jail to run programs that nobody has read without"
            )
        self._layers = layers
        return self._warm

    def _stop(self) -> None:
        if self._warm is not None:
            self._warm.stop()
            self._warm = None

    def _refuse(self, ending: Mapping[str, Any]) -> None:
        """Raises Rejected where the child did not end by itself, or without a reply."""
        limits, cause, code = self._limits, ending["cause"], ending["code"]
        if cause == "signal" and ending["memory_bytes"] > 0.8 * limits.memory_bytes:
            cause = "memory"  # C++ aborts where Python would have raised MemoryError
        if cause in _REASONS:
            raise Rejected("trace", _REASONS[cause](limits))
        if cause == "signal":
            raise Rejected("trace", f"crashed the interpreter ({_name(code)})")
        if code:
            raise Rejected("trace", f"ended the interpreter with exit code {code}")


def _start() -> "_Warm | macos.Spawned":
    """Starts what answers requests on this system."""
    if sys.platform == "linux":
        return _Warm()
    if sys.platform == "darwin":
        return macos.Spawned(_search(), macos.wrapping(_search()))
    raise UserError(f"the jail needs Linux or macOS, this is {sys.platform}")


def _search() -> list[str]:
    """Returns the folders in which modules are found."""
    folders = [os.path.dirname(path) for path in evo_clrs.__path__]
    return [os.path.abspath(path) for path in (*sys.path, *folders) if path]


class _Warm:
    """A running warm process and the socket to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        # Neither user folders nor the current one (-s -P), no writing of bytecode (-B). Not -I:
        # it would ignore PYTHONHASHSEED, and there is no foreign environment to keep out.
        command = [sys.executable, "-s", "-P", "-B", "-c", _BOOT, json.dumps(_search())]
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                close_fds=True,
                start_new_session=True,
            )
        self._socket = ours
        try:
            hello = self.receive(0, _START_SECONDS)
        except BaseException:
            self.stop()
            raise
        if "error" in hello.header:
            self.stop()
            raise RuntimeError(f"the jail does not start: {clean(hello.header['error'])}")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(_GRACE_SECONDS)
            self._socket.sendall(data)
        except OSError as error:
            raise _Lost(str(error)) from None

    def receive(self, limit: int, seconds: float) -> frames.Frame:
        """Returns the next frame; raises _Lost where none comes in time."""
        deadline = time.monotonic() + seconds

        def read_exactly(length: int) -> bytes:
            parts = []
            while length:
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
                part = self._socket.recv(min(length, 1 << 20))
                if not part:
                    break
                parts.append(part)
                length -= len(part)
            return b"".join(parts)

        try:
            frame = frames.read(read_exactly, limit)
        except (OSError, frames.FrameError) as error:
            raise _Lost(str(error)) from None
        if "lost" in frame.header:
            raise _Lost(f"keeper ended with {frame.header['lost']}")
        return frame

    def stop(self) -> None:
        """Ends the process, its keeper and its child; the socket's end tells it to go."""
        self._socket.close()
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _name(code: int) -> str:
    """Returns the name of a signal; most real-time ones have none."""
    named = code in {known.value for known in signal.Signals}
    return signal.Signals(code).name if named else f"signal {code}"


def _check_sizes(slot: Slot, sizes: Sequence[Size]) -> None:
    tensors = (*slot.arguments, *slot.outputs)
    symbols = {symbol.lstrip("0123456789") for tensor in tensors for symbol in tensor.shape}
    symbols |= {symbol for _, symbol in (*slot.constants, *slot.call_constants)}
    needed = symbols - {"*"}
    if not sizes:
        raise ValueError("sizes: expected at least one, got none")
    for size in sizes:
        known = dict(size)
        if not needed <= known.keys() or min(known.values()) < 1:
            raise ValueError(f"size: expected {sorted(needed)} from 1 on, got {known}")
