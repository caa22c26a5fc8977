"""How far trainings under the full protocol are: losses, validation scores, time left."""

import time
from collections.abc import Mapping, Sequence
from typing import IO

import rich.progress_bar
import rich.table
import rich.text

from evo_clrs.report.display import Display
from evo_clrs.report.events import Events
from evo_clrs.report.text import duration, line, number, plural
from evo_clrs.results import Result

_SMOOTHED = 50  # steps over which the loss shown is averaged


class TrainingProgress(Display):
    """A live bar on a terminal, plain lines elsewhere, and event files; use it with `with`."""

    def __init__(
        self,
        trainings: int,
        steps: int,
        events: Events | None = None,
        stream: IO[str] | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
          trainings: how many there are, those finished before included.
          steps: of each of them.
          events: where losses and scores are written; None for nowhere.
          stream: where to show it; standard error if None.
        """
        super().__init__(stream)
        self._trainings = trainings
        self._steps = steps
        self._events = events
        self._finished = 0
        self._not_scored = 0
        self._title = ""
        self._doing = "starting"
        self._step = 0
        self._losses: list[float] = []
        self._score: float | None = None
        self._best: float | None = None
        self._done_here, self._spent_on_steps = 0, 0.0  # tracing and compiling left out
        self._told = time.monotonic()

    def doing(self, what: str) -> None:
        """Something begins that takes a while, e.g. `tracing`."""
        self._doing = line(what, 80)
        self._show(finished=False)

    def begin(self, title: str, step: int) -> None:
        """A training begins, or goes on after so many steps."""
        self._title, self._step, self._losses = line(title, 60), step, []
        self._score = self._best = None
        self._told = time.monotonic()
        if self._events is not None:
            self._events.begin(title, step)
        self.doing(f"training {title}")

    def called(self, step: int, losses: Sequence[float], scores: Mapping[str, float]) -> None:
        """So many steps are done; losses of the last ones, and scores if they were validated."""
        now = time.monotonic()
        self._spent_on_steps, self._told = self._spent_on_steps + now - self._told, now
        self._done_here += step - self._step
        self._step = step
        self._losses = [*self._losses, *losses][-_SMOOTHED:]
        if "score" in scores:
            self._score = scores["score"]
            self._best = max(self._score, self._score if self._best is None else self._best)
        if self._events is not None:
            self._events.tell(step, losses, scores)
        self._show(finished=False)

    def finished(self, result: Result) -> None:
        """A training has its result, known from before or new."""
        self._finished += 1
        self._not_scored += result.status != "scored"
        self._title, self._step, self._losses, self._score = "", 0, [], None
        self._doing = f"finished {result.name} on {result.task} from seed {result.seed}"
        self._show(finished=True)

    def seconds_left(self) -> float | None:
        """Returns the time left at the pace of this process, None if there is no telling yet."""
        if not self._done_here:
            return None
        left = (self._trainings - self._finished) * self._steps - self._step
        return max(left, 0) * self._spent_on_steps / self._done_here

    def __rich__(self) -> rich.table.Table:
        """The live bar; rich calls this to draw it."""
        grid = rich.table.Table.grid(padding=(0, 1))
        done = self._finished * self._steps + self._step
        bar = rich.progress_bar.ProgressBar(self._trainings * self._steps, done, width=24)
        grid.add_row(bar, rich.text.Text(f"{self._counts()}; {self._times()}"))
        grid.add_row(rich.text.Text(self._doing, style="dim"), rich.text.Text(self._numbers()))
        return grid

    def _counts(self) -> str:
        told = f"{self._finished} of {plural(self._trainings, 'training')}"
        return f"{told}, {self._not_scored} not scored" if self._not_scored else told

    def _numbers(self) -> str:
        parts = []
        if self._title:
            parts.append(f"step {number(self._step)} of {number(self._steps)}")
        if self._losses:
            parts.append(f"loss {number(sum(self._losses) / len(self._losses))}")
        if self._score is not None:
            parts.append(f"validation {number(self._score)}, best {number(self._best)}")
        return "; ".join(parts)

    def _times(self) -> str:
        left, spent = self.seconds_left(), duration(time.monotonic() - self._start)
        return f"{spent} so far" + ("" if left is None else f", about {duration(left)} left")

    def _line(self) -> str:
        return "; ".join(
            filter(None, (self._counts(), self._doing, self._numbers(), self._times()))
        )
