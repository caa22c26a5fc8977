"""The problems. A new one is one file or folder and one line here."""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.problems.base import Problem

# Name -> module with `OPTIONS`, the dataclasses its options are made of, and `make`, which takes
# one of each. Imported when asked for, so that one problem does not need another's packages.
PROBLEMS: Mapping[str, str] = {
    "clrs": "evo_clrs.problems.clrs.problem",
    "cells": "evo_clrs.problems.cells.trained.problem",
    "nasbench201": "evo_clrs.problems.cells.nasbench201",
    "nasbench_macro": "evo_clrs.problems.cells.nasbench_macro",
    "nats_sizes": "evo_clrs.problems.cells.nats_sizes",
    "mnist1d": "evo_clrs.problems.mnist1d.problem",
}


def options_of(name: str) -> tuple[type, ...]:
    """Returns the dataclasses that the options of a problem are made of.

    Raises:
      UserError: there is no such problem.
    """
    return _module(name).OPTIONS


def make(name: str, options: Mapping[str, Any]) -> Problem:
    """Returns a problem built from plain options: field names of `options_of(name)` to values.

    Fields that are missing take their defaults; lists stand for tuples, as in JSON.

    Raises:
      UserError: there is no such problem, or an option is unknown or out of range.
    """
    module = _module(name)
    left = dict(options)
    parts = []
    for part in module.OPTIONS:
        names = [field.name for field in dataclasses.fields(part) if field.name in left]
        parts.append(part(**{name: _tuples(left.pop(name)) for name in names}))
    if left:
        raise UserError(f"problem {name} has no option {', '.join(sorted(left))}")
    return module.make(*parts)


def _module(name: str) -> Any:
    if name not in PROBLEMS:
        raise UserError(f"problem: expected one of {', '.join(PROBLEMS)}, got {name!r}")
    return importlib.import_module(PROBLEMS[name])


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
