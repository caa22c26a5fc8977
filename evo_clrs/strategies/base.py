"""What every strategy offers: it says what to ask for and is told what came of it."""

from collections.abc import Sequence
from typing import Protocol

from evo_clrs.records import Candidate, Request


class Strategy(Protocol):
    """Decides what to ask for and who survives; knows neither JAX nor language models.

    The order of calls is `tell(seeds)`, then `ask()` and `tell(children)` in turn until `ask`
    returns nothing; any other order raises RuntimeError. The state is a pure function of options,
    seed and what was told, so a run is resumed by telling the recorded candidates again.
    """

    @property
    def finished(self) -> bool:
        """Whether nothing more will be asked for."""
        ...

    @property
    def children(self) -> int:
        """How many children the whole search asks for, for telling how far it is."""
        ...

    def ask(self) -> Sequence[Request]:
        """Returns the requests of the next round, empty when the search is finished.

        Raises:
          RuntimeError: the candidates of the last round have not been told yet.
        """
        ...

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Takes in all candidates of the round with their evaluations, in the order asked.

        The first call takes the seeds. Candidates without an evaluation count as rejected.

        Raises:
          RuntimeError: nothing was asked since the last call.
          ValueError: a candidate does not answer one of the requests of this round.
          UserError: there is nothing to search from, since no seed was scored.
        """
        ...

    def population(self) -> Sequence[Candidate]:
        """Returns the programs that the next requests draw from; the survivors at the end."""
        ...

    def best(self, count: int = 1) -> Sequence[Candidate]:
        """Returns up to `count` of the best candidates of the search so far, best first."""
        ...

    def tuning_set(self) -> Sequence[Candidate]:
        """Returns the children of the last round that a language model should be tuned on."""
        ...
