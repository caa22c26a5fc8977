"""Best of n: every program is asked for from the seeds alone, and the best one wins.

The control for selection: the same prompts with the same proposer, but nothing that was found is
ever shown again.
"""

import dataclasses
from collections.abc import Sequence

from evo_clrs.records import Candidate, Request
from evo_clrs.strategies.base import no_seed
from evo_clrs.strategies.requests import Prompter, Prompting


@dataclasses.dataclass(frozen=True)
class Options(Prompting):
    """Options of best of n.

    Attributes:
      in_context: seeds shown in each prompt, drawn with replacement.
      seeds_in_history: whether the seeds enter the history and may be the final answer.
    """

    in_context: int = 2
    seeds_in_history: bool = False


class BestOfN(Prompter):
    """Asks for variations of the seeds, which are drawn anew for each prompt."""

    options: Options

    def __init__(self, options: Options, seed: int):
        super().__init__(options, seed, options.seeds_in_history)
        self._seeds: Sequence[Candidate] = ()

    def population(self) -> Sequence[Candidate]:
        """Returns the seeds."""
        return tuple(self._seeds)

    def _begin(self, seeds: Sequence[Candidate]) -> None:
        if not seeds:
            raise no_seed(seeds)
        self._seeds = seeds

    def _draw(self, index: int) -> Request:
        parents = self._choose(index, self._seeds, self.options.in_context)
        return self._build(index, "vary", parents)

    def _take(self, children: Sequence[Candidate]) -> None:
        pass
