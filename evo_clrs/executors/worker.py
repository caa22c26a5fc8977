"""A worker process: builds the problem once, then trains one graph after the other.

It reads frames on standard input and answers on standard output; whatever else is printed goes to
standard error. It runs trusted code only: graphs come in, never Python.
"""

import contextlib
import math
import os
import signal
import sys

from evo_clrs.errors import Rejected, UserError
from evo_clrs.executors import base, wire
from evo_clrs.jail import linux
from evo_clrs.jail.frames import Frame, FrameError
from evo_clrs.records import Evaluation


def main() -> None:
    """Serves jobs until standard input ends."""
    _go_with_the_run()
    requests = sys.stdin.buffer
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    from evo_clrs import problems  # JAX starts here, after the device was chosen

    hello = wire.receive(requests).header
    problem = problems.make(hello["problem"], hello["options"])
    wire.send(replies, Frame({"ready": True}))
    while True:
        try:
            job = wire.read_job(wire.receive(requests))
        except FrameError:
            return
        try:
            evaluation = base.evaluate(problem, job)
        except Rejected as rejection:
            evaluation = Evaluation("rejected", rejection.stage, rejection.reason)
        except UserError:
            raise
        except Exception as error:  # a compiler or device that gives up costs one candidate
            words = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            reason = "".join(letter for letter in words if letter.isprintable())
            evaluation = Evaluation("rejected", "failed", reason)
        wire.send(replies, wire.evaluation_frame(_finite(evaluation)))


def _finite(evaluation: Evaluation) -> Evaluation:
    """Returns an evaluation as it is if all its metrics are numbers, else a rejection."""
    for name, value in evaluation.metrics.items():
        if not math.isfinite(value):
            return Evaluation("rejected", "failed", f"{name} is not finite", cost=evaluation.cost)
    return evaluation


def _go_with_the_run() -> None:
    """Has the kernel kill this process when the run is killed, and be first when memory is out."""
    if sys.platform != "linux":
        return
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")


if __name__ == "__main__":
    main()
