"""Proposals trace in the jail, and follow a relabelling of nodes."""

import jax
import numpy as np
import pytest

from evo_clrs import programs, records, slots
from evo_clrs.errors import Rejected
from evo_clrs.jail.jail import Jail
from evo_clrs.proposers.grammar.survey import survey_proposals

SIZES = [records.make_size(B=2, H=16, K=8, N=n, R=3) for n in (4, 6)]


@pytest.fixture(scope="module")
def jail():
    with Jail() as jail:
        yield jail


def relabelled(arrays, tensors, order):
    """Returns arrays with their node axes in another order."""
    result = []
    for array, tensor in zip(arrays, tensors, strict=True):
        for axis, symbol in enumerate(tensor.shape):
            if symbol == "N":
                array = np.take(array, order, axis=axis)
        result.append(array)
    return result


def evaluated(sized: records.SizedGraph, parameters, inputs):
    apply = jax.export.deserialize(bytearray(sized.apply)).call
    outputs = apply(parameters, np.zeros(2, np.uint32), tuple(inputs))
    return [np.asarray(output) for output in outputs]


def check_relabelling(slot: slots.Slot, graph: records.Graph) -> None:
    sized = graph.sizes[-1]
    rng = np.random.default_rng(0)
    parameters = tuple(
        (rng.normal(size=p.shape) / np.sqrt(max(p.shape[:1], default=1))).astype(p.dtype)
        for p in graph.parameters
    )
    inputs = [rng.normal(size=t.at(sized.size)).astype(np.float32) for t in slot.arguments]
    inputs = [
        (x > 0).astype(np.float32) if tensor.name == "adj_mat" else x
        for x, tensor in zip(inputs, slot.arguments, strict=True)
    ]
    present = [t for t, s in zip(slot.outputs, sized.outputs, strict=True) if s is not None]
    order = rng.permutation(dict(sized.size)["N"])
    before = evaluated(sized, parameters, inputs)
    after = evaluated(sized, parameters, relabelled(inputs, slot.arguments, order))
    for want, got in zip(relabelled(before, present, order), after, strict=True):
        assert np.isfinite(got).all()
        np.testing.assert_allclose(got, want, rtol=2e-3, atol=2e-3)


def traced_share(jail: Jail, slot: slots.Slot, count: int, seed: int) -> float:
    traced = 0
    for _, proposal in survey_proposals(slot, programs.seeds(slot.name), count, seed):
        try:
            graph = jail.trace(slot, proposal.source, SIZES)
        except Rejected:
            continue
        traced += 1
        check_relabelling(slot, graph)
    return traced / count


@pytest.mark.parametrize("slot", [slots.PROCESSOR, slots.TRIPLET], ids=lambda slot: slot.name)
def test_a_few_proposals_trace(jail, slot):
    assert traced_share(jail, slot, 6, seed=2) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("slot", [slots.PROCESSOR, slots.TRIPLET], ids=lambda slot: slot.name)
def test_nearly_all_proposals_trace(jail, slot):
    assert traced_share(jail, slot, 60, seed=3) >= 0.97
