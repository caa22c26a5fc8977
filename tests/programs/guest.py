"""Runs a program in this process, as only these tests may, from what its slot says of it."""

import dataclasses
import functools
from typing import Any

import haiku as hk
import jax
import numpy as np

from evo_clrs import programs
from evo_clrs.clrs_library import clrs  # programs import clrs, which needs its stand-ins
from evo_clrs.records import Size, make_size
from evo_clrs.slots import SLOTS, Slot, Tensor

SMALL = make_size(B=2, N=5, H=16, K=8, L=40, C=10)
PUBLISHED = make_size(B=2, N=4, H=128, K=8, L=40, C=10)

Params = dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Guest:
    """A program that has been executed: its slot and what it defines there."""

    slot: Slot
    definition: Any

    def at(self, size: Size) -> hk.Transformed:
        """Returns init and apply of the program at a size; outputs are always a tuple."""
        dimensions = dict(size)
        constants = {name: dimensions[symbol] for name, symbol in self.slot.constants}
        call_constants = {name: dimensions[symbol] for name, symbol in self.slot.call_constants}

        def forward(*inputs):
            if self.slot.kind == "class":
                outputs = self.definition(**constants)(*inputs, **call_constants)
            else:
                outputs = self.definition(*inputs, **constants)
            return outputs if len(self.slot.outputs) > 1 else (outputs,)

        return hk.transform(forward)


@functools.cache
def guest(slot_name: str, name: str) -> Guest:
    """Returns the packaged program of this name."""
    slot = SLOTS[slot_name]
    names: dict[str, Any] = {}
    exec(compile(programs.load(slot_name)[name], name, "exec"), names)
    return Guest(slot=slot, definition=names[slot.definition])


@functools.cache
def small_params(slot_name: str, name: str) -> Params:
    """Returns parameters at `SMALL`, biases random too; not traced, so in order of creation."""
    slot = SLOTS[slot_name]
    params = guest(slot_name, name).at(SMALL).init(jax.random.key(0), *inputs(slot, SMALL))
    return randomised(params)


def randomised(params: Params, seed: int = 0) -> Params:
    """Returns parameters with small random numbers added, so that no bias stays zero."""
    rng = np.random.default_rng(seed)
    return {
        module: {
            name: np.asarray(value) + 0.1 * rng.normal(size=value.shape).astype(np.float32)
            for name, value in arrays.items()
        }
        for module, arrays in params.items()
    }


def inputs(slot: Slot, size: Size, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Returns random inputs of a slot; the adjacency matrix is of 0 and 1, with self-loops."""
    rng = np.random.default_rng(seed)

    def draw(tensor: Tensor) -> np.ndarray:
        values = rng.normal(size=tensor.at(size))
        if tensor.name == "adj_mat":
            values = np.maximum(values > 0, np.eye(values.shape[-1]))
        return values.astype(np.float32)

    return tuple(draw(tensor) for tensor in slot.inputs)


def shapes_of_params(slot_name: str, name: str, size: Size) -> dict[tuple[str, str], tuple]:
    """Returns the shape of each parameter of a program at a size, without computing any."""
    program = guest(slot_name, name)
    arguments = [
        jax.ShapeDtypeStruct(tensor.at(size), np.float32) for tensor in program.slot.inputs
    ]
    params = jax.eval_shape(program.at(size).init, jax.random.key(0), *arguments)
    return {
        (module, parameter): value.shape
        for module, arrays in params.items()
        for parameter, value in arrays.items()
    }


def count(slot_name: str, name: str, size: Size = PUBLISHED) -> int:
    """Returns the number of parameters of a program."""
    return sum(int(np.prod(s)) for s in shapes_of_params(slot_name, name, size).values())


def in_order(params: Params) -> list[np.ndarray]:
    """Returns the arrays of parameters in order of creation, `w` and `b` as Haiku makes them."""
    return [value for arrays in params.values() for value in arrays.values()]


def library_processor(kind: str, size: Size = SMALL) -> hk.Transformed:
    """Returns init and apply of the library's processor, with LayerNorm and four heads."""
    dimensions = dict(size)
    factory = clrs.get_processor_factory(
        kind, use_ln=True, nb_triplet_fts=dimensions["K"], nb_heads=4
    )
    return hk.transform(lambda *inputs: factory(dimensions["H"])(*inputs))
