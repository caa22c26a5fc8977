"""The engine beside the reference loop, doing the same work in one process.

Reference: `clrs.models.BaselineModel` with the library's own Triplet-GMPNN, driven as the library's
example script does: batches are drawn by its sampler between steps. Engine: a packaged program on
the way of a search, from its text through the jail to our loop. Both train on samples of one
length, with the same sizes and settings.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import jax
import numpy as np

from evo_clrs import programs
from evo_clrs.clrs_library import clrs
from evo_clrs.jail.jail import Jail
from evo_clrs.problems import slot_function
from evo_clrs.problems.clrs import data, encoding, reference
from evo_clrs.problems.clrs.model import Model, ModelOptions
from evo_clrs.problems.clrs.shapes import categories_of
from evo_clrs.problems.clrs.tasks import CLRS30, Task, moves_predecessor, task
from evo_clrs.records import for_seeds
from evo_clrs.slots import PROCESSOR
from evo_clrs.training import loop, together

PROGRAM = "triplet_gmpnn"


@dataclasses.dataclass(frozen=True)
class Work:
    """What both sides do.

    Attributes:
      task: name of the task.
      hidden_size: width H.
      batch_size: samples in each step.
      length: length of the samples.
      length_buckets: as of `problem.Options`, for the engine.
      pool: training samples that the engine draws from.
    """

    task: str
    hidden_size: int = 128
    batch_size: int = 32
    length: int = 16
    length_buckets: int = 1
    pool: int = 1000


class Side(Protocol):
    """One of the two, ready to go on."""

    def steps(self, count: int) -> None:
        """Takes so many steps and waits for them."""
        ...

    def temporary_bytes(self) -> int:
        """Returns the memory that a compiled step needs beside its arguments."""
        ...


class Engine:
    """Our loop; making one takes it to the end of its first step.

    Args:
      work: what to do.
      jail: ready: its warm process has started, as in a search.
      seeds: how many seeds train together, None for one alone.
    """

    def __init__(self, work: Work, jail: Jail, seeds: int | None = None):
        posed = task(work.task)
        count = 100_000  # steps that may be taken, more than anybody waits for
        self._training = loop.Training(
            steps=count, batch_size=work.batch_size, steps_per_call=1, validate_every=1
        )
        with ThreadPoolExecutor(2) as threads:
            # Sampling runs here, tracing in the jail, and compiling outside of Python.
            drawn = threads.submit(
                data.make_pool, posed, CLRS30, "train", work.length, work.pool, CLRS30.train_seed
            )
            options = ModelOptions(hidden_size=work.hidden_size)
            slot = self._slot(posed, work, options, jail, seeds)
            self._pool = jax.device_put(data.sort_by_length(drawn.result()))
            model = Model(posed, categories_of(posed, self._pool), slot, options)
            initial = threads.submit(self._start, model, seeds)
            loss = functools.partial(model.loss, axis=None if seeds is None else loop.SEEDS)

            def draw(key: jax.Array, pool: data.Pool, size: int) -> data.Pool:
                return data.draw_batch(key, pool, size, work.length_buckets, True)

            if seeds is None:
                shapes = loop.start(model.shapes(), self._training)
            else:
                shapes = together.start([model.shapes()] * seeds, self._training)
            self._compiled = loop.compile_steps(
                loss, draw, [self._pool], shapes, self._training, seeds
            )
            self._state = initial.result()
        self._key = jax.random.PRNGKey(1)
        if seeds is not None:
            self._key = jax.random.split(self._key, seeds)
        self.steps(1)

    def _start(self, model: Model, seeds: int | None) -> loop.State:
        key = jax.random.PRNGKey(0)
        if seeds is None:
            return loop.start(model.init(key), self._training)
        params = [model.init(own) for own in jax.random.split(key, seeds)]
        return together.start(params, self._training)

    def _slot(
        self, posed: Task, work: Work, options: ModelOptions, jail: Jail, seeds: int | None
    ) -> slot_function.SlotFunction:
        few = data.make_pool(posed, CLRS30, "validation", work.length, 1, CLRS30.validation_seed)
        channels = encoding.count_channels(posed, categories_of(posed, few))
        size = options.size(work.batch_size, posed.nodes(work.length), channels)
        source = programs.load(PROCESSOR.name)[PROGRAM]
        sizes = [size] if seeds is None else [size, for_seeds(size, seeds)]
        return slot_function.from_graph(jail.trace(PROCESSOR, source, sizes))

    def steps(self, count: int) -> None:
        """See `Side`."""
        for _ in range(count):
            self._state, losses = self._compiled.call(self._state, self._key, (self._pool,))
        jax.block_until_ready(losses)

    def temporary_bytes(self) -> int:
        """See `Side`."""
        return self._compiled.temporary_bytes


class Reference:
    """The reference loop; making one takes it to the end of its first step."""

    def __init__(self, work: Work):
        posed = task(work.task)
        self._batches = _reference_batches(posed, work)
        first = next(self._batches)
        factory = clrs.get_processor_factory(PROGRAM, use_ln=True, nb_triplet_fts=8)
        options = ModelOptions(hidden_size=work.hidden_size)
        self._model = reference.baseline(posed, first, factory, options)
        self._model.init([first.features], 0)
        self._first = first
        jax.block_until_ready(self._model.feedback(jax.random.PRNGKey(0), first))

    def steps(self, count: int) -> None:
        """See `Side`."""
        for number in range(count):
            loss = self._model.feedback(jax.random.PRNGKey(number), next(self._batches))
        jax.block_until_ready(loss)

    def temporary_bytes(self) -> int:
        """See `Side`; compiles the step once more."""
        model = self._model
        lowered = model.jitted_feedback.lower(
            model.params, jax.random.PRNGKey(0), self._first, model.opt_state, 0
        )
        return int(lowered.compile().memory_analysis().temp_size_in_bytes)


def _reference_batches(posed: Task, work: Work) -> Iterator[Any]:
    """Yields batches as the library's example script draws and changes them."""
    recipe = data.make_recipe(posed, CLRS30, "train", work.length, 1, CLRS30.train_seed)
    sampler, spec = clrs.build_sampler(
        work.task,
        num_samples=-1,
        length=work.length,
        seed=CLRS30.train_seed,
        **dict(recipe.options),
    )

    def drawn() -> Iterator[Any]:
        while True:
            yield sampler.next(work.batch_size)

    batches: Iterator[Any] = clrs.process_random_pos(drawn(), np.random.RandomState(0))
    if moves_predecessor(work.task, CLRS30):
        spec, batches = clrs.process_pred_as_input(spec, batches)
    _, batches = clrs.process_permutations(spec, batches, True)
    return batches


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured of one task.

    Attributes:
      task: name of the task.
      first_step: seconds from nothing to the end of the first step, (engine, reference) pairs.
      step: seconds a step afterwards, (engine, reference) pairs of blocks taken in turn.
      temporary_bytes: of engine and reference.
    """

    task: str
    first_step: tuple[tuple[float, float], ...]
    step: tuple[tuple[float, float], ...]
    temporary_bytes: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class MeasuredSeeds:
    """What was measured of one task: the engine with several seeds together, and with one alone.

    Attributes:
      task: name of the task.
      seeds: how many seeds.
      first_step: seconds from nothing to the end of the first step, together and alone.
      step: seconds of one step of all seeds, (together, alone) pairs of blocks taken in turn; alone
        they go one after the other.
      temporary_bytes: together and alone.
    """

    task: str
    seeds: int
    first_step: tuple[float, float]
    step: tuple[tuple[float, float], ...]
    temporary_bytes: tuple[int, int]


def measure_seeds(
    work: Work, jail: Jail, seeds: int, blocks: int, block_seconds: float
) -> MeasuredSeeds:
    """Runs the engine with several seeds together and with one alone, in turn; see `measure`."""
    jax.clear_caches()
    both, first = _timed(functools.partial(Engine, work, jail, seeds))
    jax.clear_caches()
    one, other = _timed(functools.partial(Engine, work, jail))
    steps = tuple(
        (ours, seeds * alone) for ours, alone in _blocks(both, one, blocks, block_seconds)
    )
    memory = both.temporary_bytes(), one.temporary_bytes()
    return MeasuredSeeds(work.task, seeds, (first, other), steps, memory)


def measure(work: Work, jail: Jail, starts: int, blocks: int, block_seconds: float) -> Measured:
    """Runs both sides in turn.

    Args:
      work: what to do.
      jail: ready: its warm process has started, as in a search.
      starts: how often each side starts from nothing. What JAX has compiled is forgotten before;
        what has been imported is not.
      blocks: how many blocks of steps are timed.
      block_seconds: about how long a block takes; at least one step.
    """
    firsts = []
    for _ in range(starts):
        jax.clear_caches()
        engine, ours = _timed(functools.partial(Engine, work, jail))
        jax.clear_caches()
        other, theirs = _timed(functools.partial(Reference, work))
        firsts.append((ours, theirs))
    steps = _blocks(engine, other, blocks, block_seconds)
    memory = engine.temporary_bytes(), other.temporary_bytes()
    return Measured(work.task, tuple(firsts), steps, memory)


def _blocks(
    first: Side, second: Side, blocks: int, block_seconds: float
) -> tuple[tuple[float, float], ...]:
    """Returns seconds a step of each side, in blocks of steps taken in turn."""
    sides, steps, counts = (first, second), [], []
    for side in sides:
        _, seconds = _timed(functools.partial(side.steps, 2))
        counts.append(max(1, round(2 * block_seconds / seconds)))
    for _ in range(blocks):
        ours, theirs = (
            _timed(functools.partial(side.steps, count))[1] / count
            for side, count in zip(sides, counts, strict=True)
        )
        steps.append((ours, theirs))
    return tuple(steps)


def _timed(action: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.perf_counter()
    result = action()
    return result, time.perf_counter() - begin
