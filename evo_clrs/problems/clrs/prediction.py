"""What can change a prediction of a task, found by lowering the prediction and reading it.

The whole model, trusted code with the slot's graph in it, is lowered to StableHLO with every
parameter as an argument of its own; the graph gate then says which arguments can reach a result.
Nothing is compiled.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax

from evo_clrs.gates import liveness
from evo_clrs.problems.clrs.model import Model, empty_batch
from evo_clrs.problems.clrs.slot_function import SlotFunction
from evo_clrs.records import Parameter, Size
from evo_clrs.slots import Slot

_STEPS = 2  # the least at which what one step leaves behind can reach a later one


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many parameters a model has.

    Attributes:
      all: numbers in all its arrays.
      live: those in arrays that can change a prediction.
    """

    all: int
    live: int


def count_parameters(model: Model) -> Counts:
    """Returns the parameters of a model, all and live."""
    leaves = jax.tree.leaves(model.shapes())
    live = _live_leaves(model)
    sizes = [math.prod(leaf.shape) for leaf in leaves]
    return Counts(sum(sizes), sum(size for index, size in enumerate(sizes) if index in live))


def live_slot_outputs(
    make_model: Callable[[SlotFunction], Model], slot: Slot, size: Size
) -> frozenset[int]:
    """Returns the positions of the slot's outputs that predictions of the task read.

    A probe fills the slot whose outputs are its parameters: those that are live are read.

    Args:
      make_model: returns the task's model around a slot function.
      slot: the slot.
      size: a size to look at; the answer is the same at all.
    """
    shapes = [
        tuple(dict(size)["H"] if number < 0 else number for number in tensor.at(size))
        for tensor in slot.outputs
    ]

    def apply(parameters: Any, key: Any, at: Size, inputs: Any) -> Any:
        return tuple(parameters)

    probe = SlotFunction(
        slot=slot,
        parameters=tuple(Parameter(str(i), shape, "float32") for i, shape in enumerate(shapes)),
        properties=dict.fromkeys(slot.properties, False),
        sizes=(size,),
        any_size=False,
        init=lambda key, at: tuple(jax.numpy.zeros(shape) for shape in shapes),
        apply=apply,
    )
    model = make_model(probe)
    # `slot` sorts after `model`, so the probe's arrays are the last leaves.
    first = len(jax.tree.leaves(model.shapes())) - len(shapes)
    return frozenset(index - first for index in _live_leaves(model) if index >= first)


def _live_leaves(model: Model) -> frozenset[int]:
    """Returns the positions of the parameter arrays that can change a prediction."""
    params = model.shapes()
    leaves, structure = jax.tree.flatten(params)
    dimensions = dict(model.slot.sizes[0])
    batch = empty_batch(
        model.task, model.categories, dimensions["B"], dimensions["N"], steps=_STEPS
    )
    labels = dataclasses.replace(batch, outputs={})

    def predict(leaves: list[jax.Array], key: jax.Array, batch: Any) -> Any:
        return model.forward(jax.tree.unflatten(structure, leaves), key, batch)

    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    lowered = jax.jit(predict, keep_unused=True).lower(leaves, key, labels)
    live = liveness.live_arguments(lowered.as_text())
    return frozenset(index for index in live if index < len(leaves))
