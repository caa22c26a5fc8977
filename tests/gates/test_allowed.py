"""The static gate's lists of names, held against the libraries they speak of."""

import importlib
import operator
import types

import pytest

from evo_clrs.gates import allowed
from evo_clrs.slots import GUEST_IMPORTS


@pytest.mark.parametrize("module", [name for name in allowed.CLOSED if name != "clrs"])
def test_every_name_listed_exists(module):
    library = importlib.import_module(module)
    for name in allowed.CLOSED[module]:
        operator.attrgetter(name)(library)  # raises AttributeError for a stale entry


@pytest.mark.parametrize("space", allowed.OPEN)
def test_open_namespaces_lead_to_no_other_module(space):
    library = importlib.import_module(space)
    for name in dir(library):
        path = (*space.split("."), name)
        if isinstance(getattr(library, name, None), types.ModuleType):
            assert allowed.allowed_length(path) == 0


def test_a_path_may_go_on_into_the_value_it_names():
    assert allowed.allowed_length(("jax", "numpy", "pi")) == 3
    assert allowed.allowed_length(("jax", "numpy", "maximum", "reduce")) == 3
    assert allowed.allowed_length(("jax", "numpy", "save")) == 0
    assert allowed.allowed_length(("jax", "lax", "top_k")) == 3
    assert allowed.allowed_length(("jax", "lax", "top_k_p")) == 0
    assert allowed.allowed_length(("clrs", "processors", "Processor")) == 3
    assert allowed.allowed_length(("clrs", "processors")) == 0


def test_every_module_a_program_may_import_has_a_list():
    assert set(GUEST_IMPORTS) <= set(allowed.OPEN) | set(allowed.CLOSED)
