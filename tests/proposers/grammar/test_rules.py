"""Rules of shapes: whatever they are called with, they answer or say that shapes do not fit."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_clrs.proposers.grammar import operators, rules, sequences
from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.values import (
    NONE,
    UNKNOWN,
    Array,
    Constant,
    Items,
    ShapeError,
    Size,
    Value,
)

DIMS = st.sampled_from(["B", "N", "H", 0, 1, 2, 8]).map(Dim.of)
ARRAYS = st.lists(DIMS, max_size=4).map(lambda shape: Array(tuple(shape)))
NUMBERS = st.integers(-5, 9).map(lambda number: Size(Dim.of(number)))
CONSTANTS = st.sampled_from([NONE, UNKNOWN, Constant(True), Constant(0.5), Constant("ij,jk->ik")])
PLAIN = ARRAYS | NUMBERS | CONSTANTS
TUPLES = st.lists(ARRAYS, max_size=3) | st.lists(NUMBERS, max_size=3) | st.lists(PLAIN, max_size=3)
VALUES = PLAIN | TUPLES.map(lambda items: Items(tuple(items)))
EVERY = {**rules.RULES, **sequences.RULES}


def array(*shape):
    return Array(tuple(map(Dim.of, shape)))


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=60, deadline=None)
@given(arguments=st.lists(VALUES, min_size=1, max_size=4), axis=NUMBERS | VALUES | st.none())
def test_any_call_is_answered_or_refused(name, arguments, axis):
    named = {} if axis is None else {"axis": axis}
    with contextlib.suppress(ShapeError):
        assert isinstance(rules.bound(EVERY[name], arguments, named), Value)


@settings(max_examples=500, deadline=None)
@given(owner=VALUES, index=st.lists(VALUES, max_size=4))
def test_any_index_is_answered_or_refused(owner, index):
    with contextlib.suppress(ShapeError):
        assert isinstance(operators.indexed(owner, index), Value)


@pytest.mark.parametrize(
    ("shapes", "axis", "message"),
    [
        ((("B", 8), ("B",)), 1, "cannot concatenate"),
        ((("B", 8), ("B", 8, 8)), 0, "cannot concatenate"),
        ((("B", 8), ("B", 8)), 2, "axis 2 is out of range"),
    ],
)
def test_arrays_of_other_ranks_or_axes_are_not_joined(shapes, axis, message):
    """Values of numpy: each of these raises when it is traced."""
    arrays = Items(tuple(array(*shape) for shape in shapes))
    with pytest.raises(ShapeError, match=message):
        rules.call("jnp.concatenate", [arrays], {"axis": Size(Dim.of(axis))})
