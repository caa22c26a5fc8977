"""Progress of trainings: losses, scores and the time left; event files of what was told."""

import io

import pytest

from evo_clrs.report import display
from evo_clrs.report.events import Events
from evo_clrs.report.training import TrainingProgress
from evo_clrs.results import Result
from tests.report.events import scalars


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves by hand."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(display.time, "monotonic", lambda: Clock.now)
    return Clock


def result(status="scored", seed=0):
    scores = {"validation": 0.75, "test": 0.5} if status == "scored" else {}
    return Result("ab", "mine", "processor", "bfs", seed, status, **scores)


def test_plain_lines_tell_losses_scores_and_the_time_left(clock):
    stream = io.StringIO()
    with TrainingProgress(4, 1_000, stream=stream) as shown:
        shown.begin("mine-bfs-seed0", 0)
        clock.now += 30.0
        shown.called(50, [3.0] * 25 + [2.0] * 25, {"score": 0.75})
        clock.now += 30.0
        shown.called(100, [1.5] * 50, {"score": 0.5})
    assert stream.getvalue().splitlines()[-1] == (
        "0 of 4 trainings; training mine-bfs-seed0; step 100 of 1,000; loss 1.5000; "
        "validation 0.5000, best 0.7500; 1 min 00 s so far, about 39 min 00 s left"
    )
    assert "loss 2.5000; validation 0.7500, best 0.7500" in stream.getvalue()


def test_steps_done_before_do_not_count_for_the_time_left(clock):
    with TrainingProgress(1, 1_000, stream=io.StringIO()) as shown:
        assert shown.seconds_left() is None
        shown.begin("mine-bfs-seed0", 900)
        clock.now += 5.0
        shown.called(950, [1.0] * 50, {})
        assert shown.seconds_left() == pytest.approx(5.0)


def test_what_is_not_scored_is_counted(clock):
    stream = io.StringIO()
    with TrainingProgress(3, 10, stream=stream) as shown:
        shown.finished(result())
        shown.finished(result("failed", 1))
    last = stream.getvalue().splitlines()[-1]
    assert last.startswith("2 of 3 trainings, 1 not scored; finished mine on bfs from seed 1")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_live_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with TrainingProgress(2, 10, stream=stream) as shown:
        shown.begin("mine-bfs-seed0", 0)
        shown.called(5, [1.0] * 5, {"score": 0.5})
    assert "━" in stream.getvalue() and "0 of 2 trainings" in stream.getvalue()


def test_losses_and_scores_are_in_event_files_once(tmp_path):
    with (
        Events(tmp_path) as events,
        TrainingProgress(1, 10, events, io.StringIO()) as shown,
    ):
        shown.begin("mine-bfs-seed0", 0)
        shown.called(2, [4.0, 3.0], {})
        shown.called(4, [2.5, 2.0], {"score": 0.5, "pi": 0.5})
        shown.begin("mine-bfs-seed0", 2)  # killed, and gone on with from a checkpoint
        shown.called(4, [2.5, 2.0], {"score": 0.5, "pi": 0.5})
    assert scalars(tmp_path / "mine-bfs-seed0") == {
        "loss": {1: 4.0, 2: 3.0, 3: 2.5, 4: 2.0},
        "validation/score": {4: 0.5},
        "validation/pi": {4: 0.5},
    }
