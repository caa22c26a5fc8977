"""CLRS as a problem: a task, a slot, and the budget under which programs compete."""

import dataclasses
import functools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evo_clrs.errors import Rejected, UserError
from evo_clrs.gates import fingerprint, graph, liveness, mlir
from evo_clrs.problems import slot_function, traced
from evo_clrs.problems.clrs import data, influence
from evo_clrs.problems.clrs.cache import default_folder
from evo_clrs.problems.clrs.edges import count_channels
from evo_clrs.problems.clrs.model import Model, ModelOptions, categories_of
from evo_clrs.problems.clrs.score import Scorer, make_scorer
from evo_clrs.problems.clrs.splits import Splits
from evo_clrs.problems.clrs.tasks import Protocol, Split, split_lengths, task
from evo_clrs.records import Cost, Evaluation, Facts, Graph, Size, Work, for_seeds
from evo_clrs.slots import SLOTS
from evo_clrs.training import loop, together


@dataclasses.dataclass(frozen=True)
class Options:
    """What is searched on CLRS, and with what budget; defaults are those of EvoPrompting's search.

    Attributes:
      task: one of the 30 tasks of CLRS-30, e.g. bfs.
      slot: what programs define: processor (a whole processor) or triplet (its triplet function).
      seeds: names of packaged programs or paths of files to start from; empty for the usual ones.
      train_steps: training steps for each program.
      batch_size: samples in each step.
      hidden_size: width of all embeddings.
      triplet_size: triplet features, for the triplet slot.
      learning_rate: learning rate of Adam.
      clip_norm: gradients of a larger global norm are scaled down to it.
      validate_every: steps between two looks at validation data; the best one counts.
      trainings: training seeds for each program; metrics are their means.
      seeds_together: whether the trainings of a program are steps of one graph: auto (where it
        pays), on or off. Each is what it would be alone, up to rounding.
      length_buckets: a batch comes from one of this many equal parts of the training samples,
        sorted by length of their trajectories, so that short ones do not wait for long ones; 1 for
        batches of all lengths, as published.
      fitness_parameters: parameters that fitness counts: all (as the paper) or live.
      matmul_precision: precision of matrix products: float32, tensorfloat32 or bfloat16.
      max_memory: GiB that one training pass through a program may need, as predicted.
      max_gflops: GFLOPs that one training pass through a program may take, as predicted.
      max_operations: operations of a graph with its gradient, which set its compile time.
      cache: folder that keeps sampled data; empty for the usual one, none for no cache.
    """

    task: str = "bfs"
    slot: str = "processor"
    seeds: tuple[str, ...] = ()
    train_steps: int = 2000
    batch_size: int = 32
    hidden_size: int = 128
    triplet_size: int = 8
    learning_rate: float = 1e-3
    clip_norm: float = 1.0
    validate_every: int = 50
    trainings: int = 1
    seeds_together: str = "auto"
    length_buckets: int = 1
    fitness_parameters: str = "all"
    matmul_precision: str = "float32"
    max_memory: float = 4.0
    max_gflops: float = 500.0
    max_operations: int = 20_000
    cache: str = ""

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, int | float) and not (value > 0 and math.isfinite(value)):
                raise UserError(f"--{name} must be above zero, got {value}")
        for name, choices in (
            ("slot", ("processor", "triplet")),
            ("fitness_parameters", ("all", "live")),
            ("matmul_precision", ("float32", "tensorfloat32", "bfloat16")),
            ("seeds_together", ("auto", "on", "off")),
        ):
            if getattr(self, name) not in choices:
                raise UserError(
                    f"--{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )


OPTIONS = (Options, Protocol)

# Options that change where things are kept and what is refused, never a score.
_NOT_RESULTS = ("cache", "seeds")

# Splits that a search may read.
_SEARCHED: tuple[Split, ...] = ("train", "validation", "selection")

# Widest embeddings with which trainings together are faster on a CPU, see the README.
_WIDEST_TOGETHER = 16


def make(options: Options, protocol: Protocol) -> "ClrsProblem":
    """Returns the problem with these options."""
    return ClrsProblem(options, protocol)


class _Keys(NamedTuple):
    """The keys of a training, uint32[2] each."""

    init: jax.Array
    train: jax.Array
    score: jax.Array


def _keys(seed: int) -> _Keys:
    return _Keys(*jax.random.split(jax.random.PRNGKey(seed), 3))


class ClrsProblem:
    """A CLRS task under a budget; see `problems.base.Problem` for the contract."""

    name = "clrs"
    instant = False
    remark = ""

    def __init__(self, options: Options, protocol: Protocol):
        """Checks the options; data is drawn when it is first needed.

        Raises:
          UserError: the task is unknown, or a seed cannot be found.
        """
        self._options = options
        self._protocol = protocol
        self._task = task(options.task, protocol)
        cache = {"": default_folder(), "none": None}.get(options.cache, Path(options.cache))
        self._splits = Splits(self._task, protocol, cache)
        self._model_options = ModelOptions(options.hidden_size, options.triplet_size)
        self.slot = SLOTS[options.slot]
        self.title = f"{options.task}-{options.slot}"
        self.options: Mapping[str, object] = vars(options) | vars(protocol)
        self.training_seeds = tuple(range(options.trainings))

    @functools.cached_property
    def identity(self) -> Mapping[str, str | int | float]:
        """Options that shape results, and the seeds as identities of programs."""
        shaping = {k: v for k, v in self.options.items() if k not in _NOT_RESULTS}
        flat = {k: v if isinstance(v, str | int | float) else str(v) for k, v in shaping.items()}
        return flat | {"seeds": traced.known_as(self.seeds()), "jax": jax.__version__}

    @functools.cached_property
    def score_key(self) -> str:
        """All that shapes a score besides the graph and the training seeds.

        Whether seeds train together is left out: scores agree up to rounding, as between machines.
        """
        shaping = {k: v for k, v in self.identity.items() if k not in ("seeds", "seeds_together")}
        return json.dumps({"problem": self.name, **shaping}, sort_keys=True)

    @functools.cached_property
    def sizes(self) -> tuple[Size, ...]:
        """One size for each number of nodes in training, then those of validation.

        Behind them are those of training for several seeds together, if they train so.
        """
        alone = dict.fromkeys(size for split in _SEARCHED for size in self._sizes_of(split))
        count = len(self.training_seeds)
        if count == 1 or not self._pays_together():
            return tuple(alone)
        return (*alone, *(for_seeds(size, count) for size in self._sizes_of("train")))

    def _sizes_of(self, split: Split) -> tuple[Size, ...]:
        """Returns the sizes of a split's batches, for one seed alone."""
        channels = count_channels(self._task, self._categories)
        nodes = map(self._task.nodes, split_lengths(self._task, self._protocol, split))
        return tuple(
            self._model_options.size(self._options.batch_size, n, channels)
            for n in dict.fromkeys(nodes)
        )

    def _pays_together(self) -> bool:
        """Whether trainings of one program are to be steps of one graph."""
        if self._options.seeds_together == "auto":
            on_cpu = jax.default_backend() == "cpu"
            return not on_cpu or self._options.hidden_size <= _WIDEST_TOGETHER
        return self._options.seeds_together == "on"

    def seeds(self) -> Mapping[str, str]:
        """Returns the programs that the options name, or else the slot's usual seeds."""
        return traced.find_seeds(self.slot.name, self._options.seeds)

    def examine(self, work: Work) -> Facts:
        """Returns what is known of a graph before training, see `Problem.examine`."""
        assert isinstance(work, Graph)
        with traced.forgetting():
            return self._examine(work)

    def _examine(self, graph_: Graph) -> Facts:
        options = self._options
        read = mlir.read_graph(graph_)
        limits = traced.graph_limits(options.max_gflops, options.max_memory, options.max_operations)
        price = graph.check(read, limits)
        if liveness.inert(read, self._live_outputs):
            raise Rejected("inert", f"it cannot change a prediction of {self._task.name}")
        model = self._model(slot_function.from_graph(graph_))
        counts = influence.count_parameters(model)
        return Facts(
            parameters=counts.all,
            live_parameters=counts.live,
            flops=price.flops,
            bytes=price.bytes,
            peak_bytes=price.peak_bytes,
            operations=price.operations,
            fingerprint=fingerprint.fingerprint(read),
        )

    def evaluate(self, work: Work, split: str, seeds: Sequence[int]) -> Evaluation:
        """Trains and scores a graph, see `Problem.evaluate`."""
        assert isinstance(work, Graph)
        with traced.forgetting(), jax.default_matmul_precision(self._options.matmul_precision):
            return self._evaluate(self._model(slot_function.from_graph(work)), split, seeds)

    def metrics(self, evaluation: Evaluation, facts: Facts) -> Mapping[str, float]:
        """Adds sizes and fitness to measured metrics, see `Problem.metrics`."""
        counted = (
            facts.parameters if self._options.fitness_parameters == "all" else facts.live_parameters
        )
        error = 1.0 - evaluation.metrics.get("accuracy", evaluation.metrics["val_accuracy"])
        return {
            **evaluation.metrics,
            "num_params": facts.parameters,
            "live_params": facts.live_parameters,
            "flops": facts.flops,
            "fitness": -counted * error,
        }

    def _evaluate(self, model: Model, split: str, seeds: Sequence[int]) -> Evaluation:
        options = self._options
        training = loop.Training(
            steps=options.train_steps,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            clip_norm=options.clip_norm,
            steps_per_call=options.validate_every,
            validate_every=options.validate_every,
        )
        validate = make_scorer(model, self._pool("validation"), options.batch_size)
        final = None
        if split != "validation":
            final = make_scorer(model, self._pool(split), options.batch_size)
        sizes = {for_seeds(size, len(seeds)) for size in self._sizes_of("train")}
        train = self._train_together if sizes <= set(model.slot.sizes) else self._train_in_turn
        compile_seconds, outcomes = train(model, training, seeds, validate)
        spent = Cost(compile_seconds=validate.compile_seconds + compile_seconds)
        results = []
        for seed, outcome in zip(seeds, outcomes, strict=True):
            result, took = self._result(outcome, seed, final)
            results.append(result)
            spent += took
        metrics = traced.over_trainings(results)
        return Evaluation(
            status="scored",
            stage="scored",
            metrics=metrics,
            cost=spent,
            seeds=tuple(seeds),
            budget={"steps": options.train_steps},
        )

    def _train_in_turn(
        self, model: Model, training: loop.Training, seeds: Sequence[int], validate: Scorer
    ) -> tuple[float, Sequence[loop.Outcome]]:
        """Trains from one seed after the other; returns seconds of compiling, and the outcomes."""
        state = loop.start(model.shapes(), training)
        steps = loop.compile_steps(model.loss, self._draw, self._train_pools, state, training)

        def train(seed: int) -> loop.Outcome:
            keys = _keys(seed)
            return loop.train(
                loss=model.loss,
                draw=self._draw,
                pools=self._train_pools,
                state=loop.start(model.init(keys.init), training),
                training=training,
                key=keys.train,
                validate=lambda params: validate(params, keys.score),
                compiled=steps,
            )

        return steps.seconds, [train(seed) for seed in seeds]

    def _train_together(
        self, model: Model, training: loop.Training, seeds: Sequence[int], validate: Scorer
    ) -> tuple[float, Sequence[loop.Outcome]]:
        """Trains from all seeds in one graph; returns as `_train_in_turn`."""
        keys, count = list(map(_keys, seeds)), len(seeds)
        loss = functools.partial(model.loss, axis=loop.SEEDS)
        shapes = together.start([model.shapes()] * count, training)
        steps = loop.compile_steps(loss, self._draw, self._train_pools, shapes, training, count)

        def validation(score_key: jax.Array) -> together.Validate:
            return lambda params: validate(params, score_key)

        outcomes = together.train(
            loss=loss,
            draw=self._draw,
            pools=self._train_pools,
            state=together.start([model.init(own.init) for own in keys], training),
            training=training,
            keys=jnp.stack([own.train for own in keys]),
            validate=[validation(own.score) for own in keys],
            compiled=steps,
        )
        return steps.seconds, outcomes

    def _result(
        self, outcome: loop.Outcome, seed: int, final: Scorer | None
    ) -> tuple[dict[str, float], Cost]:
        """Returns metrics and cost of a training."""
        best = max(scores["score"] for _, scores in outcome.validations)
        metrics = {
            "val_accuracy": best,
            "val_error": 1.0 - best,
            "train_loss": float(outcome.losses[-min(50, len(outcome.losses)) :].mean()),
        }
        if final is not None:
            assert outcome.best is not None
            metrics["accuracy"] = final(outcome.best, _keys(seed).score)["score"]
        spent = Cost(
            compile_seconds=outcome.compile_seconds,
            train_seconds=outcome.train_seconds,
            score_seconds=outcome.score_seconds,
        )
        return metrics, spent

    def _draw(self, key: jax.Array, pool: data.Pool, batch_size: int) -> data.Pool:
        """Returns a batch of a pool, with positions drawn anew where they are random."""
        options = self._options
        return data.draw_batch(
            key, pool, batch_size, options.length_buckets, self._protocol.random_positions
        )

    def _model(self, slot: slot_function.SlotFunction) -> Model:
        return Model(self._task, self._categories, slot, self._model_options)

    def _pool(self, split: Any) -> data.Pool:
        """Returns the samples of a split that has one length."""
        return self._splits.pools(split)[0]

    @functools.cached_property
    def _categories(self) -> Mapping[str, int]:
        return categories_of(self._task, self._pool("validation"))

    @functools.cached_property
    def _train_pools(self) -> tuple[data.Pool, ...]:
        return jax.device_put(tuple(map(data.sort_by_length, self._splits.pools("train"))))

    @functools.cached_property
    def _live_outputs(self) -> frozenset[int]:
        """Positions of the slot's outputs that predictions of this task read."""
        return influence.live_slot_outputs(self._model, self.slot, self.sizes[0])
