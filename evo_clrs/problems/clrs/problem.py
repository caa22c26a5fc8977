"""CLRS as a problem: a task, a slot, and the budget under which programs compete."""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evo_clrs.errors import Rejected
from evo_clrs.gates import fingerprint, graph, liveness, mlir
from evo_clrs.problems import slot_function, traced
from evo_clrs.problems.clrs import data, influence
from evo_clrs.problems.clrs.cache import default_folder
from evo_clrs.problems.clrs.data import Recipe
from evo_clrs.problems.clrs.encoding import count_channels
from evo_clrs.problems.clrs.model import Model, ModelOptions
from evo_clrs.problems.clrs.options import Options
from evo_clrs.problems.clrs.score import Scorer, make_scorer
from evo_clrs.problems.clrs.shapes import categories_of
from evo_clrs.problems.clrs.splits import Splits
from evo_clrs.problems.clrs.tasks import Protocol, Split, split_lengths, task
from evo_clrs.records import Cost, Evaluation, Facts, Graph, Size, Work, for_seeds
from evo_clrs.slots import SLOTS
from evo_clrs.training import loop, together
from evo_clrs.training.rungs import Climb, Rung

OPTIONS = (Options, Protocol)

# Options that change where things are kept and what is refused, never a score.
_NOT_RESULTS = ("cache", "seeds")

# Splits that a search may read.
_SEARCHED: tuple[Split, ...] = ("train", "validation", "selection")


def make(options: Options, protocol: Protocol) -> "ClrsProblem":
    """Returns the problem with these options."""
    return ClrsProblem(options, protocol)


class Keys(NamedTuple):
    """The keys of one training, all of them from its seed.

    Attributes:
      init: of its initial parameters, uint32[2].
      train: of its steps.
      score: of its scores.
    """

    init: jax.Array
    train: jax.Array
    score: jax.Array

    @classmethod
    def of(cls, seed: int) -> "Keys":
        """Returns the keys of the training from this seed."""
        return cls(*jax.random.split(jax.random.PRNGKey(seed), 3))


