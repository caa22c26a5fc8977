"""Rungs on training steps: a training that falls behind the others at one of them is stopped.

The rule is that of successive halving, asked of each training as it comes and never taken back
(the stopping variant of asynchronous successive halving): at a rung a training goes on if it is
among the best share of those that reached that rung before and itself. Pure: what a training needs
depends on what was told of others, not on who trains when.

References: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization", AISTATS 2016, https://arxiv.org/abs/1502.07943; Li, Jamieson, Rostamizadeh, Gonina,
Ben-Tzur, Hardt, Recht and Talwalkar, "A System for Massively Parallel Hyperparameter Tuning"
(ASHA), MLSys 2020, https://arxiv.org/abs/1810.05934.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from evo_clrs.errors import UserError


@dataclasses.dataclass(frozen=True)
class Halving:
    """When trainings are stopped.

    Attributes:
      steps: steps done at each rung, ascending; none stops nothing.
      keep: share of those at a rung that goes on (1 / eta of the papers); 1 stops nothing.
      least: how many must have been told at a rung before anything is stopped there.

    Raises:
      UserError: a value is out of range.
    """

    steps: tuple[int, ...] = ()
    keep: float = 0.5
    least: int = 6

    def __post_init__(self) -> None:
        if list(self.steps) != sorted(set(self.steps)) or any(step < 1 for step in self.steps):
            told = ",".join(map(str, self.steps))
            raise UserError(f"--rungs must be steps above zero in ascending order, got {told}")
        if not 0 < self.keep <= 1:
            raise UserError(f"--keep must be above 0 and at most 1, got {self.keep}")
        if self.least < 1:
            raise UserError(f"--least_at_rung must be 1 or more, got {self.least}")

    def thresholds(self, told: Sequence[Sequence[float]]) -> tuple[float, ...]:
        """Returns the worst value at each rung with which one more training goes on.

        Args:
          told: for each training told so far, its value at each rung that it reached, in order;
            more is better. One that was stopped at a rung reached it, and none after.

        Returns:
          With n values told at a rung, the k-th best of them, k = floor(keep (n + 1)) and at least
          1; minus infinity where k is more than n, or too few were told.
        """
        found = []
        for rung in range(len(self.steps)):
            values = sorted((own[rung] for own in told if len(own) > rung), reverse=True)
            going_on = max(1, math.floor(round(self.keep * (len(values) + 1), 9)))
            free = len(values) < self.least or going_on > len(values)
            found.append(-math.inf if free else values[going_on - 1])
        return tuple(found)


class Rung(NamedTuple):
    """What one training is asked for.

    Attributes:
      step: steps done.
      at_least: the score, 0 to 1, that it must have by then to go on; 0 lets every one go on.
    """

    step: int
    at_least: float = 0.0


class Climb:
    """One training on its way up the rungs: the `stop` of `loop.train`.

    Attributes:
      scores: the score so far at each rung reached.
      stopped: the rung at which it was stopped, None while it was not.
    """

    def __init__(self, rungs: Sequence[Rung], best_counts: bool = True):
        """Begins below the first rung.

        Args:
          rungs: what is asked for, at steps that are validated.
          best_counts: whether the best validation so far is the score, as against the last.
        """
        self.scores: dict[int, float] = {}
        self.stopped: Rung | None = None
        self._rungs = {rung.step: rung for rung in rungs}
        self._best_counts = best_counts
        self._score = -math.inf

    def __call__(self, step: int, score: float) -> bool:
        """Takes in a validation; returns whether the training is to end here."""
        self._score = max(self._score, score) if self._best_counts else score
        rung = self._rungs.get(step)
        if rung is None:
            return False
        self.scores[step] = self._score
        if self._score < rung.at_least:
            self.stopped = rung
        return self.stopped is not None

    @property
    def stage(self) -> str:
        """The stage of its evaluation: `stopped` or `scored`."""
        return "scored" if self.stopped is None else "stopped"

    @property
    def reason(self) -> str:
        """Why it was stopped, in one line; empty where it was not."""
        if self.stopped is None:
            return ""
        step, needed = self.stopped
        return f"stopped at step {step} with accuracy {self._score:.4f}: {needed:.4f} was needed"

    @property
    def metrics(self) -> Mapping[str, float]:
        """The score so far at each rung reached, by its name among the metrics."""
        return {metric_at(step): score for step, score in self.scores.items()}

    def budget(self, steps: int) -> Mapping[str, float]:
        """Returns the steps done, and where it was stopped those planned."""
        if self.stopped is None:
            return {"steps": steps}
        return {"steps": self.stopped.step, "planned_steps": steps}


def metric_at(step: int) -> str:
    """Returns the name of the metric that holds the score so far at a rung."""
    return f"val_accuracy_at_{step}"


def replay(
    halving: Halving, values: Sequence[Sequence[float]], rounds: Sequence[Sequence[int]]
) -> dict[int, int]:
    """Returns which trainings would have been stopped, and at which rung, from 0.

    The first round is never stopped, as seeds are not; each later one is compared with those
    before it.

    Args:
      halving: the rule.
      values: for each training, its value at every rung.
      rounds: the trainings of each round, told together.
    """
    stopped: dict[int, int] = {}
    told: list[Sequence[float]] = []
    for number, trainings in enumerate(rounds):
        needed = halving.thresholds(told)
        for training in trainings:
            own = values[training]
            for rung, value in enumerate(own):
                if number and value < needed[rung]:
                    stopped[training] = rung
                    own = own[: rung + 1]
                    break
            told.append(own)
    return stopped
