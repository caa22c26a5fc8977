"""MNIST-1D as a problem: whole networks under one training budget."""

import dataclasses
import functools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from evo_clrs.errors import Rejected, UserError
from evo_clrs.gates import fingerprint, graph, liveness, mlir
from evo_clrs.problems import slot_function, traced
from evo_clrs.problems.descriptors import width_to_depth
from evo_clrs.problems.mnist1d.data import HELD_OUT, Samples, Splits
from evo_clrs.problems.mnist1d.trial import Trial, size_of
from evo_clrs.records import Cost, Evaluation, Facts, Graph, Size, Work
from evo_clrs.slots import NETWORK
from evo_clrs.training import loop
from evo_clrs.training.rungs import Climb, Rung


@dataclasses.dataclass(frozen=True)
class Options:
    """The budget under which networks compete; defaults are those of EvoPrompting's search.

    The paper leaves weight decay, clip and the steps between validations open.

    Attributes:
      seeds: names of packaged programs or paths of files to start from; empty for the usual ones.
      train_steps: training steps for each program.
      batch_size: samples in each step.
      learning_rate: learning rate of the optimizer.
      optimizer: adam or adamw.
      weight_decay: weight decay of adamw.
      clip_norm: gradients of a larger global norm are scaled down to it; 0 for no clip.
      validate_every: steps between two looks at validation data.
      score_step: step whose validation counts: best (of all looks, as the paper) or last.
      trainings: training seeds for each program; metrics are their means.
      fitness: size_times_error (minus parameters times error, as the paper) or accuracy.
      matmul_precision: precision of matrix products: float32, tensorfloat32 or bfloat16.
      max_memory: GiB that one training pass through a program may need, as predicted.
      max_gflops: GFLOPs that one training pass through a program may take, as predicted.
      max_operations: operations of a graph with its gradient, which set its compile time.
    """

    seeds: tuple[str, ...] = ()
    train_steps: int = 8000
    batch_size: int = 128
    learning_rate: float = 0.01
    optimizer: str = "adamw"
    weight_decay: float = 1e-4
    clip_norm: float = 0.0
    validate_every: int = 200
    score_step: str = "best"
    trainings: int = 1
    fitness: str = "size_times_error"
    matmul_precision: str = "float32"
    max_memory: float = 1.0
    max_gflops: float = 2.0
    max_operations: int = 10_000

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not isinstance(value, int | float):
                continue
            if name in ("weight_decay", "clip_norm"):
                if not 0 <= value < math.inf:
                    raise UserError(f"--{name} must be 0 or more, got {value}")
            elif not 0 < value < math.inf:
                raise UserError(f"--{name} must be above zero, got {value}")
        for name, choices in (
            ("optimizer", loop.OPTIMIZERS),
            ("score_step", ("best", "last")),
            ("fitness", ("size_times_error", "accuracy")),
            ("matmul_precision", ("float32", "tensorfloat32", "bfloat16")),
        ):
            if getattr(self, name) not in choices:
                raise UserError(
                    f"--{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )


OPTIONS = (Options,)

# Options that change what is refused or started from, never a score.
_NOT_RESULTS = ("seeds",)


def make(options: Options) -> "Mnist1dProblem":
    """Returns the problem with these options."""
    return Mnist1dProblem(options)


class Mnist1dProblem:
    """MNIST-1D under a budget; see `problems.base.Problem` for the contract."""

    name = "mnist1d"
    title = "mnist1d"
    instant = False
    slot = NETWORK
    remark = ""

    def __init__(self, options: Options, splits: Splits | None = None):
        """Data are made when they are first needed.

        Args:
          options: the budget.
          splits: the data, by default as a search may read them: all but test.
        """
        self._options = options
        self._splits = splits or Splits(HELD_OUT)
        self.options: Mapping[str, object] = vars(options)
        self.sizes: tuple[Size, ...] = (size_of(options.batch_size),)
        self.training_seeds = tuple(range(options.trainings))

    @functools.cached_property
    def identity(self) -> Mapping[str, str | int | float]:
        """Options that shape results, and the seeds as identities of programs."""
        shaping: dict[str, str | int | float] = {
            name: value if isinstance(value, str | int | float) else str(value)
            for name, value in self.options.items()
            if name not in _NOT_RESULTS
        }
        return shaping | {"seeds": traced.known_as(self.seeds()), "jax": jax.__version__}

    @functools.cached_property
    def score_key(self) -> str:
        """All that shapes a score besides the graph and the training seeds."""
        shaping = {k: v for k, v in self.identity.items() if k != "seeds"}
        return json.dumps({"problem": self.name, **shaping}, sort_keys=True)

    def seeds(self) -> Mapping[str, str]:
        """Returns the programs that the options name, or else the slot's usual seeds."""
        return traced.find_seeds(self.slot.name, self._options.seeds)

    def examine(self, work: Work) -> Facts:
        """Returns what is known of a graph before training, see `Problem.examine`."""
        assert isinstance(work, Graph)
        options = self._options
        read = mlir.read_graph(work)
        limits = traced.graph_limits(options.max_gflops, options.max_memory, options.max_operations)
        price = graph.check(read, limits)
        (reached,) = liveness.output_dependencies(read.forward[0])
        counts = [math.prod(parameter.shape) for parameter in work.parameters]
        live = sum(count for position, count in enumerate(counts) if position in reached)
        signals = len(counts) + 1  # after the parameters and the key
        if not live:
            raise Rejected("inert", "no parameter can change its logits")
        if signals not in reached:
            raise Rejected("inert", "its logits do not depend on the signal")
        return Facts(
            parameters=sum(counts),
            live_parameters=live,
            flops=price.flops,
            bytes=price.bytes,
            peak_bytes=price.peak_bytes,
            operations=price.operations,
            fingerprint=fingerprint.fingerprint(read),
        )

    @property
    def looks(self) -> range:
        """Steps at which a training is validated on its way."""
        every = self._options.validate_every
        return range(every, self._options.train_steps, every)

    def evaluate(
        self, work: Work, split: str, seeds: Sequence[int], rungs: Sequence[Rung] = ()
    ) -> Evaluation:
        """Trains and scores a graph, see `Stoppable.evaluate`."""
        assert isinstance(work, Graph)
        with traced.forgetting(), jax.default_matmul_precision(self._options.matmul_precision):
            final = None if split == "validation" else self._splits.samples(split)
            return self._evaluate(work, final, seeds, rungs)

    def metrics(self, evaluation: Evaluation, facts: Facts) -> Mapping[str, float]:
        """Adds sizes and fitness to measured metrics, see `Problem.metrics`."""
        measured = evaluation.metrics
        accuracy = measured.get("accuracy", measured["val_accuracy"])
        by_size = self._options.fitness == "size_times_error"
        return {
            **measured,
            "num_params": facts.parameters,
            "live_params": facts.live_parameters,
            "flops": facts.flops,
            "fitness": -facts.parameters * (1.0 - accuracy) if by_size else accuracy,
        }

    def _evaluate(
        self, work: Graph, final: Samples | None, seeds: Sequence[int], rungs: Sequence[Rung]
    ) -> Evaluation:
        options = self._options
        training = loop.Training(
            steps=options.train_steps,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            clip_norm=options.clip_norm or math.inf,
            optimizer=options.optimizer,
            weight_decay=options.weight_decay,
            steps_per_call=loop.steps_in_a_call(options.validate_every),
            validate_every=options.validate_every,
        )
        trial = Trial(slot_function.from_graph(work), training, self._train)
        validate = trial.scorer(self._validation)
        test = trial.scorer(final) if final else None
        results: list[dict[str, float]] = []
        spent = Cost(compile_seconds=trial.compile_seconds)
        best = options.score_step == "best"
        climb = Climb(rungs, best)
        for seed in seeds:
            outcome = trial.run(seed, validate, None if results else climb)
            scores = [look["score"] for _, look in outcome.validations]
            accuracy = max(scores) if best else scores[-1]
            result = {
                "val_accuracy": accuracy,
                "val_error": 1.0 - accuracy,
                "train_loss": float(outcome.losses[-min(50, len(outcome.losses)) :].mean()),
            }
            if test:
                chosen: Any = outcome.best if best else outcome.state.params
                result["accuracy"] = test(chosen, seed)
            results.append(result)
            spent += Cost(train_seconds=outcome.train_seconds, score_seconds=outcome.score_seconds)
            if climb.stopped:
                break
        metrics = traced.over_trainings(results)
        return Evaluation(
            status="scored",
            stage=climb.stage,
            reason=climb.reason,
            metrics={
                **metrics,
                **climb.metrics,
                "width_to_depth": width_to_depth(work.parameters),
            },
            cost=spent,
            seeds=tuple(seeds[: len(results)]),
            budget=climb.budget(options.train_steps),
        )

    @functools.cached_property
    def _train(self) -> Samples:
        return self._splits.samples("train")

    @functools.cached_property
    def _validation(self) -> Samples:
        return self._splits.samples("validation")
