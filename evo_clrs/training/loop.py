"""Training under jit: many steps in each call, data on the device, nothing fetched in between.

The loop knows no problem. It is given a loss, data pools, and a function that draws a batch from a
pool. Step i of a training depends on its key through `fold_in(key, i)` and on nothing else that is
random: candidates that share a key see the same batches in the same order, and steps can be
grouped into calls in any way.

Pools are cycled: step i draws from pool i modulo their number, each with its own shapes, and all
of them are compiled into the one function that is called.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from evo_clrs.errors import Rejected
from evo_clrs.training.compiling import compile_lowered
from evo_clrs.training.guards import check_finite, memory_guard

Params = Any
Pool = Any
Batch = Any
Loss = Callable[[Params, jax.Array, Batch], jax.Array]
Draw = Callable[[jax.Array, Pool, int], Batch]

# Name of the axis of seeds trained together, for losses that must agree on something, see
# `together`.
SEEDS = "seeds"


@dataclasses.dataclass(frozen=True)
class ByStep:
    """A draw that is told the step in place of a key, for batches in a fixed order.

    Attributes:
      batch: `(steps done, pool, batch_size) -> batch`, traced.
    """

    batch: Draw


OPTIMIZERS = ("adam", "adamw")


@dataclasses.dataclass(frozen=True)
class Training:
    """Settings of one training; the defaults are those of Ibarz et al. 2022 (arXiv 2209.11142).

    Attributes:
      steps: steps of the optimizer, over all pools together.
      batch_size: samples in each step.
      learning_rate: of the optimizer.
      clip_norm: gradients of a larger global norm are scaled down to it; inf for no clip.
      optimizer: one of `OPTIMIZERS`: adam, or adamw (Loshchilov and Hutter 2019, arXiv 1711.05101).
      weight_decay: of adamw; adam has none.
      steps_per_call: steps between two looks at losses and clock.
      validate_every: steps between two validations, a multiple of `steps_per_call`; the last step
        is followed by one in any case.
      max_seconds: wall time after which the training is given up, compiling included; None for no
        limit.
      transformation: what turns gradients into updates, in place of the settings above; None for
        them.
    """

    steps: int = 10_000
    batch_size: int = 32
    learning_rate: float = 1e-3
    clip_norm: float = 1.0
    optimizer: str = "adam"
    weight_decay: float = 1e-4
    steps_per_call: int = 50
    validate_every: int = 50
    max_seconds: float | None = None
    transformation: optax.GradientTransformation | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "steps_per_call", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate: expected more than 0, got {self.learning_rate}")
        if not self.clip_norm > 0:
            raise ValueError(f"clip_norm: expected more than 0, got {self.clip_norm}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay: expected 0 or more, got {self.weight_decay}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer: expected one of {OPTIMIZERS}, got {self.optimizer!r}")
        if self.validate_every % self.steps_per_call:
            raise ValueError(
                f"validate_every: expected a multiple of steps_per_call, which is "
                f"{self.steps_per_call}, got {self.validate_every}"
            )


class State(NamedTuple):
    """All that training carries from step to step: a plain pytree.

    Attributes:
      params: parameters.
      optimizer: state of the optimizer.
      step: steps done, int32.
    """

    params: Params
    optimizer: optax.OptState
    step: jax.Array


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a training gave, or has given so far: all that it needs to go on to the same end.

    Attributes:
      state: state after the last step.
      losses: [steps], those of the steps done by this training, in order.
      validations: (steps done, what `validate` returned), in order.
      best: parameters of the best validation, the first of equals; None without `validate`.
      best_step: steps done at that validation, 0 without.
      compile_seconds: tracing and compiling.
      train_seconds: steps.
      score_seconds: validations.
      temporary_bytes: memory that the compiled steps need beside their arguments.
      stopped_at: steps done when `stop` ended the training, None where it went to its end.
    """

    state: State
    losses: np.ndarray
    validations: tuple[tuple[int, Mapping[str, float]], ...]
    best: Params | None
    best_step: int
    compile_seconds: float
    train_seconds: float
    score_seconds: float
    temporary_bytes: int
    stopped_at: int | None = None


def optimizer(training: Training) -> optax.GradientTransformation:
    """Returns Adam or AdamW, behind a clip of the global norm if there is one."""
    if training.transformation is not None:
        return training.transformation
    if training.optimizer == "adamw":
        descent = optax.adamw(training.learning_rate, weight_decay=training.weight_decay)
    else:
        descent = optax.adam(training.learning_rate)
    if not math.isinf(training.clip_norm):
        descent = optax.chain(optax.clip_by_global_norm(training.clip_norm), descent)
    # On one long vector: tens of arrays with their moments would take a fifth of compile time.
    return optax.flatten(descent)


