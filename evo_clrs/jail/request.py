"""Slots and sizes on their way to the child, as JSON data."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from evo_clrs.slots import Slot, Tensor


def encode_slot(slot: Slot) -> dict[str, Any]:
    """Returns a slot as JSON data."""
    return {**dataclasses.asdict(slot), "imports": dict(slot.imports)}


def decode_slot(data: Mapping[str, Any]) -> Slot:
    """Returns the slot that `encode_slot` encoded."""

    def tensors(items: Sequence[Mapping[str, Any]]) -> tuple[Tensor, ...]:
        return tuple(Tensor(**{**item, "shape": tuple(item["shape"])}) for item in items)

    return Slot(
        **{
            **data,
            "constants": decode_pairs(data["constants"]),
            "call_constants": decode_pairs(data["call_constants"]),
            "inputs": tensors(data["inputs"]),
            "outputs": tensors(data["outputs"]),
            "properties": tuple(data["properties"]),
        }
    )


def decode_pairs(data: Sequence[Sequence[Any]]) -> tuple[tuple[Any, Any], ...]:
    """Returns pairs that went through JSON as tuples again, e.g. a `Size`."""
    return tuple((first, second) for first, second in data)
