"""Samples of a task as arrays: drawn by the clrs library, gathered and varied on the device."""

import dataclasses
import hashlib
import json
from typing import Any

import jax
import numpy as np

from evo_clrs.clrs_library import clrs
from evo_clrs.errors import UserError
from evo_clrs.problems.clrs.tasks import (
    Protocol,
    Split,
    Task,
    moves_predecessor,
    sampler_options,
)
from evo_clrs.randomness import seed_for

# Raise when the same recipe would give other arrays, so that cached ones are made again.
FORMAT = 1

# Raise when `draw_batch` gives another batch for the same key, so that scores are not mixed.
BATCHES = 2

# NumPy or JAX arrays; inside jit, tracers.
Array = Any


@dataclasses.dataclass(frozen=True)
class Pool:
    """S samples of one length, or a batch of them: a pytree of NumPy or JAX arrays.

    Pointers are int32 node indices, everything else is float32: scalars, masks of 0 and 1, one-hot
    categoricals and mask_one, and permutation pointers, one-hot over the N nodes. Outputs may hold
    -1 where there is nothing to predict (`clrs.OutputClass.MASKED`). Dictionaries are keyed by
    feature name; the order that counts is that of `Task.inputs`, `hints` and `outputs`.

    Attributes:
      inputs: arrays [S, ...].
      hints: arrays [T, S, ...], zero after a sample's length.
      outputs: arrays [S, ...].
      lengths: hint steps of each sample, int32 [S].
    """

    inputs: dict[str, Array]
    hints: dict[str, Array]
    outputs: dict[str, Array]
    lengths: Array

    @property
    def count(self) -> int:
        """S, how many samples there are."""
        return self.lengths.shape[0]

    @property
    def nodes(self) -> int:
        """N, how many nodes each sample has."""
        return self.inputs["pos"].shape[1]

    @property
    def hint_steps(self) -> int:
        """T, how many steps the hints are padded to."""
        return next(iter(self.hints.values())).shape[0]

    @property
    def steps(self) -> int:
        """How many steps of message passing these samples take: the first hint is given."""
        return max(1, self.hint_steps - 1)


