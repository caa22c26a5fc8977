"""Predictions that are computed together are what the library makes of each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.clrs_library import clrs
from evo_clrs.problems.clrs import decoding
from evo_clrs.problems.clrs.tasks import TASKS, task
from tests.problems.clrs.side_by_side import PROTOCOL, samples

_decoders = clrs._src.decoders
_Type = clrs.Type


@pytest.mark.parametrize("name", TASKS)
def test_hints_are_fed_back_as_the_library_softens_them(name):
    posed, batch = task(name, PROTOCOL), samples(name)
    random = np.random.default_rng(0)
    raw = {}
    for feature in posed.hints:
        shape = batch.hints[feature.name].shape[1:]
        if feature.type == _Type.POINTER:
            shape = (*shape, batch.nodes)
        raw[feature.name] = jnp.asarray(random.normal(size=shape), jnp.float32)
    expected = _decoders.postprocess(posed.spec, raw, 0.1, 0, hard=False)
    found = decoding.soften(posed.hints, raw)
    assert found.keys() == expected.keys()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6),
        found,
        {name: point.data for name, point in expected.items()},
    )
