"""Hill climbing: small changes of one program, which the best fitter child replaces.

The simplest search that selects at all. It begins at the fittest seed, and where there are none
at the first random program with a score.
"""

import dataclasses
from collections.abc import Sequence

from evo_clrs.records import Candidate, Request
from evo_clrs.strategies.base import fitness, fittest, is_scored
from evo_clrs.strategies.requests import Prompter, Prompting


@dataclasses.dataclass(frozen=True)
class Options(Prompting):
    """Options of hill climbing.

    Attributes:
      patience: children told in a row without a fitter one, rejected ones too, after which the
        climb begins anew.
      seeds_in_history: whether the seeds enter the history and may be the final answer.
    """

    patience: int = 100
    seeds_in_history: bool = False


class HillClimb(Prompter):
    """Climbs from one program to a fitter child of it, and begins anew when it is stuck.

    After each round the fittest child takes the place of the current program if it is fitter; one
    that is as fit does not, so that a plateau ends a climb. When `patience` runs out, the next
    climb begins at a seed drawn at random, or at a random program where there are no seeds.
    Children that were asked for in an earlier climb do not enter a later one.
    """

    options: Options

    def __init__(self, options: Options, seed: int):
        super().__init__(options, seed, options.seeds_in_history)
        self._seeds: Sequence[Candidate] = ()
        self._current: Candidate | None = None
        self._idle = 0  # children since the last progress
        self._first = 0  # first request of this climb

    def population(self) -> Sequence[Candidate]:
        """Returns the current program, if there is one."""
        return () if self._current is None else (self._current,)

    def _begin(self, seeds: Sequence[Candidate]) -> None:
        self._seeds = seeds
        self._current = fittest(seeds, 1)[0] if seeds else None

    def _draw(self, index: int) -> Request:
        if self._current is None:
            return self._build(index, "random", ())
        return self._build(index, "mutate", [self._current])

    def _take(self, children: Sequence[Candidate]) -> None:
        own = [c for c in children if c.request is not None and c.request >= self._first]
        for child in fittest(list(filter(is_scored, own)), 1):
            if self._current is None or fitness(child) > fitness(self._current):
                self._current, self._idle = child, 0
                return
        self._idle += len(own)
        if self._idle >= self.options.patience:
            self._begin_anew()

    def _begin_anew(self) -> None:
        self._idle, self._first = 0, self.next_index()
        draw = self._generator("restart", self._first)
        self._current = draw.choice(self._seeds) if self._seeds else None
