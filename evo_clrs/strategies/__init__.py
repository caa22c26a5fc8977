"""Strategies decide what to ask for and who survives; the registry makes one from its name."""

import dataclasses
import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.strategies import islands
from evo_clrs.strategies.base import Strategy

# One line for each strategy: its class, made from options and a seed; its module's `Options` is the
# dataclass of its options. Imported when asked for.
REGISTRY: Mapping[str, str] = {
    "evoprompting": "evo_clrs.strategies.evoprompting.EvoPrompting",
    "llmatic": "evo_clrs.strategies.llmatic.LLMatic",
    "genius": "evo_clrs.strategies.genius.Genius",
    "lapt": "evo_clrs.strategies.lapt.Lapt",
    "random": "evo_clrs.strategies.random_search.RandomSearch",
    "regularized_evolution": "evo_clrs.strategies.regularized_evolution.RegularizedEvolution",
    "best_of_n": "evo_clrs.strategies.best_of_n.BestOfN",
    "random_parents": "evo_clrs.strategies.random_parents.RandomParents",
    "hill_climb": "evo_clrs.strategies.hill_climb.HillClimb",
}


def make(
    name: str, options: Mapping[str, Any], seed: int, mixing: islands.Options | None = None
) -> Strategy:
    """Returns the strategy with this name.

    Args:
      name: a key of `REGISTRY`.
      options: its options by name; those not given have their defaults, and lists stand for
        tuples, as in JSON.
      seed: the run's seed.
      mixing: on how many islands it lives, and how they mix; None for no islands.

    Raises:
      UserError: the name or an option is unknown, a value is out of range, or the strategy cannot
        live on islands.
    """
    kind = options_type(name)
    known = [field.name for field in dataclasses.fields(kind)]
    for option in options:
        if option not in known:
            raise UserError(f"strategy {name} has no option {_choose(option, known)}")
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    module, _, maker = REGISTRY[name].rpartition(".")
    strategy = getattr(importlib.import_module(module), maker)
    return islands.settle(strategy, kind(**values), seed, mixing or islands.Options())


def options_type(name: str) -> type:
    """Returns the frozen dataclass of a strategy's options, documented field by field.

    Raises:
      UserError: the name is unknown.
    """
    if name not in REGISTRY:
        raise UserError(f"unknown strategy {_choose(name, REGISTRY)}")
    return importlib.import_module(REGISTRY[name].rpartition(".")[0]).Options


def _choose(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 3)
    if close:
        return f"{name!r}: did you mean {' or '.join(close)}?"
    return f"{name!r}: choose one of {', '.join(known)}"
