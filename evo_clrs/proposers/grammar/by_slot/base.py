"""What a slot's grammar consists of."""

import dataclasses
from collections.abc import Mapping

from evo_clrs.proposers.grammar.edits import Edit


@dataclasses.dataclass(frozen=True)
class SlotGrammar:
    """The edits of a slot and how far they may go.

    Attributes:
      edits: kinds of edits by name.
      weights: how often each kind is drawn, relative to the others.
      title: first words of a child's docstring.
      essential: inputs of which at least one must be read.
      sizes: a value for each symbol at which `max_elements` is counted.
      max_elements: how many numbers all named arrays of a program may hold, per batch entry.
      state: the input that holds what an earlier step put out, and the position of that output.
    """

    edits: Mapping[str, Edit]
    weights: Mapping[str, float]
    title: str
    essential: tuple[str, ...]
    sizes: Mapping[str, int]
    max_elements: float
    state: tuple[str, int] | None = None