jax.tree_util.register_dataclass(
    Pool, data_fields=["inputs", "hints", "outputs", "lengths"], meta_fields=[]
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that shapes a pool, and nothing else: equal recipes give equal pools.

    Attributes:
      task: the task's name.
      length: length of the samples, as the library's sampler understands it.
      count: how many samples.
      seed: seed of the sampler.
      options: what else the sampler is told.
      random_positions: whether `pos` is drawn anew, sorted uniform.
      predecessor_as_input: whether the constant hint `pred_h` becomes the input `pred`.
      permutations: whether sorting outputs are permutations.
    """

    task: str
    length: int
    count: int
    seed: int
    options: tuple[tuple[str, Any], ...]
    random_positions: bool
    predecessor_as_input: bool
    permutations: bool

    @property
    def key(self) -> str:
        """SHA-256 of the recipe, the library's version and the format, in hexadecimal."""
        fields = dataclasses.asdict(self) | {"clrs": clrs.__version__, "format": FORMAT}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def make_recipe(
    task: Task, protocol: Protocol, split: Split, length: int, count: int, seed: int
) -> Recipe:
    """Returns the recipe of `count` samples of a split at one length.

    Raises:
      UserError: length, count or seed is out of its range for this task.
    """
    options = sampler_options(task, protocol, split)
    shortest = 2
    if task.matches_strings:
        shortest = 1 - 2 * options.get("length_needle", -1)
    elif task.name == "strongly_connected_components":
        shortest = 4  # The sampler joins four communities.
    for name, value, least in (
        ("length", length, shortest),
        ("count", count, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise UserError(f"{name}: expected {least} or more for {task.name}, got {value}")
    return Recipe(
        task=task.name,
        length=length,
        count=count,
        seed=seed,
        options=tuple(sorted(options.items())),
        random_positions=protocol.random_positions and split != "test",
        predecessor_as_input=moves_predecessor(task.name, protocol),
        permutations=protocol.permutations,
    )


def draw(recipe: Recipe) -> Pool:
    """Returns the pool of a recipe as NumPy arrays, drawn by the clrs library's own sampler."""
    sampler, spec = clrs.build_sampler(
        recipe.task,
        num_samples=recipe.count,
        length=recipe.length,
        seed=recipe.seed,
        **dict(recipe.options),
    )
    samples = iter([sampler.next()])
    if recipe.random_positions:
        positions_seed = seed_for(recipe.seed, "positions", recipe.length) % 2**32
        samples = clrs.process_random_pos(samples, np.random.RandomState(positions_seed))
    if recipe.predecessor_as_input:
        spec, samples = clrs.process_pred_as_input(spec, samples)
    feedback = next(samples)
    return Pool(
        inputs=_arrays(feedback.features.inputs, recipe.permutations),
        hints=_arrays(feedback.features.hints, recipe.permutations),
        outputs=_arrays(feedback.outputs, recipe.permutations),
        lengths=np.asarray(feedback.features.lengths, np.int32),
    )


def make_pool(
    task: Task, protocol: Protocol, split: Split, length: int, count: int, seed: int
) -> Pool:
    """Returns `count` samples of a split at one length, as NumPy arrays.

    Raises:
      UserError: length, count or seed is out of its range for this task.
    """
    return draw(make_recipe(task, protocol, split, length, count, seed))


def _arrays(points: Any, permutations: bool) -> dict[str, np.ndarray]:
    """Returns the library's data points by name, in the types that `Pool` promises."""
    arrays: dict[str, np.ndarray] = {}
    for point in points:
        if point.type_ == clrs.Type.SHOULD_BE_PERMUTATION and permutations:
            arrays[point.name], arrays[f"{point.name}_mask"] = _permutation(point.data)
        elif point.type_ in (clrs.Type.POINTER, clrs.Type.SHOULD_BE_PERMUTATION):
            arrays[point.name] = np.asarray(point.data, np.int32)
        else:
            arrays[point.name] = np.asarray(point.data, np.float32)
    return arrays


def _permutation(pointers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns predecessors as a cycle, one-hot [S, N, N], and the first node, one-hot [S, N].

    Each node points to its predecessor, and the first one to itself; in the cycle it points to the
    last one, to which no node points. In NumPy, since the library's own function opens an
    accelerator.

    Args:
      pointers: predecessors [S, N].
    """
    pointers = np.asarray(pointers, np.int64)
    one_hot = np.eye(pointers.shape[1], dtype=np.float32)
    first = one_hot[np.argmax(pointers == np.arange(pointers.shape[1]), axis=1)]  # [S, N]
    last = one_hot[np.argmin(one_hot[pointers].sum(axis=1), axis=1)]  # [S, N]
    cycle = one_hot[pointers] + first[:, :, None] * (last - first)[:, None, :]  # [S, N, N]
    return cycle, first


def take(pool: Pool, indices: Array) -> Pool:
    """Returns the batch of these samples; on JAX arrays it may be traced.

    Args:
      pool: S samples.
      indices: which of them, integers [B].
    """
    return Pool(
        inputs={name: array[indices] for name, array in pool.inputs.items()},
        hints={name: array[:, indices] for name, array in pool.hints.items()},
        outputs={name: array[indices] for name, array in pool.outputs.items()},
        lengths=pool.lengths[indices],
    )


def sort_by_length(pool: Pool) -> Pool:
    """Returns the samples in order of the length of their trajectories, in NumPy."""
    return take(pool, np.argsort(pool.lengths, kind="stable"))


def draw_batch(
    key: Array, pool: Pool, batch_size: int, buckets: int, random_positions: bool
) -> Pool:
    """Returns random samples of one bucket, drawn with replacement; to be traced.

    A bucket is one of so many parts of the pool, equal in size up to one, and drawn with equal
    probability: batches of a sorted pool are then of similar lengths, while each sample is as
    likely as any other, up to what the parts differ by.

    Args:
      key: JAX random key.
      pool: S samples, sorted by length if there are several buckets.
      batch_size: how many.
      buckets: how many buckets, at least 1.
      random_positions: whether positions are drawn anew.
    """
    # A generator takes as long to compile as a layer, so there is one for all that is drawn.
    nodes = pool.inputs["pos"].shape[1] if random_positions else 0
    drawn = jax.random.uniform(key, (1 + batch_size * (1 + nodes),))
    edges = np.linspace(0, pool.count, min(buckets, pool.count) + 1).astype(int)
    bucket = _below(drawn[0], len(edges) - 1)
    first, end = jax.numpy.asarray(edges)[bucket], jax.numpy.asarray(edges)[bucket + 1]
    batch = take(pool, first + _below(drawn[1 : 1 + batch_size], end - first))
    positions = jax.numpy.reshape(drawn[1 + batch_size :], (batch_size, nodes))
    return randomise_positions(positions, batch) if random_positions else batch


def _below(drawn: Array, count: Any) -> Array:
    """Returns numbers from [0, 1) as integers below `count`, which has 20 bits at most."""
    return (drawn * count).astype(int)


def fit_hints(pool: Pool, hint_steps: int) -> Pool:
    """Returns the pool with hints padded with zeros, or cut, to `hint_steps` steps, in NumPy.

    Raises:
      ValueError: a sample is longer.
    """
    longest = int(np.max(pool.lengths))
    if hint_steps < longest:
        raise ValueError(f"hint_steps: expected {longest} or more, got {hint_steps}")

    def fit(array: Array) -> np.ndarray:
        kept = np.asarray(array)[:hint_steps]
        padding = [(0, hint_steps - kept.shape[0])] + [(0, 0)] * (kept.ndim - 1)
        return np.pad(kept, padding)

    return dataclasses.replace(pool, hints={name: fit(a) for name, a in pool.hints.items()})


def randomise_positions(drawn: Array, batch: Pool) -> Pool:
    """Returns the batch with the input `pos` drawn anew: sorted uniform numbers from [0, 1).

    Tasks on two strings have them sorted within each string, as `clrs.process_random_pos` has.

    Args:
      drawn: uniform numbers from [0, 1), [B, N].
      batch: B samples; may be traced.
    """
    drawn = drawn.astype(batch.inputs["pos"].dtype)
    if "string" in batch.inputs:
        # 0 on the nodes of the first string, then 1 on those of the second: sorting by it first
        # leaves each string's numbers on its own nodes.
        _, drawn = jax.lax.sort((batch.inputs["string"], drawn), dimension=1, num_keys=2)
    else:
        drawn = jax.numpy.sort(drawn, axis=1)
    return dataclasses.replace(batch, inputs={**batch.inputs, "pos": drawn})


def feedback(task: Task, pool: Pool, indices: Array | None = None) -> Any:
    """Returns samples as the library's models take them: a `clrs.Feedback` of data points.

    Args:
      task: the task that the pool holds samples of.
      pool: the samples.
      indices: which of them, all by default.
    """
    batch = pool if indices is None else take(pool, indices)

    def points(features: Any, arrays: dict[str, Array]) -> tuple[Any, ...]:
        return tuple(
            clrs.DataPoint(name=f.name, location=f.location, type_=f.type, data=arrays[f.name])
            for f in features
        )

    features = clrs.Features(
        inputs=points(task.inputs, batch.inputs),
        hints=points(task.hints, batch.hints),
        lengths=np.asarray(batch.lengths, np.float32),
    )
    return clrs.Feedback(features=features, outputs=points(task.outputs, batch.outputs))
