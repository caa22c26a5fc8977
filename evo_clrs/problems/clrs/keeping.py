"""What is kept of trainings under the full protocol while they go on, and who is told of it."""

import contextlib
import dataclasses
import datetime
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from evo_clrs import results
from evo_clrs.errors import UserError
from evo_clrs.problems.clrs.data import Recipe
from evo_clrs.problems.clrs.prepared import Prepared
from evo_clrs.results import Result
from evo_clrs.training import loop
from evo_clrs.training.checkpoints import Checkpoints, Kept, on_host


class Watch(Protocol):
    """Is told what goes on, e.g. to show it."""

    def doing(self, what: str) -> None:
        """Something begins that takes a while, e.g. `tracing`."""

    def begin(self, title: str, step: int) -> None:
        """A training begins, or goes on after so many steps."""

    def called(self, step: int, losses: Sequence[float], scores: Mapping[str, float]) -> None:
        """So many steps are done; losses of the last ones, and scores if they were validated."""

    def finished(self, result: Result) -> None:
        """A training has its result, known from before or new."""


class Stopped(Exception):
    """The time is over: what was begun is in a checkpoint."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """When a run stops and keeps what it has.

    Attributes:
      deadline: moment of the monotonic clock at which it stops; None for none.
      checkpoint_seconds: time between two checkpoints of a training.
      memory_bytes: what the steps or the scoring of a training may need; None for what the
        device has.
    """

    deadline: float | None = None
    checkpoint_seconds: float = 60.0
    memory_bytes: float | None = None

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline


class Keeper:
    """Keeps the outcome so far of one training: now and then, and when it is broken off."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        begun: Kept | None,
        limits: Limits,
        watch: Watch,
        prepared: Prepared,
    ):
        self._checkpoints = checkpoints
        self._last = begun
        self._limits = limits
        self._watch = watch
        self._prepared = prepared
        self._wall_before = 0.0 if begun is None else begun.wall_seconds
        self._start = self._saved = time.monotonic()

    @property
    def step(self) -> int:
        """Steps done."""
        return 0 if self._last is None else int(self._last.outcome.state.step)

    def called(self, outcome: loop.Outcome) -> None:
        """Is told the outcome so far; raises Stopped when the time is over."""
        before, now = self.step, time.monotonic()
        self._last = Kept(on_host(outcome), self._wall_before + now - self._start)
        validated = outcome.validations and outcome.validations[-1][0] == self.step
        scores = outcome.validations[-1][1] if validated else {}
        self._watch.called(self.step, outcome.losses[before:].tolist(), scores)
        done = self.step == self._prepared.steps
        if done or self._limits.over or now - self._saved >= self._limits.checkpoint_seconds:
            self._save()
        if self._limits.over and not done:
            raise Stopped

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Keeps what there is when the training is interrupted."""
        try:
            yield
        except KeyboardInterrupt:
            self._save()
            raise

    def told(self) -> dict[str, Any]:
        """Returns what a result tells of the training so far."""
        seconds = {"wall": self._wall_before + time.monotonic() - self._start}
        found: dict[str, Any] = {"steps": self.step, "seconds": seconds}
        if self._last is not None:
            outcome = self._last.outcome
            seconds["train"] = outcome.train_seconds
            seconds["score"] = outcome.score_seconds
            seconds["compile"] = outcome.compile_seconds
            validations = [metrics["score"] for _, metrics in outcome.validations]
            found["validation"] = max(validations, default=None)
            found["best_step"] = outcome.best_step
        spent = self._prepared.take_seconds()
        for kind in results.SECONDS:
            seconds[kind] = seconds.get(kind, 0.0) + spent.get(kind, 0.0)
        return found

    def _save(self) -> None:
        if self._last is not None:
            self._checkpoints.save(self._last)
        self._saved = time.monotonic()


class Readings:
    """Records each reading of test data, before it is read."""

    def __init__(self, path: Path, blank: Result):
        self._path = path
        self._blank = blank
        self._seed = 0
        self._recipes: list[Recipe] = []

    def next(self, seed: int) -> None:
        """A training from this seed is about to be scored; what was read before is read again."""
        self._seed = seed
        for recipe in self._recipes:
            self._write(recipe)

    def record(self, recipe: Recipe) -> None:
        """See `Splits.record_test`."""
        self._recipes.append(recipe)
        self._write(recipe)

    def _write(self, recipe: Recipe) -> None:
        entry = {
            "program": self._blank.program,
            "name": self._blank.name,
            "task": self._blank.task,
            "seed": self._seed,
            "recipe": dataclasses.asdict(recipe),
            "time": now(),
        }
        try:
            with self._path.open("a") as file:
                file.write(json.dumps(entry) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"{self._path} cannot be written: {error.strerror}") from None


def now() -> str:
    """Returns the time of day, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
