"""Where candidates are trained. A new executor is one file and one line here."""

from collections.abc import Callable, Mapping

from evo_clrs.errors import UserError
from evo_clrs.executors.base import Executor, Job, Placement
from evo_clrs.executors.inline import InlineExecutor
from evo_clrs.executors.local import LocalExecutor
from evo_clrs.problems.base import Problem

__all__ = ["REGISTRY", "Executor", "InlineExecutor", "Job", "LocalExecutor", "Placement", "make"]

REGISTRY: Mapping[str, Callable[[Problem, Placement], Executor]] = {"local": LocalExecutor}


def make(name: str, problem: Problem, placement: Placement) -> Executor:
    """Returns the executor of this name, ready to train candidates of a problem.

    A problem whose scores are looked up gets one that does so in this process, whatever the name.

    Raises:
      UserError: there is no such executor, or its platform is unknown.
    """
    if name not in REGISTRY:
        raise UserError(f"--executor must be one of {', '.join(REGISTRY)}, got {name!r}")
    if problem.instant:
        return InlineExecutor(problem, placement)
    return REGISTRY[name](problem, placement)
