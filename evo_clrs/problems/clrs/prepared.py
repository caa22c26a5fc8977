"""A program made ready for the full protocol on one task: traced, gated, compiled."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax

from evo_clrs.errors import Rejected
from evo_clrs.gates import fingerprint, graph, mlir
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.clrs import influence
from evo_clrs.problems.clrs.model import Model
from evo_clrs.problems.clrs.problem import ClrsProblem, Keys
from evo_clrs.problems.clrs.score import Scorer
from evo_clrs.records import Graph
from evo_clrs.training import guards, loop

_GIB = 2.0**30


def prepare(problem: ClrsProblem, jail: Jail, source: str) -> "Prepared":
    """Takes a program through the jail and the graph gate, as a search does.

    It is traced at the size of test data too, in the same child, so that its parameters are the
    same there. What a search knows of it, its fingerprint included, is told of the other sizes.

    Raises:
      Rejected: at stage `trace` or `over_budget`; `failed` where the graph cannot be examined.
    """
    trained = problem.sizes
    sizes = tuple(dict.fromkeys((*trained, problem.test_size)))
    traced_at = jail.trace(problem.slot, source, sizes)
    known = dataclasses.replace(traced_at, sizes=traced_at.sizes[: len(trained)])
    _check_test(problem, traced_at)
    try:
        facts = problem.examine(known)
    except Rejected as rejection:
        if rejection.stage != "inert":
            raise
        counts = influence.count_parameters(problem.model(known))
        told: dict[str, Any] = {
            "parameters": counts.all,
            "live_parameters": counts.live,
            "fingerprint": fingerprint.fingerprint(mlir.read_graph(known)),
            "inert": True,
        }
        return Prepared(problem, problem.model(traced_at), told, reason=str(rejection))
    told = {
        "parameters": facts.parameters,
        "live_parameters": facts.live_parameters,
        "fingerprint": facts.fingerprint,
    }
    return Prepared(problem, problem.model(traced_at), told)


def _check_test(problem: ClrsProblem, graph_: Graph) -> None:
    """Takes the graph at the size of test data through the gate, which reads no other there."""
    at_test = dataclasses.replace(graph_, sizes=(graph_.at(problem.test_size),))
    try:
        graph.check(at_test, problem.limits)
    except Rejected as rejection:
        raise Rejected(rejection.stage, f"on test data, {rejection.reason}") from None


class Prepared:
    """A program around which a task's model is built; compiled once for all seeds."""

    def __init__(self, problem: ClrsProblem, model: Model, facts: dict[str, Any], reason: str = ""):
        """For `prepare`.

        Args:
          problem: the task.
          model: its model.
          facts: fields of a result: what the graph gate found.
          reason: why it is not to be trained; empty if it is.
        """
        self.facts = facts
        self.reason = reason
        self._problem = problem
        self._model = model
        self._training = problem.training
        self._seconds: dict[str, float] = {}
        self._compiled: loop.Compiled | None = None
        self._validate: Scorer | None = None
        self._final: Scorer | None = None

    @property
    def steps(self) -> int:
        """Steps of each training."""
        return self._training.steps

    def shapes(self) -> loop.State:
        """Returns the shapes of the state before the first step."""
        return loop.start(self._model.shapes(), self._training)

    def compile(self, memory_bytes: float | None) -> None:
        """Compiles steps and validation.

        Raises:
          Rejected: at stage `failed`: they need more than these bytes of memory.
        """
        self._training = _in_short_calls(self._problem)
        with guards.memory_guard():
            self._validate = self._problem.scorer(self._model, "validation")
            self._compiled = self._problem.compile_steps(self._model, self._training)
        self._seconds["compile"] = self._validate.compile_seconds + self._compiled.seconds
        _check_memory("training", self._compiled.temporary_bytes, memory_bytes)

    def train(
        self,
        seed: int,
        begin: loop.Outcome | None,
        on_call: Callable[[loop.Outcome], None],
    ) -> loop.Outcome:
        """Trains from a seed, or goes on; see `loop.train`."""
        assert self._compiled is not None and self._validate is not None, "compile comes first"
        return self._problem.train(
            self._model, self._training, seed, self._compiled, self._validate, begin, on_call
        )

    def score(
        self, outcome: loop.Outcome, seed: int, memory_bytes: float | None
    ) -> dict[str, float]:
        """Returns the test scores of a training's best parameters; reads test data.

        Raises:
          Rejected: at stage `failed`: memory does not do, or a prediction is not finite.
        """
        assert outcome.best is not None, "it was validated after the last step at least"
        with guards.memory_guard():
            if self._final is None:
                self._final = self._problem.scorer(self._model, "test")
                self._seconds["compile"] = self._final.compile_seconds
                analysis = self._final.forward.memory_analysis()
                needed = getattr(analysis, "temp_size_in_bytes", 0)
                _check_memory("scoring on test", needed, memory_bytes)
            begin = time.perf_counter()
            scores = self._final(outcome.best, Keys.of(seed).score)
            self._seconds["score"] = time.perf_counter() - begin
        return scores

    def take_seconds(self) -> dict[str, float]:
        """Returns seconds spent outside of the steps since this was last asked, by kind."""
        taken, self._seconds = self._seconds, {}
        return taken


def _in_short_calls(problem: ClrsProblem) -> loop.Training:
    """Returns the settings with calls of one cycle through the lengths, on a CPU.

    There a call of 50 steps may take minutes, in which nothing is shown or kept; on accelerators,
    where each call costs a wait, calls go from one validation to the next.
    """
    training = problem.training
    if jax.default_backend() != "cpu" or training.validate_every % problem.cycle:
        return training
    return dataclasses.replace(training, steps_per_call=problem.cycle)


def _check_memory(what: str, needed: float, limit: float | None) -> None:
    if limit is not None and needed > limit:
        raise Rejected(
            "failed",
            f"out of memory: {what} needs {needed / _GIB:.3g} GiB, limit {limit / _GIB:.3g} GiB",
        )
