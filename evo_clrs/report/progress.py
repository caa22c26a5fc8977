"""What a long run is doing, how far it is, and how long it will take."""

import time
from collections.abc import Mapping
from typing import IO

import rich.progress_bar
import rich.table
import rich.text

from evo_clrs.records import Candidate
from evo_clrs.report.display import Display
from evo_clrs.report.text import duration, line, number, title

_DUPLICATES = ("duplicate_text", "duplicate_graph")


class Progress(Display):
    """How far a search is: a live bar on a terminal, plain lines elsewhere; use it with `with`."""

    def __init__(
        self, total: int | None = None, stream: IO[str] | None = None, done: int = 0
    ) -> None:
        """Starts nothing yet.

        Args:
          total: how many programs the run will look at, seeds included; None if unknown.
          stream: where to show it; standard error if None.
          done: how many were finished before (a resumed run); they do not count for time left.
        """
        super().__init__(stream)
        self.counts = {"scored": 0, "rejected": 0, "duplicate": 0}
        self._total = total
        self._done = self._done_before = done
        self._doing = "starting"
        self._best = ""
        self._best_fitness = float("-inf")

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
            self._doing = doing
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
        doing = rich.text.Text(line(self._doing, 80), style="dim")
        grid.add_row(doing, rich.text.Text(self._result()))
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
        return f"{self._numbers()}; {self._result()}; {line(self._doing, 80)}"