def start(params: Params, training: Training) -> State:
    """Returns the state before the first step; of shapes alone if parameters are shapes."""
    init = optimizer(training).init
    shapes = any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(params))
    moments = jax.eval_shape(init, params) if shapes else jax.jit(init)(params)  # as one graph
    return State(params, moments, jnp.zeros((), jnp.int32))


def make_call(
    loss: Loss, draw: Draw | ByStep, pools: int, training: Training, first_step: int = 0
) -> Callable[[State, jax.Array, Sequence[Pool]], tuple[State, jax.Array]]:
    """Returns a function that takes `steps_per_call` steps, to be jitted with its state donated.

    The function takes state, key uint32[2] and pools, and returns the new state and the losses of
    its steps, [steps_per_call]. Past `training.steps` it does nothing and the losses are NaN.

    Args:
      loss: `(params, key, batch) -> scalar`.
      draw: `(key, pool, batch_size) -> batch`; or one in a fixed order.
      pools: how many pools there are.
      training: settings.
      first_step: step that the first call begins with.
    """
    update = optimizer(training).update
    length = training.steps_per_call
    # A cycle through the pools is the body of the scan. When calls and cycles end together no step
    # has to ask whether its turn has come; on accelerators such a question would cost a wait.
    aligned = length % pools == 0 and training.steps % length == 0 and first_step % length == 0
    cycles = length // pools if aligned else (length + 2 * (pools - 1)) // pools

    def one_step(state: State, key: jax.Array, pool: Pool) -> tuple[State, jax.Array]:
        draw_key, loss_key = jax.random.split(jax.random.fold_in(key, state.step))
        if isinstance(draw, ByStep):
            batch = draw.batch(state.step, pool, training.batch_size)
        else:
            batch = draw(draw_key, pool, training.batch_size)
        value, gradients = jax.value_and_grad(loss)(state.params, loss_key, batch)
        updates, moments = update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(params, moments, state.step + 1), value.astype(float)

    def no_step(state: State, key: jax.Array, pool: Pool) -> tuple[State, jax.Array]:
        return state, jnp.full((), jnp.nan, float)

    def call(state: State, key: jax.Array, pools: Sequence[Pool]) -> tuple[State, jax.Array]:
        begin = state.step
        end = jnp.minimum(begin + length, training.steps)

        def cycle(state: State, number: jax.Array) -> tuple[State, jax.Array]:
            values = []
            for position, pool in enumerate(pools):
                if aligned:
                    state, value = one_step(state, key, pool)
                else:
                    turn = (number * len(pools) + position == state.step) & (state.step < end)
                    state, value = jax.lax.cond(turn, one_step, no_step, state, key, pool)
                values.append(value)
            return state, jnp.stack(values)

        numbers = begin // len(pools) + jnp.arange(cycles)
        if cycles == 1:  # see `steps_in_a_call`
            state, values = cycle(state, numbers[0])
        else:
            state, values = jax.lax.scan(cycle, state, numbers)
        skipped = begin % len(pools)
        return state, jax.lax.dynamic_slice_in_dim(values.reshape(-1), skipped, length)

    return call


def steps_in_a_call(wanted: int) -> int:
    """Returns how many steps a call should take where the model may hold convolutions.

    On a CPU it is one, which is compiled without a loop: within a loop XLA's convolutions take 3 to
    20 times as long (MNIST-1D: 400 steps of `cnn` 2.5 s and 0.4 s, of `paper_cnn` 20 s and 1 s).
    """
    return 1 if jax.default_backend() == "cpu" else wanted


class Compiled(NamedTuple):
    """The steps of a training, compiled; good for every state and key of the same shapes.

    Attributes:
      call: what `make_call` returns, compiled, with its state donated.
      seconds: what that took.
      temporary_bytes: memory that the compiled steps need beside their arguments.
    """

    call: Callable[[State, jax.Array, Sequence[Pool]], tuple[State, jax.Array]]
    seconds: float
    temporary_bytes: int


def compile_steps(
    loss: Loss,
    draw: Draw | ByStep,
    pools: Sequence[Pool],
    state: State,
    training: Training,
    seeds: int | None = None,
) -> Compiled:
    """Returns the steps from this state on, compiled; see `train` for the arguments.

    With `seeds` they are those of so many trainings together: state, key and losses are as
    `together.train` says.

    Raises:
      Rejected: at stage `failed`: memory ran out.
    """
    begin = time.perf_counter()
    with memory_guard():
        call = make_call(loss, draw, len(pools), training, int(state.step))
        key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
        if seeds is not None:
            axes = State(0, 0, None)  # type: ignore[arg-type]
            call = jax.vmap(call, (axes, 0, None), (axes, 1), axis_name=SEEDS)
            key = jax.ShapeDtypeStruct((seeds, *key.shape), key.dtype)
        lowered = jax.jit(call, donate_argnums=0).lower(state, key, tuple(pools))
        compiled = compile_lowered(lowered)
    return Compiled(compiled, time.perf_counter() - begin, _temporary_bytes(compiled))


