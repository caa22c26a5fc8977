"""Random search: programs drawn from the whole space, with no selection at all.

The control that every strategy has to beat at equal budget. Draws are independent: one that was
drawn before counts like any other, as in the published figures for NAS-Bench-201.

References: Dong, Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
Search", ICLR 2020, https://arxiv.org/abs/2001.00326.
"""

import dataclasses
from collections.abc import Sequence

from evo_clrs.records import Candidate, Request
from evo_clrs.strategies.requests import Prompter, Prompting


@dataclasses.dataclass(frozen=True)
class Options(Prompting):
    """Options of random search.

    Attributes:
      in_context: seeds shown with each request as examples, each once.
      seeds_in_history: whether the seeds enter the history and may be the final answer.
    """

    in_context: int = 2
    seeds_in_history: bool = False


class RandomSearch(Prompter):
    """Asks for programs drawn from the whole space; needs no seeds where the space is known."""

    options: Options

    def __init__(self, options: Options, seed: int):
        super().__init__(options, seed, options.seeds_in_history)
        self._examples: Sequence[Candidate] = ()

    def population(self) -> Sequence[Candidate]:
        """Returns nothing: no request draws on what was found."""
        return ()

    def _begin(self, seeds: Sequence[Candidate]) -> None:
        self._examples = seeds

    def _draw(self, index: int) -> Request:
        return self._build_random(index, self._examples, self.options.in_context)

    def _take(self, children: Sequence[Candidate]) -> None:
        pass
