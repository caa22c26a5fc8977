"""Several trainings of one program in one graph, from different seeds.

What differs between them has a leading axis of S: parameters, moments and keys; steps and pools
they share. Each computes what it would alone, up to the rounding of floating-point numbers: its
batches and its other draws come from its own key.

The loss is mapped over them by `jax.vmap`, with `loop.SEEDS` as the name of the axis.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from evo_clrs.training import loop
from evo_clrs.training.loop import Outcome, Params, State, Training

Validate = Callable[[Params], Mapping[str, float]]


def start(params: Sequence[Params], training: Training) -> State:
    """Returns the state before the first step: parameters and moments [S, ...], one step.

    Args:
      params: parameters of each training, or their shapes.
      training: settings.
    """
    states = [loop.start(one, training) for one in params]
    step = states[0].step

    def stacked(states: Sequence[State]) -> State:
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    shapes = any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(params))
    whole = jax.eval_shape(stacked, states) if shapes else stacked(states)
    return whole._replace(step=step)


def train(
    loss: loop.Loss,
    draw: loop.Draw | loop.ByStep,
    pools: Sequence[loop.Pool],
    state: State,
    training: Training,
    keys: jax.Array,
    validate: Sequence[Validate],
    compiled: loop.Compiled,
) -> tuple[Outcome, ...]:
    """Trains from a state up to `training.steps`; returns what each training gave.

    Each has its own best parameters; seconds and memory are its share of those of all.

    Args:
      loss: `(params, key, batch) -> scalar`, of one training.
      draw: as of `loop.train`.
      pools: pytrees of arrays, cycled from step to step.
      state: `start(params, training)`, or one kept earlier. It is not changed.
      training: settings.
      keys: uint32[S, 2], the key of each training.
      validate: scores parameters, for each training; one is validated after the other.
      compiled: what `loop.compile_steps` gave for S seeds.

    Raises:
      Rejected: as `loop.train`, where it happens to any of them.
    """
    looks = _Looks(validate)
    whole = loop.train(
        loss, draw, pools, state, training, keys, validate=looks.take, compiled=compiled
    )
    steps, count = [step for step, _ in whole.validations], len(validate)
    return tuple(
        dataclasses.replace(
            whole,
            state=_of_one(whole.state, seed),
            losses=whole.losses[:, seed],
            validations=tuple(zip(steps, looks.taken[seed], strict=True)),
            best=looks.best[seed],
            best_step=steps[looks.best_look[seed]],
            compile_seconds=whole.compile_seconds / count,
            train_seconds=whole.train_seconds / count,
            score_seconds=whole.score_seconds / count,
            temporary_bytes=whole.temporary_bytes // count,
        )
        for seed in range(count)
    )


def _of_one(state: State, seed: int) -> State:
    """Returns the state of one training, as if it had been alone."""
    params, moments = jax.tree.map(lambda array: array[seed], (state.params, state.optimizer))
    return State(params, moments, state.step)


class _Looks:
    """Validations of each training, and the parameters of the best one, the first of equals."""

    def __init__(self, validate: Sequence[Validate]):
        self.taken: list[list[Mapping[str, float]]] = [[] for _ in validate]
        self.best: list[Params] = [None] * len(validate)
        self.best_look = [0] * len(validate)
        self._validate = validate

    def take(self, params: Params) -> dict[str, float]:
        """Validates parameters [S, ...]; returns the mean score, for the loop."""
        for seed, validate in enumerate(self._validate):
            own = jax.tree.map(lambda array: array[seed], params)  # noqa: B023
            taken = self.taken[seed]
            taken.append(validate(own))
            score = taken[-1]["score"]
            if len(taken) == 1 or score > taken[self.best_look[seed]]["score"]:
                self.best[seed], self.best_look[seed] = own, len(taken) - 1
        return {"score": float(np.mean([taken[-1]["score"] for taken in self.taken]))}
