"""A problem and an executor without training, for tests of the loop: what they test is the loop.

Programs, gates, jail and store are the real ones. The score is a fixed function of the graph.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from evo_clrs import programs
from evo_clrs.errors import Rejected
from evo_clrs.executors.base import Job, evaluate
from evo_clrs.gates import cost, fingerprint, mlir
from evo_clrs.records import Cost, Evaluation, Facts, Graph, make_size
from evo_clrs.slots import PROCESSOR
from evo_clrs.training.rungs import Climb, Rung


class ToyProblem:
    """Scores a processor by its fingerprint, after failing every program of the name given."""

    name = "toy"
    title = "toy"
    options: Mapping[str, object] = {}
    identity: Mapping[str, str | int | float] = {"problem": "toy", "task": "toy"}
    slot = PROCESSOR
    sizes = (make_size(B=2, N=3, H=8, K=2, R=2), make_size(B=2, N=4, H=8, K=2, R=2))
    score_key = "toy"
    training_seeds = (0,)
    instant = False
    remark = ""
    looks = range(10, 40, 10)

    def __init__(self, seeds: Mapping[str, str] | None = None, failing: Sequence[str] = ()):
        packaged = programs.load("processor")
        self._seeds = seeds or {name: packaged[name] for name in ("pgn", "gmpnn")}
        self._failing = failing
        self.evaluated = 0

    def seeds(self) -> Mapping[str, str]:
        return self._seeds

    def examine(self, graph: Graph) -> Facts:
        read = mlir.read_graph(graph)
        price = cost.cost(read)
        parameters = sum(_count(parameter.shape) for parameter in graph.parameters)
        return Facts(
            parameters=parameters,
            live_parameters=parameters,
            flops=price.flops,
            bytes=price.bytes,
            peak_bytes=price.peak_bytes,
            operations=price.operations,
            fingerprint=fingerprint.fingerprint(read),
        )

    def evaluate(
        self, graph: Graph, split: str, seeds: Sequence[int], rungs: Sequence[Rung] = ()
    ) -> Evaluation:
        self.evaluated += 1
        print_ = fingerprint.fingerprint(graph)
        if print_ in self._failing:
            raise Rejected("failed", "loss is not finite at step 1")
        accuracy = 0.5 + int(print_[:4], 16) / 2**17
        climb = Climb(rungs)
        for step in self.looks:
            early = accuracy * step / self.looks.stop - int(print_[4:8], 16) / 2**19
            if climb(step, early):
                accuracy = max(climb.scores.values())
                break
        metrics = {"val_accuracy": accuracy, "val_error": 1 - accuracy, **climb.metrics}
        if split == "selection":
            metrics["accuracy"] = accuracy - 0.01 * (seeds[0] % 2)
        return Evaluation(
            *("scored", climb.stage, climb.reason),
            metrics=metrics,
            seeds=tuple(seeds),
            cost=Cost(),
            budget=climb.budget(self.looks.stop),
        )

    def metrics(self, evaluation: Evaluation, facts: Facts) -> Mapping[str, float]:
        error = 1 - evaluation.metrics.get("accuracy", evaluation.metrics["val_accuracy"])
        return {
            **evaluation.metrics,
            "num_params": facts.parameters,
            "live_params": facts.live_parameters,
            "flops": facts.flops,
            "fitness": -facts.parameters * error,
        }


class ThreadExecutor:
    """Evaluates in threads of this process, out of order like the real ones."""

    workers = 2
    platform = "cpu"

    def __init__(self, problem: ToyProblem):
        self._problem = problem
        self._pool = ThreadPoolExecutor(self.workers)

    def submit(self, job: Job) -> "Future[Evaluation]":
        return self._pool.submit(self._evaluate, job)

    def close(self) -> None:
        self._pool.shutdown()

    def __enter__(self) -> "ThreadExecutor":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _evaluate(self, job: Job) -> Evaluation:
        try:
            return evaluate(self._problem, job)
        except Rejected as rejection:
            return Evaluation("rejected", rejection.stage, rejection.reason)


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total
