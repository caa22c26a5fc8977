"""Cells trained for real: the space of NAS-Bench-201 on images of one's own."""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp

from evo_clrs import spaces
from evo_clrs.errors import Rejected, UserError
from evo_clrs.problems import traced
from evo_clrs.problems.cells.nasbench201 import DESIGNS
from evo_clrs.problems.cells.problem import FITNESSES
from evo_clrs.problems.cells.seeds import find_designs
from evo_clrs.problems.cells.trained import network
from evo_clrs.problems.cells.trained.images import Source
from evo_clrs.problems.cells.trained.trial import Budget, Trial
from evo_clrs.records import Cost, Design, Evaluation, Facts, Size, Work
from evo_clrs.slots import CELL

# Raise when equal options would give other scores, so that kept ones are not taken for these.
RECIPE = 1


@dataclasses.dataclass(frozen=True)
class Options:
    """What cells are trained on, and how; defaults are those of NAS-Bench-201.

    Attributes:
      images: what is classified: digits (scikit-learn's, nothing to fetch) or cifar10.
      folder: for cifar10, the folder of its binary form, cifar-10-batches-bin.
      seeds: names of well-known cells or files of programs to start from; none for no seeds,
        empty for the usual ones.
      width: channels of the first stage; the second and third have two and four times as many.
      cells_per_stage: cells in each of the three stages.
      epochs: times that as many images are drawn for training as there are.
      batch_size: images in each step.
      learning_rate: where it starts; it falls to 0 along a cosine.
      momentum: Nesterov's momentum.
      weight_decay: pull of all trained parameters to 0.
      augment: whether training images are cropped at random, and mirrored on cifar10.
      trainings: training seeds for each cell; metrics are their means.
      fitness: what is best: accuracy, or size_times_error (small networks with few errors, as
        EvoPrompting).
      matmul_precision: precision of matrix products: float32, tensorfloat32 or bfloat16.
    """

    images: str = "digits"
    folder: str = ""
    seeds: tuple[str, ...] = ()
    width: int = 16
    cells_per_stage: int = 5
    epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    augment: bool = True
    trainings: int = 1
    fitness: str = "accuracy"
    matmul_precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("width", "cells_per_stage", "epochs", "trainings"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} must be 1 or more, got {getattr(self, name)}")
        if self.batch_size < 2:  # a batch's variance needs two
            raise UserError(f"--batch_size must be 2 or more, got {self.batch_size}")
        if not 0 < self.learning_rate < math.inf:
            raise UserError(f"--learning_rate must be above zero, got {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise UserError(f"--momentum must be from 0 to below 1, got {self.momentum}")
        if not 0 <= self.weight_decay < math.inf:
            raise UserError(f"--weight_decay must be 0 or more, got {self.weight_decay}")
        for name, choices in (
            ("fitness", FITNESSES),
            ("matmul_precision", ("float32", "tensorfloat32", "bfloat16")),
        ):
            if getattr(self, name) not in choices:
                raise UserError(
                    f"--{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )


SPACE = spaces.CELL
OPTIONS = (Options,)

# Options that change where things lie and what a search starts from, never a score.
_NOT_RESULTS = ("folder", "seeds", "fitness")


def make(options: Options) -> "TrainedCells":
    """Returns the problem with these options."""
    return TrainedCells(options)


class TrainedCells:
    """Cells on an image set under a budget; see `problems.base.Problem` for the contract.

    Accuracy is that after the last step, as in the benchmark. A cell is trained without its dead
    edges, so that cells which differ in them only have one fingerprint and one score;
    `num_params` and `flops` count them, as the benchmark does.
    """

    name = "cells"
    slot = CELL
    sizes: tuple[Size, ...] = ()
    instant = False
    remark = ""

    def __init__(self, options: Options, record_test: Callable[[str], None] | None = None):
        """Checks the options; images are read when they are first needed.

        Args:
          options: what is searched.
          record_test: called with the image set's name before each reading of its test images.
            Only a final comparison has one: without it, asking for them is an error.

        Raises:
          UserError: there is no such image set, or a file of it is missing or damaged.
        """
        self._options = options
        self._source = Source(options.images, options.folder, record_test)
        self._kind = self._source.kind
        self._shape = network.Shape(options.width, options.cells_per_stage, self._kind.classes)
        self.title = f"{options.images}-cell"
        self.options: Mapping[str, object] = vars(options)
        self.training_seeds = tuple(range(options.trainings))

    def open_test(self, record_test: Callable[[str], None]) -> "TrainedCells":
        """Returns this problem with its test images open, for a final comparison."""
        return TrainedCells(self._options, record_test)

    @functools.cached_property
    def identity(self) -> Mapping[str, str | int | float]:
        """Options that shape results, and the seeds as designs."""
        return {
            **self._shaping,
            "fitness": self._options.fitness,
            "seeds": ",".join(_known_as(source) for source in self.seeds().values()),
            "jax": jax.__version__,
        }

    @functools.cached_property
    def score_key(self) -> str:
        """All that shapes a score besides the cell and the training seeds."""
        return json.dumps({"problem": self.name, "recipe": RECIPE, **self._shaping}, sort_keys=True)

    @property
    def _shaping(self) -> Mapping[str, str | int | float]:
        return {k: v for k, v in vars(self._options).items() if k not in _NOT_RESULTS}

    def seeds(self) -> Mapping[str, str]:
        """Returns the cells that the options name, or else the usual ones, as programs.

        Raises:
          UserError: see `find_designs`.
        """
        return find_designs(SPACE, self._options.seeds, DESIGNS)

    def examine(self, work: Work) -> Facts:
        """Returns what is known of a cell before training, see `Problem.examine`.

        Raises:
          Rejected: at stage `inert`: nothing of an image reaches the prediction.
        """
        assert isinstance(work, Design)
        live = network.live(work.choices)
        if not any(live):
            raise Rejected("inert", "no path leads from the cell's input to its output")
        return Facts(
            parameters=self._parameters(work.choices),
            live_parameters=self._parameters(live),
            flops=network.multiply_adds(
                work.choices, self._shape, self._kind.side, self._kind.channels
            ),
            bytes=math.nan,
            peak_bytes=math.nan,
            operations=network.layers(live, self._shape),
            fingerprint=SPACE.arch(live),
        )

    def evaluate(self, work: Work, split: str, seeds: Sequence[int]) -> Evaluation:
        """Trains a cell once per seed and scores it, see `Problem.evaluate`."""
        assert isinstance(work, Design)
        try:
            with jax.default_matmul_precision(self._options.matmul_precision):
                return self._evaluate(network.live(work.choices), split, seeds)
        finally:
            jax.clear_caches()  # each cell has its own functions, which JAX would keep

    def metrics(self, evaluation: Evaluation, facts: Facts) -> Mapping[str, float]:
        """Adds sizes and fitness to measured metrics, see `Problem.metrics`.

        FLOPs are multiply-adds of one image, as the benchmark counts them.
        """
        accuracy = evaluation.metrics.get("accuracy", evaluation.metrics["val_accuracy"])
        layers = network.layers(SPACE.from_arch(facts.fingerprint), self._shape)
        fitness = accuracy
        if self._options.fitness == "size_times_error":
            fitness = -facts.parameters * (1.0 - accuracy)
        return {
            **evaluation.metrics,
            "num_params": facts.parameters,
            "live_params": facts.live_parameters,
            "flops": facts.flops,
            "width_to_depth": 4 * self._shape.width / layers,
            "fitness": fitness,
        }

    def _parameters(self, choices: network.Choices) -> int:
        kind, built = self._kind, network.build(choices, self._shape)
        key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
        image = jax.ShapeDtypeStruct((1, kind.side, kind.side, kind.channels), jnp.float32)
        return network.count(jax.eval_shape(built.init, key, image))

    def _evaluate(self, choices: network.Choices, split: str, seeds: Sequence[int]) -> Evaluation:
        names = [field.name for field in dataclasses.fields(Budget)]
        budget = Budget(**{name: getattr(self._options, name) for name in names})
        trial = Trial(network.build(choices, self._shape), self._source, budget, split)
        results, spent = [], Cost(compile_seconds=trial.compile_seconds)
        for seed in seeds:
            result, took = trial.train(seed)
            results.append(result)
            spent += took
        metrics = traced.over_trainings(results)
        return Evaluation(
            status="scored",
            stage="scored",
            metrics=metrics,
            cost=spent,
            seeds=tuple(seeds),
            budget={"epochs": self._options.epochs, "steps": trial.steps},
        )


def _known_as(source: str) -> str:
    """Returns the identity of a seed, or of its text where that is no cell."""
    try:
        return spaces.identity(SPACE, SPACE.read(source))
    except ValueError:
        return hashlib.sha256(source.encode()).hexdigest()[:16]
