"""macOS: a process for each request, spawned under sandbox-exec. Untested on a Mac.

The profile keeps network, writing, other programs and all files but the interpreter's away. There
is no warm process to fork from: system libraries of macOS do not survive a fork. Nor is there a
counterpart to seccomp or to no_new_privs, so this is below the minimum: it takes `--weak_jail`.
"""

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Sequence

from evo_clrs.jail import frames
from evo_clrs.jail.confine import ENVIRONMENT, is_clean_environment
from evo_clrs.jail.limits import Limits

SANDBOX = "sandbox_exec_untested"  # the name of the layer

_EXECUTABLE = "/usr/bin/sandbox-exec"
_SYSTEM = ("/usr/lib", "/System/Library", "/Library/Frameworks/Python.framework", "/dev/urandom")
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from evo_clrs.jail import macos; macos.main()"
)
_REQUEST_LIMIT = 1 << 30  # bytes
_CHUNK = 1 << 16


def readable_paths(search: Sequence[str]) -> tuple[str, ...]:
    """Returns what a child may read: the system's libraries, the interpreter, the packages."""
    named = (sysconfig.get_path("stdlib"), sys.base_prefix, sys.prefix, os.devnull, *search)
    paths = {*_SYSTEM, *named} | {os.path.realpath(path) for path in named}
    return tuple(sorted(paths - {"/"}))


def profile(readable: Sequence[str], interpreter: str) -> str:
    """Returns a sandbox profile; of two rules that fit, the later one holds."""
    quoted = [json.dumps(path, ensure_ascii=False) for path in readable]
    programs = sorted({interpreter, os.path.realpath(interpreter)})
    return "\n".join(
        [
            "(version 1)",
            "(allow default)",
            "(deny network*)",
            "(deny file-write*)",
            '(allow file-write-data (literal "/dev/null"))',
            "(deny file-read-data)",
            *(f"(allow file-read-data (subpath {path}))" for path in quoted),
            '(allow file-read-data (literal "/"))',
            "(deny process-fork)",
            "(deny process-exec*)",
            *(f"(allow process-exec (literal {json.dumps(path)}))" for path in programs),
            "(deny signal)",
            "(allow signal (target self))",
            "(deny ipc-posix*)",
        ]
    )


def wrapping(search: Sequence[str]) -> list[str]:
    """Returns the words before a command that have it run in the sandbox."""
    return [_EXECUTABLE, "-p", profile(readable_paths(search), sys.executable)]


class Spawned:
    """Takes the place of the warm process: `send` spawns, `receive` collects and buries."""

    alive = True  # nothing of it lives between two requests

    def __init__(self, search: Sequence[str], wrap: Sequence[str]):
        """Spawns nothing yet.

        Args:
          search: folders in which modules are found.
          wrap: words before the command, see `wrapping`.
        """
        self._command = [*wrap, sys.executable, "-s", "-P", "-B", "-c", _BOOT, json.dumps(search)]
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def send(self, data: bytes) -> None:
        """Spawns a process for a request."""
        self._started = time.monotonic()
        self._process = process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
        requests = process.stdin
        assert requests is not None

        def write() -> None:
            with contextlib.suppress(OSError), requests:  # it may be gone
                requests.write(data)

        threading.Thread(target=write, daemon=True).start()

    def receive(self, limit: int, seconds: float) -> frames.Frame:
        """Returns how the process ended, as `keeper.Ending` has it, and what it wrote."""
        process = self._process
        assert process is not None and process.stdout is not None
        output, cause, ready = bytearray(), "", 0.0
        deadline = self._started + seconds
        while not cause:
            left = deadline - time.monotonic()
            if left <= 0:
                cause = "wall"
            elif select.select([process.stdout], [], [], left)[0]:
                chunk = os.read(process.stdout.fileno(), _CHUNK)
                ready = ready or time.monotonic() - self._started
                output += chunk
                cause = "output" if len(output) > limit else "" if chunk else "ended"
        if cause != "ended":
            process.kill()
        status, usage = _bury(process, deadline)
        self.stop()
        signalled = os.WIFSIGNALED(status)
        code = os.WTERMSIG(status) if signalled else os.WEXITSTATUS(status)
        if cause == "ended":
            cause = "signal" if signalled else "exit"
            cause = "cpu" if signalled and code == signal.SIGXCPU else cause
        header = {
            "cause": cause,
            "code": code,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "wall_seconds": time.monotonic() - self._started,
            "ready_seconds": ready,
            "memory_bytes": 0,
        }
        return frames.Frame(header, (bytes(output[:limit]),))

    def stop(self) -> None:
        """Ends the process of the last request."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _bury(
    process: "subprocess.Popen[bytes]", deadline: float
) -> tuple[int, resource.struct_rusage]:
    """Waits for a process whose output has ended, and kills it where it goes on without."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return status, usage
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(0.01)


def main() -> None:
    """Answers one request from standard input on standard output."""
    reply = os.dup(sys.stdout.fileno())
    requests = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    clean = is_clean_environment()
    request = frames.read(requests.read, _REQUEST_LIMIT)
    requests.close()
    from evo_clrs.jail import child, warm

    warm.preload()
    limits = Limits(**request.header["limits"])
    layers = [*(["clean_exec"] if clean else []), *_limit_resources(limits), SANDBOX]
    child.reply_to(reply, {**request.header}, request.blobs, limits, layers)


def _limit_resources(limits: Limits) -> list[str]:
    """Sets the limits that macOS has; returns the layer, if all could be set."""
    used = sum(os.times()[:2])
    values = {
        resource.RLIMIT_CPU: (int(used + limits.cpu_seconds) + 1),
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    try:
        for which, value in values.items():
            hard = value + 1 if which == resource.RLIMIT_CPU else value  # first SIGXCPU, then kill
            resource.setrlimit(which, (value, hard))
    except (OSError, ValueError):
        return []
    return ["rlimits"]
