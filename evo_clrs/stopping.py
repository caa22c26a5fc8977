"""Early stopping in a search: what was told at the rungs, and what a training needs to go on."""

from collections.abc import Sequence

from evo_clrs.errors import UserError
from evo_clrs.problems.base import Problem, Stoppable
from evo_clrs.records import Candidate, Evaluation, Facts
from evo_clrs.training.rungs import Halving, Rung, metric_at

_BISECTIONS = 40  # to within 1e-12 of an accuracy


class Stopping:
    """Turns the rule of `training.rungs` into what each candidate's training must reach.

    What is compared at a rung is the fitness that a program would have if its training ended
    there: it is what strategies rank by. State is what was told, in order, and nothing else: a
    resumed run tells the same.
    """

    def __init__(self, problem: Problem, halving: Halving):
        """Begins with nothing told.

        Raises:
          UserError: the problem has no such rungs.
        """
        self._problem = problem
        self._halving = halving
        self._told: list[list[float]] = []
        check(problem, halving)

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Takes in candidates that the strategy is told; each function counts once."""
        names = [metric_at(step) for step in self._halving.steps]
        for candidate in candidates if names else ():
            evaluation = candidate.evaluation
            if evaluation is None or not evaluation.scored or evaluation.reused_from is not None:
                continue
            assert evaluation.facts is not None
            metrics = evaluation.metrics
            reached = [metrics[name] for name in names if name in metrics]
            values = [fitness_at(self._problem, evaluation.facts, score) for score in reached]
            self._told.append(values)

    def rungs(self, candidate: Candidate, facts: Facts) -> tuple[Rung, ...]:
        """Returns what a candidate's training must reach; seeds are watched and never stopped."""
        steps = self._halving.steps
        if candidate.request is None:
            return tuple(Rung(step) for step in steps)
        needed = self._halving.thresholds(self._told)
        return tuple(
            Rung(step, self._accuracy_for(facts, value))
            for step, value in zip(steps, needed, strict=True)
        )

    def _accuracy_for(self, facts: Facts, value: float) -> float:
        """Returns the accuracy with which a program with these facts has this fitness."""
        low, high = 0.0, 1.0
        if fitness_at(self._problem, facts, low) >= value:
            return low
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            if fitness_at(self._problem, facts, middle) >= value:
                high = middle
            else:
                low = middle
        return low  # on the side of going on, so that rounding stops nobody


def check(problem: Problem, halving: Halving) -> None:
    """Raises UserError where a problem cannot be stopped at these rungs."""
    if not halving.steps:
        return
    if not isinstance(problem, Stoppable):
        raise UserError(
            f"problem {problem.name} looks at no validation data on the way of a training: leave "
            "out --rungs"
        )
    looks = problem.looks
    for step in halving.steps:
        if step not in looks:
            raise UserError(
                f"--rungs: no validation after step {step}; they come every {looks.step} steps "
                f"(--validate_every), the last rung before step {looks.stop} (--train_steps)"
            )


def fitness_at(problem: Problem, facts: Facts, accuracy: float) -> float:
    """Returns the fitness that a program with these facts has at a validation accuracy."""
    measured = {"val_accuracy": accuracy, "val_error": 1.0 - accuracy}
    return problem.metrics(Evaluation("scored", "scored", metrics=measured), facts)["fitness"]