def train(
    loss: Loss,
    draw: Draw | ByStep,
    pools: Sequence[Pool],
    state: State | Outcome,
    training: Training,
    key: jax.Array,
    validate: Callable[[Params], Mapping[str, float]] | None = None,
    on_call: Callable[[Outcome], None] | None = None,
    compiled: Compiled | None = None,
    stop: Callable[[int, float], bool] | None = None,
) -> Outcome:
    """Trains from a state up to `training.steps`, unless it is stopped on the way.

    Args:
      loss: `(params, key, batch) -> scalar`.
      draw: `(key, pool, batch_size) -> batch`, traced; or one in a fixed order.
      pools: pytrees of arrays, cycled from step to step.
      state: where to begin: `start(params, training)`, a state kept earlier, or the outcome so far
        of a training that was left off, which ends as if it never had been. It is not changed.
      training: settings.
      key: uint32[2], key of the whole training.
      validate: scores parameters; must return a `score`, of which more is better.
      on_call: told the outcome so far after each call, e.g. to show progress or to keep a
        checkpoint. Its state is gone after the next call: copy what is to be kept.
      compiled: what `compile_steps` gave, e.g. for another seed; compiled here if None.
      stop: told steps done and score after each validation; ends the training by returning True.

    Raises:
      Rejected: at stage `failed`: a loss is not finite, the time is over, or memory ran out.
    """
    before, at = (state, state.state) if isinstance(state, Outcome) else (None, state)
    clock, looks = _Clock(training.max_seconds, before), _Looks(validate, before)
    losses = [] if before is None else [before.losses]

    def so_far() -> Outcome:
        return Outcome(
            state=at,
            losses=np.concatenate(losses) if losses else np.zeros(0),
            validations=tuple(looks.taken),
            best=looks.best,
            best_step=looks.best_step,
            compile_seconds=clock.seconds["compile"],
            train_seconds=clock.seconds["train"],
            score_seconds=clock.seconds["score"],
            temporary_bytes=steps.temporary_bytes,
            stopped_at=step if stopped else None,
        )

    with memory_guard():
        with clock.counting("compile"):
            pools, at = jax.device_put((tuple(pools), at))
            at = jax.tree.map(jnp.copy, at)  # the caller's arrays are not donated
            steps = compiled or compile_steps(loss, draw, pools, at, training)
        step, stopped = int(at.step), False
        while step < training.steps and not stopped:
            clock.check(step)
            with clock.counting("train"):
                at, fetched = steps.call(at, key, pools)
                values = np.asarray(fetched)[: training.steps - step]
            check_finite(values, step)
            step += len(values)
            losses.append(values)
            if validate and (step == training.steps or step % training.validate_every == 0):
                with clock.counting("score"):
                    score = looks.take(at.params, step)
                stopped = stop is not None and stop(step, score)
            if on_call:
                on_call(so_far())
        return so_far()


class _Looks:
    """Validations, and the parameters of the best one; those before come first."""

    def __init__(
        self, validate: Callable[[Params], Mapping[str, float]] | None, before: Outcome | None
    ):
        self.taken = [] if before is None else list(before.validations)
        self.best: Params | None = None if before is None else before.best
        self.best_step = 0 if before is None else before.best_step
        self._validate = validate
        self._best_score = max((scores["score"] for _, scores in self.taken), default=-math.inf)

    def take(self, params: Params, step: int) -> float:
        """Validates parameters after so many steps; returns their score."""
        assert self._validate is not None
        metrics = self._validate(params)
        self.taken.append((step, metrics))
        if self.best is None or metrics["score"] > self._best_score:
            self.best, self.best_step = jax.tree.map(jnp.copy, params), step
            self._best_score = metrics["score"]
        return metrics["score"]


class _Clock:
    """Counts the seconds of each kind of work, and ends a training whose time is over."""

    def __init__(self, max_seconds: float | None, before: Outcome | None):
        kinds = ("compile", "train", "score")
        self.seconds = {kind: getattr(before, f"{kind}_seconds", 0.0) for kind in kinds}
        self._begin = time.perf_counter()
        self._max_seconds = max_seconds

    @contextlib.contextmanager
    def counting(self, kind: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[kind] += time.perf_counter() - begin

    def check(self, step: int) -> None:
        limit = self._max_seconds
        if limit is not None and time.perf_counter() - self._begin > limit:
            raise Rejected("failed", f"training ran longer than {limit:g} s, at step {step}")


def _temporary_bytes(compiled: Any) -> int:
    memory = compiled.memory_analysis()
    return int(memory.temp_size_in_bytes) if memory is not None else 0
