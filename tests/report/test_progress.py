"""Progress tells what goes on, and never breaks a run."""

import dataclasses
import io
import re

import pytest

from evo_clrs.records import Candidate, Evaluation
from evo_clrs.report import display
from evo_clrs.report.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves by hand."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(display.time, "monotonic", lambda: Clock.now)
    return Clock


def finished(index, stage, fitness=None):
    status = "rejected" if fitness is None else "scored"
    metrics = {} if fitness is None else {"fitness": fitness}
    return Candidate(
        index, f"p{index}", "", ("p",), 0, evaluation=Evaluation(status, stage, "", metrics)
    )


def test_plain_lines_say_what_where_and_how_long(clock):
    stream = io.StringIO()
    with Progress(total=40, stream=stream) as shown:
        for index, (stage, fitness) in enumerate(
            [("scored", -9.0), ("trace", None), ("duplicate_text", None), ("scored", -4.5)]
            + [("duplicate_graph", -4.5)]
        ):
            clock.now += 6.0
            shown.update(doing=f"tracing program {index}")
            shown.finished(finished(index, stage, fitness))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6  # one for each, and one at the end
    assert lines[-1] == (
        "5 of 40 programs: 2 scored, 1 rejected, 2 duplicate; best -4.5000 (#3); "
        "30.0 s so far, about 3 min 30 s left; tracing program 4"
    )


def test_programs_that_were_stopped_are_counted_and_never_the_best(clock):
    stream = io.StringIO()
    stopped = finished(1, "stopped", -1.0)
    evaluation = dataclasses.replace(stopped.evaluation, budget={"steps": 1, "planned_steps": 2})
    with Progress(total=2, stream=stream) as shown:
        shown.finished(finished(0, "scored", -4.5))
        shown.finished(dataclasses.replace(stopped, evaluation=evaluation))
    last = stream.getvalue().splitlines()[-1]
    assert "1 scored, 0 rejected, 0 duplicate, 1 stopped; best -4.5000 (#0)" in last


def test_lines_are_neither_too_many_nor_too_few(clock):
    stream = io.StringIO()
    with Progress(total=None, stream=stream) as shown:
        for index in range(1000):  # a thousand in a second
            clock.now += 0.001
            shown.finished(finished(index, "scored", float(index)))
        hasty = stream.getvalue().count("\n")
        assert hasty <= 2
        for _ in range(60):  # a minute in which nothing is finished
            clock.now += 1.0
            shown.update(doing="training 2 programs")
        assert stream.getvalue().count("\n") - hasty == 6


def test_time_left_counts_from_this_start_only(clock):
    shown = Progress(total=100, stream=io.StringIO(), done=90)
    with shown:
        assert shown.seconds_left() is None
        clock.now += 8.0
        shown.finished(finished(90, "scored", 1.0))
        assert shown.seconds_left() == pytest.approx(9 * 8.0)
        shown.update(total=200)
        assert shown.seconds_left() == pytest.approx(109 * 8.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_live_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with Progress(total=3, stream=stream) as shown:
        shown.update(doing="training", counts={"scored": 2}, best=-4.5)
        shown.finished(finished(0, "trace"))
    text = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", stream.getvalue())
    assert "━" in text
    assert "1 of 3 programs: 2 scored, 1 rejected, 0 duplicate" in text
    assert "best -4.5000" in text and "training" in text
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h")  # cursor


class Broken(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [Broken(False), Broken(True), io.StringIO()])
def test_a_stream_that_fails_does_not_break_the_run(stream, clock):
    if type(stream) is io.StringIO:
        stream.close()
    with Progress(total=3, stream=stream) as shown:
        clock.now += 60.0
        shown.update(doing="x", best="so good")
        shown.finished(finished(0, "scored", 1.0))
        shown.finished(finished(1, "trace"))
    assert shown.counts == {"scored": 1, "rejected": 1, "duplicate": 0}


def test_an_error_within_passes_through():
    with pytest.raises(KeyboardInterrupt), Progress(1, io.StringIO()):
        raise KeyboardInterrupt


def test_words_of_a_program_are_made_harmless():
    stream = io.StringIO()
    with Progress(1, stream) as shown:
        shown.update(doing="tracing \x1b[31m[bold]x\nnext")
    assert stream.getvalue().endswith("tracing [bold]x next\n")
