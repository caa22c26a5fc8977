"""Random parents: programs breed, but which of them does is drawn from all that were scored.

The control for selection by fitness: prompts go on from what was found, as in EvoPrompting, and a
program that is worse is as likely to be a parent as one that is better.
"""

import dataclasses
from collections.abc import Sequence

from evo_clrs.records import Candidate, Request
from evo_clrs.strategies.base import is_scored, no_seed
from evo_clrs.strategies.requests import Prompter, Prompting


@dataclasses.dataclass(frozen=True)
class Options(Prompting):
    """Options of random parents.

    Attributes:
      in_context: parents shown in each prompt, drawn with replacement.
      seeds_in_history: whether the seeds may be the final answer; they may be parents anyway.
    """

    in_context: int = 2
    seeds_in_history: bool = False


class RandomParents(Prompter):
    """Asks for variations of programs drawn from the seeds and all scored children alike.

    In the steady schedule a request draws from what was told before it was asked.
    """

    options: Options

    def __init__(self, options: Options, seed: int):
        super().__init__(options, seed, options.seeds_in_history)
        self._pool: list[Candidate] = []

    def population(self) -> Sequence[Candidate]:
        """Returns all that may be parents."""
        return tuple(self._pool)

    def _begin(self, seeds: Sequence[Candidate]) -> None:
        if not seeds:
            raise no_seed(seeds)
        self._pool = list(seeds)

    def _draw(self, index: int) -> Request:
        parents = self._choose(index, self._pool, self.options.in_context)
        return self._build(index, "vary", parents)

    def _take(self, children: Sequence[Candidate]) -> None:
        self._pool += filter(is_scored, children)
