"""Proposers write programs when asked; the registry makes one from its name."""

from collections.abc import Callable, Mapping

from evo_clrs.errors import UserError
from evo_clrs.proposers.base import Proposer
from evo_clrs.proposers.grammar.proposer import Grammar

# One line for each proposer: its name before the first colon, and what makes it from the rest.
REGISTRY: Mapping[str, Callable[[str], Proposer]] = {
    "grammar": lambda _: Grammar(),
}


def make(name: str) -> Proposer:
    """Returns the proposer that `--lm` names, e.g. `grammar`.

    Raises:
      UserError: no proposer has this name.
    """
    kind, _, rest = name.partition(":")
    if kind not in REGISTRY:
        raise UserError(f"unknown proposer {name!r}: choose one of {', '.join(REGISTRY)}")
    return REGISTRY[kind](rest)
