"""Strategies decide what to ask for and who survives; the registry makes one from its name."""

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.strategies import (
    best_of_n,
    evoprompting,
    genius,
    hill_climb,
    islands,
    lapt,
    llmatic,
    random_search,
    regularized_evolution,
)
from evo_clrs.strategies.base import Strategy

# One line for each strategy: the dataclass of its options, and what makes it from them and a seed.
REGISTRY: Mapping[str, tuple[type, Callable[[Any, int], Strategy]]] = {
    "evoprompting": (evoprompting.Options, evoprompting.EvoPrompting),
    "best_of_n": (best_of_n.Options, best_of_n.BestOfN),
    "hill_climb": (hill_climb.Options, hill_climb.HillClimb),
    "genius": (genius.Options, genius.Genius),
    "lapt": (lapt.Options, lapt.Lapt),
    "llmatic": (llmatic.Options, llmatic.LLMatic),
    "random": (random_search.Options, random_search.RandomSearch),
    "regularized_evolution": (
        regularized_evolution.Options,
        regularized_evolution.RegularizedEvolution,
    ),
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
    return islands.settle(REGISTRY[name][1], kind(**values), seed, mixing or islands.Options())


def options_type(name: str) -> type:
    """Returns the frozen dataclass of a strategy's options, documented field by field.

    Raises:
      UserError: the name is unknown.
    """
    if name not in REGISTRY:
        raise UserError(f"unknown strategy {_choose(name, REGISTRY)}")
    return REGISTRY[name][0]


def _choose(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 3)
    if close:
        return f"{name!r}: did you mean {' or '.join(close)}?"
    return f"{name!r}: choose one of {', '.join(known)}"
