"""The training loss: that of each output and of each hint, added up, one computation for each kind.

The losses are the library's: squared error of scalars, logistic loss of masks, cross entropy of
what is one of several; each is a mean over what counts of its feature. Computed apart they are much
of what a step takes to compile, so the rows of all features of a kind stand below each other here,
each row with what it weighs in the mean of its own feature.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from evo_clrs.clrs_library import clrs
from evo_clrs.problems.clrs.data import Pool
from evo_clrs.problems.clrs.tasks import Feature

_Type = clrs.Type
_MASKED, _POSITIVE = clrs.OutputClass.MASKED, clrs.OutputClass.POSITIVE
_LEAST_WEIGHT = clrs._src.losses.EPS

_CHOICES = (_Type.MASK_ONE, _Type.CATEGORICAL, _Type.POINTER)


@dataclasses.dataclass(frozen=True)
class Rows:
    """M predictions of one feature.

    Attributes:
      kind: "squared", "logistic", "choice" or "likelihood".
      predictions: [M], or [M, C] where there are C to choose from: logits, or log-likelihoods.
      truths: of the same shape.
      weights: [M], what each counts in the feature's loss.
    """

    kind: str
    predictions: jax.Array
    truths: jax.Array
    weights: jax.Array


def of_output(feature: Feature, prediction: jax.Array, batch: Pool) -> Rows:
    """Returns the rows of an output.

    Args:
      feature: which.
      prediction: raw, [B, ...]; of permutations log-likelihoods.
      batch: has the labels.
    """
    truth = batch.outputs[feature.name]
    if feature.type == _Type.POINTER:
        truth = jax.nn.one_hot(truth, batch.nodes, dtype=prediction.dtype)
    counting = jnp.ones_like(prediction)
    if feature.type == _Type.MASK:
        counting = (truth != _MASKED).astype(prediction.dtype)
    if feature.type in (*_CHOICES, _Type.PERMUTATION_POINTER):
        counting = counting[..., 0]
    total = jnp.sum(counting)
    if feature.type in (_Type.MASK_ONE, _Type.CATEGORICAL):
        total = jnp.sum(truth == _POSITIVE)
        truth = jnp.where(truth == _MASKED, 0, truth)
    return _rows(feature, prediction, truth, counting / total)


def of_hint(feature: Feature, predictions: jax.Array, batch: Pool) -> Rows:
    """Returns the rows of a hint; what stands behind the end of a sample counts nothing.

    Args:
      feature: which.
      predictions: raw, of the second hint and all that follow: [T - 1, B, ...].
      batch: has the labels.
    """
    truth = batch.hints[feature.name][1:]
    predictions = predictions[: truth.shape[0]]
    if feature.type == _Type.POINTER:
        truth = jax.nn.one_hot(truth, batch.nodes, dtype=predictions.dtype)
    steps = jnp.arange(truth.shape[0])[:, None]
    counting = (batch.lengths > steps + 1).astype(predictions.dtype)  # [T - 1, B]
    shape = truth.shape[:-1] if feature.type in _CHOICES else truth.shape
    counting = jnp.broadcast_to(
        jnp.reshape(counting, (*counting.shape, *[1] * (len(shape) - 2))), shape
    )
    if feature.type == _Type.MASK:
        counting *= truth != _MASKED
    elif feature.type == _Type.CATEGORICAL:
        counting *= jnp.any(truth == _POSITIVE, axis=-1)
    weights = counting / jnp.maximum(jnp.sum(counting), _LEAST_WEIGHT)
    return _rows(feature, predictions, truth, weights)


def add_up(features: Sequence[Rows]) -> jax.Array:
    """Returns the sum of the losses of features, a scalar."""
    alike: dict[tuple[Any, ...], list[Rows]] = {}
    for rows in features:
        alike.setdefault((rows.kind, *rows.predictions.shape[1:]), []).append(rows)
    total = jnp.zeros(())
    for group in alike.values():
        fields = ("predictions", "truths", "weights")
        stacked = (jnp.concatenate([getattr(rows, name) for rows in group]) for name in fields)
        predictions, truths, weights = stacked
        total += jnp.sum(weights * _losses(group[0].kind, predictions, truths))
    return total


def _rows(feature: Feature, predictions: jax.Array, truth: jax.Array, weights: jax.Array) -> Rows:
    """Returns arrays of any shape as rows."""
    kind = {
        _Type.SCALAR: "squared",
        _Type.MASK: "logistic",
        _Type.PERMUTATION_POINTER: "likelihood",
    }.get(feature.type, "choice")
    shape = (-1, *predictions.shape[weights.ndim :])
    return Rows(
        kind, jnp.reshape(predictions, shape), jnp.reshape(truth, shape), jnp.reshape(weights, -1)
    )


def _losses(kind: str, predictions: jax.Array, truths: jax.Array) -> jax.Array:
    """Returns the loss of each row, [M]."""
    if kind == "squared":
        return (predictions - truths) ** 2
    if kind == "logistic":
        certain = jnp.maximum(predictions, 0) - predictions * truths
        return certain + jnp.log1p(jnp.exp(-jnp.abs(predictions)))
    if kind == "likelihood":
        return -jnp.sum(truths * predictions, axis=-1)
    largest = jax.lax.stop_gradient(jnp.max(predictions, axis=-1, keepdims=True))
    logits = predictions - largest
    normaliser = jnp.log(jnp.sum(jnp.exp(logits), axis=-1))
    return normaliser * jnp.sum(truths, axis=-1) - jnp.sum(truths * logits, axis=-1)
