"""Islands: several populations side by side, which send their best to each other now and then.

Island i of k sends migrants to island i + 1, the last one to the first (a ring), as in the island
model of distributed evolution.

References: Whitley, Rana, Heckendorn, "The Island Model Genetic Algorithm: On Separability,
Population Size and Convergence", Journal of Computing and Information Technology 7, 1999.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.randomness import seed_for
from evo_clrs.records import Candidate, Request
from evo_clrs.strategies.base import Budget, Islander, Strategy, Turns, fittest


@dataclasses.dataclass(frozen=True)
class Options:
    """How many populations a search has, and how they mix.

    Attributes:
      islands: populations, which share the prompts of each round; 1 for a search without islands.
      migrate_every: rounds from one migration to the next.
      migrants: programs that each island sends to the next one at a migration.

    Raises:
      UserError: a number is not 1 or more.
    """

    islands: int = 1
    migrate_every: int = 2
    migrants: int = 2

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise UserError(
                    f"--{field.name} must be 1 or more, got {getattr(self, field.name)}"
                )


def settle(
    maker: Callable[[Any, int], Strategy], budget: Budget, seed: int, options: Options
) -> Strategy:
    """Returns a strategy on as many islands as the options say; a single one is itself.

    Args:
      maker: makes the strategy of one island from its options and seed.
      budget: the strategy's options, whose budget the islands share.
      seed: the run's seed.
      options: how many islands, and how they mix.

    Raises:
      UserError: the strategy has no population to migrate from and to, or a round has fewer prompts
        than there are islands.
    """
    if options.islands == 1:
        return maker(budget, seed)
    if not isinstance(maker(budget, seed), Islander):
        raise UserError(
            "this strategy has no population that could live on islands: leave out --islands"
        )
    if budget.prompts_per_round < options.islands:
        raise UserError(
            f"--islands={options.islands} share the prompts of a round: --prompts_per_round must "
            f"be {options.islands} or more, got {budget.prompts_per_round}"
        )
    strategies: list[Any] = []
    for island in range(options.islands):
        share = len(range(island, budget.prompts_per_round, options.islands))
        part = dataclasses.replace(budget, prompts_per_round=share)
        strategies.append(maker(part, seed_for(seed, "island", island)))
    return Islands(strategies, budget, seed, options)


class Islands(Turns):
    """A strategy on each of several islands, as one strategy.

    All islands begin with all seeds. Prompt j of a round belongs to island j modulo k, so that the
    first islands have one more where k does not divide the prompts of a round.

    Migration comes after every `migrate_every` rounds (in the steady schedule a round is as many
    tells as a round has prompts), from all islands at once, before anything arrives: the fittest of
    an island's population move on as copies, apart from those that the next island's population
    holds already.
    """

    def __init__(self, strategies: Sequence[Islander], budget: Budget, seed: int, options: Options):
        """Settles the islands; see `settle`, which divides the budget among them.

        Args:
          strategies: one for each island, with its share of the prompts and a seed of its own.
          budget: that of all islands together.
          seed: the run's seed.
          options: how they mix.
        """
        super().__init__(seed)
        self.options = options
        self._islands = tuple(strategies)
        self._budget = budget
        self._steady = False

    @property
    def finished(self) -> bool:
        """Whether nothing more will be asked for on any island."""
        return all(island.finished for island in self._islands)

    @property
    def children(self) -> int:
        """Children asked for in all, on all islands together."""
        return self._budget.children

    def population(self) -> Sequence[Candidate]:
        """Returns the populations of all islands, one after the other, each program once."""
        return self._as_told([c for island in self._islands for c in island.population()])

    def best(self, count: int = 1) -> Sequence[Candidate]:
        """Returns up to `count` of the best candidates of all islands, best first."""
        found = self._as_told([c for island in self._islands for c in island.best(count)])
        return tuple(fittest(found, count))

    def tuning_set(self) -> Sequence[Candidate]:
        """Returns what all islands would tune a language model on."""
        return self._as_told([c for island in self._islands for c in island.tuning_set()])

    def _begin(self, seeds: Sequence[Candidate]) -> None:
        for island in self._islands:
            island.tell(seeds)

    def _requests(self) -> Sequence[Request]:
        self._steady = False
        asked = [island.ask() for island in self._islands]
        requests = []
        for position in range(self._budget.prompts_per_round):
            index = self.next_index(position)
            island, _ = self._place(index)
            request = asked[island][position // len(asked)]
            requests.append(dataclasses.replace(request, index=index))
        return requests

    def _request(self) -> Request | None:
        self._steady = True
        index = self.next_index()
        island, _ = self._place(index)
        request = self._islands[island].ask_one()
        return None if request is None else dataclasses.replace(request, index=index)

    def _take(self, children: Sequence[Candidate]) -> None:
        if self._steady:
            home, _ = self._place(self.told - 1)
            self._islands[home].tell_one(self._of(home, children))
        else:
            for number, island in enumerate(self._islands):
                island.tell(self._of(number, children))
        rounds, rest = divmod(self.told, self._budget.prompts_per_round)
        if rest == 0 and rounds % self.options.migrate_every == 0 and not self.finished:
            self._migrate()

    def _migrate(self) -> None:
        """Sends the fittest of each island to the next."""
        populations = [island.population() for island in self._islands]
        for number, population in enumerate(populations):
            following = (number + 1) % len(populations)
            held = {candidate.index for candidate in populations[following]}
            once = {c.index: c for c in population if c.index not in held}
            self._islands[following].immigrate(fittest(list(once.values()), self.options.migrants))

    def _place(self, request: int) -> tuple[int, int]:
        """Returns the island of a request, and the number the request has there."""
        done, position = divmod(request, self._budget.prompts_per_round)
        count = len(self._islands)
        island = position % count
        share = len(range(island, self._budget.prompts_per_round, count))
        return island, done * share + position // count

    def _of(self, island: int, children: Sequence[Candidate]) -> Sequence[Candidate]:
        """Returns the children that belong to an island, with its own request numbers."""
        found = []
        for child in children:
            assert child.request is not None
            home, request = self._place(child.request)
            if home == island:
                found.append(dataclasses.replace(child, request=request))
        return found

    def _as_told(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Returns candidates as they were told here, each once."""
        told = {candidate.index: candidate for candidate in self.scored}
        return tuple(told[index] for index in dict.fromkeys(c.index for c in candidates))
