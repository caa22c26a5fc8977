"""A worker whose problem does what a candidate that breaks things might make it do."""

import os
import signal
import subprocess
import sys
import time

from evo_clrs import problems
from evo_clrs.executors import worker
from evo_clrs.records import Evaluation


def allocate() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(1 << 20) * 64))
        time.sleep(0.01)


def keep() -> None:
    """Leaves 0.4 GiB behind."""
    KEPT.append(bytearray(b"x") * (400 << 20))
    time.sleep(0.5)


def leave_a_child() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code])
    os._exit(3)


def ignore_everything() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)


def write(data: bytes) -> None:
    """Writes to every pipe there is, as code that runs wild does."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, data)
        except OSError:
            continue
    time.sleep(600)


KEPT: list[bytearray] = []
ACTIONS = {
    "keep": keep,
    "allocate": allocate,
    "abort": os.abort,
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": ignore_everything,
    "leave": leave_a_child,
    "garbage": lambda: write(b"\xff" * 4096),
    "other": lambda: write(worker.wire.frames.encode({"status": "scored"})),
    "raise": lambda: 1 / 0,
    "escape": lambda: (_ for _ in ()).throw(RuntimeError("\x1b[2Jred\nline")),
    "exit": lambda: sys.exit(0),
}


class Hostile:
    def evaluate(self, work, split, seeds) -> Evaluation:
        if work.arch in ACTIONS:
            ACTIONS[work.arch]()
        if work.arch == "keys":
            return Evaluation("rejected", "failed", " ".join(sorted(os.environ)))
        accuracy = float("nan") if work.arch == "nan" else 0.5
        return Evaluation("scored", "scored", metrics={"val_accuracy": accuracy})


def make(name, options):
    if name == "unbuildable":
        sys.exit(7)
    if name == "slow":
        time.sleep(30)
    return Hostile()


if __name__ == "__main__":
    problems.make = make
    worker.main()
