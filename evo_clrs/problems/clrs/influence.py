"""What can change a prediction of a task: found by the method, for every task and slot alike.

The whole model, trusted code with the slot in it, is lowered with every parameter as an argument
of its own; the graph gate says which arguments can reach a result. Nothing is compiled.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from evo_clrs.gates import liveness
from evo_clrs.problems.clrs.model import Model
from evo_clrs.problems.clrs.prediction import prediction_module
from evo_clrs.problems.slot_function import SlotFunction
from evo_clrs.records import Parameter, Size
from evo_clrs.slots import Slot


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
    module = prediction_module(model)
    return Counts(sum(module.sizes), module.count(liveness.live_arguments(module.text)))


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
    width = dict(size)["H"]
    shapes = [
        tuple(width if number < 0 else number for number in tensor.at(size))
        for tensor in slot.outputs
    ]

    def init(key: Any, at: Size) -> Any:
        return tuple(jnp.zeros(shape) for shape in shapes)

    def apply(parameters: Any, key: Any, at: Size, inputs: Any) -> Any:
        return tuple(parameters)

    probe = SlotFunction(
        slot=slot,
        parameters=tuple(
            Parameter(t.name, shape, "float32")
            for t, shape in zip(slot.outputs, shapes, strict=True)
        ),
        properties=dict.fromkeys(slot.properties, False),
        sizes=(size,),
        any_size=False,
        init=init,
        apply=apply,
    )
    module = prediction_module(make_model(probe))
    first = len(module.sizes) - len(shapes)  # the slot's arrays come last
    return liveness.live_slot_outputs(module.text, range(first, len(module.sizes)))