class ClrsProblem:
    """A CLRS task under a budget; see `problems.base.Problem` for the contract."""

    name = "clrs"
    instant = False
    remark = ""

    def __init__(
        self,
        options: Options,
        protocol: Protocol,
        record_test: Callable[[Recipe], None] | None = None,
    ):
        """Checks the options; data is drawn when it is first needed.

        Args:
          options: task, slot and budget.
          protocol: which data.
          record_test: opens test data, for the final comparison only: see `Splits`.

        Raises:
          UserError: the task is unknown, or a seed cannot be found.
        """
        self._options = options
        self._protocol = protocol
        self._task = task(options.task, protocol)
        cache = {"": default_folder(), "none": None}.get(options.cache, Path(options.cache))
        self._splits = Splits(self._task, protocol, cache, record_test)
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
        known = {"seeds": traced.known_as(self.seeds()), "jax": jax.__version__}
        return flat | known | {"batches": data.BATCHES}

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
        if count == 1 or self._options.seeds_together == "off":
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

    def seeds(self) -> Mapping[str, str]:
        """Returns the programs that the options name, or else the slot's usual seeds."""
        return traced.find_seeds(self.slot.name, self._options.seeds)

    def examine(self, work: Work) -> Facts:
        """Returns what is known of a graph before training, see `Problem.examine`."""
        assert isinstance(work, Graph)
        with traced.forgetting():
            return self._examine(work)

    def _examine(self, graph_: Graph) -> Facts:
        read = mlir.read_graph(graph_)
        price = graph.check(read, self.limits)
        if liveness.inert(read, self._live_outputs):
            raise Rejected("inert", f"it cannot change a prediction of {self._task.name}")
        model = self.model(graph_)
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
            return self._evaluate(self.model(work), split, seeds, rungs)

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

    def _evaluate(
        self, model: Model, split: str, seeds: Sequence[int], rungs: Sequence[Rung]
    ) -> Evaluation:
        training = self.training
        validate = self.scorer(model, "validation")
        final = None if split == "validation" else self.scorer(model, split)
        climb = Climb(rungs)
        sizes = {for_seeds(size, len(seeds)) for size in self._sizes_of("train")}
        # Where the first training may be stopped, the others begin only if it was not.
        together_ = not rungs and sizes <= set(model.slot.sizes)
        train = self._train_together if together_ else self._train_in_turn
        compile_seconds, outcomes = train(model, training, seeds, validate, climb)
        spent = Cost(compile_seconds=validate.compile_seconds + compile_seconds)
        results: list[dict[str, float]] = []
        for seed, outcome in zip(seeds, outcomes, strict=False):
            result, took = self._result(outcome, seed, final)
            results.append(result)
            spent += took
        return Evaluation(
            status="scored",
            stage=climb.stage,
            reason=climb.reason,
            metrics={**traced.over_trainings(results), **climb.metrics},
            cost=spent,
            seeds=tuple(seeds[: len(results)]),
            budget=climb.budget(self._options.train_steps),
        )

    def _train_in_turn(
        self,
        model: Model,
        training: loop.Training,
        seeds: Sequence[int],
        validate: Scorer,
        climb: Climb,
    ) -> tuple[float, Iterable[loop.Outcome]]:
        """Trains from one seed after the other, from none after a first that is stopped.

        Returns seconds of compiling, and the outcomes.
        """
        steps = self.compile_steps(model, training)

        def outcomes() -> Iterator[loop.Outcome]:
            for position, seed in enumerate(seeds):
                stop = None if position else climb
                yield self.train(model, training, seed, steps, validate, stop=stop)
                if climb.stopped:
                    return

        return steps.seconds, outcomes()

    def _train_together(
        self,
        model: Model,
        training: loop.Training,
        seeds: Sequence[int],
        validate: Scorer,
        climb: Climb,
    ) -> tuple[float, Iterable[loop.Outcome]]:
        """Trains from all seeds in one graph; returns as `_train_in_turn`."""
        del climb  # no rungs
        keys, count = list(map(Keys.of, seeds)), len(seeds)
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
            metrics["accuracy"] = final(outcome.best, Keys.of(seed).score)["score"]
        spent = Cost(
            compile_seconds=outcome.compile_seconds,
            train_seconds=outcome.train_seconds,
            score_seconds=outcome.score_seconds,
        )
        return metrics, spent

    # The pieces of an evaluation, for whoever takes it step by step.

    @property
    def training(self) -> loop.Training:
        """The settings of one training."""
        options = self._options
        return loop.Training(
            steps=options.train_steps,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            clip_norm=options.clip_norm,
            steps_per_call=options.validate_every,
            validate_every=options.validate_every,
        )

    @property
    def limits(self) -> graph.GraphLimits:
        """What a graph may cost."""
        options = self._options
        return traced.graph_limits(options.max_gflops, options.max_memory, options.max_operations)

    @property
    def cycle(self) -> int:
        """How many training steps go once through all lengths."""
        return len(split_lengths(self._task, self._protocol, "train"))

    @property
    def test_size(self) -> Size:
        """The size of test data, at which a program for the final comparison is traced as well."""
        (length,) = split_lengths(self._task, self._protocol, "test")
        channels = count_channels(self._task, self._categories)
        nodes = self._task.nodes(length)
        return self._model_options.size(self._options.batch_size, nodes, channels)

    def model(self, graph_: Graph) -> Model:
        """Returns the task's model around a graph."""
        return self._model(slot_function.from_graph(graph_))

    def scorer(self, model: Model, split: Any) -> Scorer:
        """Returns what scores parameters of a model on a split, compiled.

        Raises:
          UserError: it is the test split of a problem without `record_test`.
        """
        return make_scorer(model, self._pool(split), self._options.batch_size)

    def compile_steps(self, model: Model, training: loop.Training) -> loop.Compiled:
        """Returns the steps of trainings of a model, compiled, for all seeds."""
        state = loop.start(model.shapes(), training)
        return loop.compile_steps(model.loss, self._draw, self._train_pools, state, training)

    def start(self, model: Model, training: loop.Training, seed: int) -> loop.State:
        """Returns the state before the first step of the training from this seed."""
        return loop.start(model.init(Keys.of(seed).init), training)

    def train(
        self,
        model: Model,
        training: loop.Training,
        seed: int,
        steps: loop.Compiled,
        validate: Scorer,
        begin: loop.Outcome | None = None,
        on_call: Callable[[loop.Outcome], None] | None = None,
        stop: Climb | None = None,
    ) -> loop.Outcome:
        """Trains a model from one seed, or goes on from the outcome so far; see `loop.train`."""
        keys = Keys.of(seed)
        return loop.train(
            loss=model.loss,
            draw=self._draw,
            pools=self._train_pools,
            state=begin or self.start(model, training, seed),
            training=training,
            key=keys.train,
            validate=lambda params: validate(params, keys.score),
            on_call=on_call,
            compiled=steps,
            stop=stop,
        )

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
