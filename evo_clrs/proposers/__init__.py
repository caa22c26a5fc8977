"""Proposers write programs when asked; the registry makes one from its name."""

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.proposers.base import Proposer

# One line for each proposer: its name before the first colon of `--lm`, and its module, which is
# imported when asked for. The module has `Options`, a dataclass documented field by field, and
# `make(place, options, folder)`, where place is what follows the colon.
REGISTRY: Mapping[str, str] = {
    "grammar": "evo_clrs.proposers.grammar.proposer",
    "embedded": "evo_clrs.proposers.embedded",
    "hf": "evo_clrs.proposers.local",
    "openai": "evo_clrs.proposers.remote",
    "replay": "evo_clrs.proposers.replay",
}


def make(
    name: str, options: Mapping[str, Any] | None = None, folder: Path | None = None
) -> Proposer:
    """Returns the proposer that `--lm` names, e.g. `grammar` or `hf:FOLDER`.

    Args:
      name: a key of `REGISTRY`, and after a colon what it is made from.
      options: its options by name; those not given have their defaults.
      folder: the run folder, where a proposer may keep what it was answered; None for none.

    Raises:
      UserError: no proposer has this name, it cannot be made, or an option is at fault.
    """
    module = _module(name)
    kind = module.Options
    known = [field.name for field in dataclasses.fields(kind)]
    for option in options or {}:
        if option not in known:
            raise UserError(f"proposer {name} has no option {option!r}: it has {', '.join(known)}")
    return module.make(name.partition(":")[2], kind(**(options or {})), folder)


def options_type(name: str) -> type:
    """Returns the frozen dataclass of a proposer's options, documented field by field.

    Raises:
      UserError: no proposer has this name.
    """
    return _module(name).Options


def _module(name: str) -> ModuleType:
    kind = name.partition(":")[0]
    if kind not in REGISTRY:
        raise UserError(f"unknown proposer {name!r}: choose one of {', '.join(REGISTRY)}")
    return importlib.import_module(REGISTRY[kind])
