"""The jail's own processes are killed while it traces: it starts new ones, blaming no program."""

import os
import random
import signal
import threading
import time

import pytest

from evo_clrs import programs
from evo_clrs.errors import Rejected
from evo_clrs.jail.jail import Jail
from evo_clrs.records import make_size
from evo_clrs.slots import PROCESSOR
from tests.faults import kills

SOURCE = programs.load("processor")["gmpnn"]
SIZES = (make_size(B=2, N=4, H=8, K=2, R=3),)


@pytest.fixture(scope="module")
def jail():
    with Jail() as jail:
        yield jail


@pytest.fixture(scope="module")
def whole(jail):
    jail.layers()
    begin = time.monotonic()
    graph = jail.trace(PROCESSOR, SOURCE, SIZES)
    return graph, time.monotonic() - begin


def trace_with_kills(jail, victim, delays):
    """Traces while another thread kills such a process, each so long after it was seen."""
    killed, over = [], threading.Event()

    def kill():
        for delay in delays:
            while not over.is_set():
                found = [p for p in kills.find(victim, os.getpid()) if p not in killed]
                if found:
                    time.sleep(delay)
                    try:
                        os.kill(found[0], signal.SIGKILL)
                    except ProcessLookupError:
                        continue  # it had ended
                    killed.append(found[0])
                    break
                time.sleep(0.001)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        return jail.trace(PROCESSOR, SOURCE, SIZES), killed
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("victim", "count"),
    [
        ("warm", 1),
        ("keeper", 1),
        pytest.param("warm", 10, marks=pytest.mark.slow),
        pytest.param("keeper", 10, marks=pytest.mark.slow),
    ],
)
def test_a_trace_whose_process_was_killed_comes_out_the_same(jail, whole, victim, count):
    graph, seconds = whole
    draws = random.Random(f"{victim}{count}")
    hit = 0
    for _ in range(20 * count):
        jail.layers()  # the warm process is there
        found, killed = trace_with_kills(jail, victim, [draws.uniform(0, seconds / 2)])
        assert found.parameters == graph.parameters
        assert [(s.size, s.init, s.apply) for s in found.sizes] == [
            (s.size, s.init, s.apply) for s in graph.sizes
        ]
        hit += len(killed)
        if hit >= count:
            break
    assert hit >= count


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_a_warm_process_that_is_killed_while_it_starts_is_started_again(jail, whole, delay):
    graph, _ = whole
    jail.close()
    found, killed = trace_with_kills(jail, "warm", [delay])
    assert len(killed) == 1
    assert found.parameters == graph.parameters


def test_a_jail_whose_warm_process_never_starts_says_so(jail):
    jail.close()
    with pytest.raises(RuntimeError, match="the jail does not work: "):
        trace_with_kills(jail, "warm", [0.0] * 8)


@pytest.mark.slow
def test_a_jail_that_is_lost_twice_says_so(jail, whole):
    """A program that has the kernel kill everything around it must not stop the search."""
    with pytest.raises(Rejected, match="the jail was lost twice while tracing it"):
        trace_with_kills(jail, "keeper", [0.0] * 8)
