"""An interruption ends the workers, also one that is being started at that moment."""

import subprocess
import threading

import pytest

from evo_clrs.executors import Job, LocalExecutor, Placement, local
from evo_clrs.jail.frames import FrameError
from evo_clrs.records import Design
from tests.executors.test_limits import MODULE, Named


def test_a_worker_that_starts_while_the_run_closes_is_ended(monkeypatch):
    started, closing = threading.Event(), threading.Event()
    real = subprocess.Popen

    def slowly(*arguments, **options):
        started.set()
        assert closing.wait(30)
        return real(*arguments, **options)

    monkeypatch.setattr(local.subprocess, "Popen", slowly)
    executor = LocalExecutor(Named(), Placement(workers=1, platform="cpu"), MODULE)
    future = executor.submit(Job(Design("cells", "hang", ()), "validation", (0,)))
    assert started.wait(30)
    thread = threading.Thread(target=executor.close, daemon=True)
    thread.start()
    while not executor._closed:
        pass
    thread.join(0.2)
    closing.set()
    thread.join(20)
    assert not thread.is_alive(), "it waits for a training that nobody wants"
    with pytest.raises((FrameError, OSError)):
        future.result(0)
