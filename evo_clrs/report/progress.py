"""What a long run is doing, how far it is, and how long it will take."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import IO

import rich.console
import rich.live
import rich.progress_bar
import rich.table
import rich.text

from evo_clrs.records import Candidate
from evo_clrs.report.text import clean, duration, line, number, title

# Without a terminal: a line at least this often while something is going on, and one for each
# finished program, but no more than one a second.
QUIET_SECONDS = 10.0
HASTY_SECONDS = 1.0
# A terminal is drawn anew when something changes, at most so often, and without a thread, which
# would not survive a fork.
DRAWING_SECONDS = 0.1
_DUPLICATES = ("duplicate_text", "duplicate_graph")


class Progress:
    """A live bar on a terminal, plain lines elsewhere; use it with `with`.

    It never breaks a run: a stream that is closed or full is no longer written to.
    """

    def __init__(
        self, total: int | None = None, stream: IO[str] | None = None, done: int = 0
    ) -> None:
        """Starts nothing yet.

        Args:
          total: how many programs the run will look at, seeds included; None if unknown.
          stream: where to show it; standard error if None.
          done: how many were finished before (a resumed run); they do not count for time left.
        """
        self.counts = {"scored": 0, "rejected": 0, "duplicate": 0}
        self._total = total
        self._done = self._done_before = done
        self._doing = "starting"
        self._best = ""
        self._best_fitness = float("-inf")
        self._start = self._last_line = time.monotonic()
        self._stream = sys.stderr if stream is None else stream
        self._live: rich.live.Live | None = None
        self._broken = False

    def __enter__(self) -> "Progress":
        self._start = time.monotonic()
        with self._guard():
            if self._stream.isatty():
                console = _Console(file=self._stream)
                self._live = rich.live.Live(
                    self, console=console, auto_refresh=False, transient=True
                )
                self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._guard():
            if self._live is not None:
                self._live.stop()
                self._live = None
            self._print(self._line())

    def update(
        self,
        doing: str | None = None,
        counts: Mapping[str, int] | None = None,
        best: str | float | None = None,
        total: int | None = None,
    ) -> None:
        """Changes what is shown; None leaves a part as it is.

        Args:
          doing: what the run is at, e.g. `tracing program 7`.
          counts: any of scored, rejected, duplicate.
          best: the best so far, as a fitness or in words.
          total: how many programs the run will look at, once that is known.
        """
        if doing is not None:
            self._doing = line(doing, 80)
        if counts is not None:
            self.counts.update(counts)
        if best is not None:
            self._best = line(best) if isinstance(best, str) else number(best)
        if total is not None:
            self._total = total
        self._show(finished=False)

    def finished(self, candidate: Candidate) -> None:
        """Counts a candidate that has its evaluation, and keeps the best."""
        evaluation = candidate.evaluation
        if evaluation is None:
            return
        self._done += 1
        if evaluation.stage in _DUPLICATES:
            self.counts["duplicate"] += 1
        elif evaluation.stage == "stopped":
            self.counts["stopped"] = self.counts.get("stopped", 0) + 1
        else:
            self.counts["scored" if evaluation.scored else "rejected"] += 1
        fitness = evaluation.metrics.get("fitness", float("-inf"))
        if evaluation.scored and not evaluation.stopped and fitness > self._best_fitness:
            self._best_fitness = fitness
            self._best = f"{number(fitness)} ({title(candidate)})"
        self._show(finished=True)

    def seconds_left(self) -> float | None:
        """Returns the time left at the pace of this process, None if there is no telling yet."""
        done = self._done - self._done_before
        if self._total is None or done < 1:
            return None
        pace = (time.monotonic() - self._start) / done
        return pace * max(self._total - self._done, 0)

    def __rich__(self) -> rich.table.Table:
        """The live bar; rich calls this to draw it."""
        grid = rich.table.Table.grid(padding=(0, 1))
        bar = rich.progress_bar.ProgressBar(self._total, self._done, width=24)
        grid.add_row(bar, rich.text.Text(self._numbers()))
        grid.add_row(rich.text.Text(self._doing, style="dim"), rich.text.Text(self._result()))
        return grid

    def _numbers(self) -> str:
        total = "" if self._total is None else f" of {self._total}"
        counts = ", ".join(f"{number} {name}" for name, number in self.counts.items())
        return f"{self._done}{total} programs: {counts}"

    def _result(self) -> str:
        left = self.seconds_left()
        spent = duration(time.monotonic() - self._start)
        times = (
            f"{spent} so far" if left is None else f"{spent} so far, about {duration(left)} left"
        )
        return f"best {self._best}; {times}" if self._best else times

    def _line(self) -> str:
        return f"{self._numbers()}; {self._result()}; {self._doing}"

    def _show(self, finished: bool) -> None:
        with self._guard():
            now = time.monotonic()
            if self._live is not None:
                if now - self._last_line >= DRAWING_SECONDS:
                    self._live.refresh()
                    self._last_line = now
            elif now - self._last_line >= (HASTY_SECONDS if finished else QUIET_SECONDS):
                self._print(self._line())
                self._last_line = now

    def _print(self, text: str) -> None:
        if not self._broken:
            self._stream.write(clean(text) + "\n")
            self._stream.flush()

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Gives up showing, never the run, when the stream fails."""
        try:
            yield
        except (OSError, ValueError):
            self._broken = True
            live, self._live = self._live, None
            if live is not None:
                with contextlib.suppress(OSError, ValueError):
                    live.stop()  # gives standard output back


class _Console(rich.console.Console):
    """A console that leaves a closed pipe to its user; rich would exit the process."""

    def on_broken_pipe(self) -> None:
        """Goes on without showing anything."""
        self.quiet = True
