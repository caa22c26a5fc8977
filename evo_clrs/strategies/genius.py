"""GENIUS: a language model as an optimiser that is shown every earlier design with its accuracy.

References: Zheng et al., "Can GPT-4 Perform Neural Architecture Search?", 2023,
https://arxiv.org/abs/2304.10970.
"""

import dataclasses
import math
from collections.abc import Sequence

from evo_clrs.errors import UserError
from evo_clrs.records import Candidate, Parent, Request
from evo_clrs.strategies.base import Budget, Turns, as_parent, is_scored


@dataclasses.dataclass(frozen=True)
class Options(Budget):
    """Options of GENIUS; the defaults are the paper's: ten iterations of one design each.

    Attributes:
      temperature: sampling temperature.
      revisions: how often an unusable design is asked for again, with the reason, before its
        iteration is lost (the paper asks until the design fits).
      refuse_repeats: whether a design that was scored before is refused too; in the paper it is
        not, and costs an iteration.
      seeds_in_history: whether the seeds stay in the history, and may be the final answer. The
        paper starts from nothing; seeds, where there are any, are shown until a child has a score.

    Raises:
      UserError: an option is out of range; the message names it.
    """

    rounds: int = 10
    prompts_per_round: int = 1
    samples_per_prompt: int = 1
    temperature: float = 0.0
    revisions: int = 5
    refuse_repeats: bool = False
    seeds_in_history: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise UserError(f"--temperature must be 0 or more, got {self.temperature}")
        if self.revisions < 0:
            raise UserError(f"--revisions must be 0 or more, got {self.revisions}")


# What a request for a revision says; the reason is that of the rejection.
REVISE = """\
Your last suggestion was refused: {reason}. It was:

{source}

Revise it."""

REPEATED = "it repeats a design that was trained before"
# Where no language model reads the reason, a design over a bound is answered by smaller ones.
SHRINK = ("shrink",)


class Genius(Turns):
    """The GENIUS search, see `strategies.base.Strategy` for the contract.

    Each request shows the whole history, in the order told, and asks for an improvement. A refused
    design, whatever the stage, is asked for again with the reason, up to `revisions` times, without
    using up an iteration; the history holds what was scored. Revisions belong to the round of the
    design that they revise.

    A proposer without a language model reads no reason: it is asked to improve on the history once
    more. If the design was over a bound, it stands last among the parents, without an accuracy, and
    the edits asked for are those that shrink.

    Attributes:
      lost: for each design that was never usable, its iteration, from 0.
    """

    without_language_model = (
        "each design improves on the best so far, and one over a bound is asked for again smaller"
    )

    def __init__(self, options: Options, seed: int):
        super().__init__(seed, options.seeds_in_history)
        self.options = options
        self.lost: list[int] = []
        self._iteration = 0
        self._revision = 0
        self._refused: list[Candidate] = []
        self._seeds: list[Candidate] = []
        self._history: list[Candidate] = []

    @property
    def finished(self) -> bool:
        """Whether all iterations are over."""
        return self._iteration >= self.options.rounds

    @property
    def children(self) -> int:
        """Designs in all iterations; revisions come on top."""
        return self.options.children

    def population(self) -> Sequence[Candidate]:
        """Returns the history as the next request shows it."""
        if self.options.seeds_in_history or not self._history:
            return (*self._seeds, *self._history)
        return tuple(self._history)

    def _begin(self, seeds: Sequence[Candidate]) -> None:
        self._seeds = list(seeds)

    def _requests(self) -> Sequence[Request]:
        if self._refused:
            return [self._revise(*place) for place in enumerate(self._refused)]
        samples = self.options.samples_per_prompt
        return [self._ask(position, samples) for position in range(self.options.prompts_per_round)]

    def _take(self, children: Sequence[Candidate]) -> None:
        refused = [child for child in children if self._refusal(child)]
        self._history.extend(child for child in children if not self._refusal(child))
        if refused and self._revision < self.options.revisions:
            self._revision += 1
            self._refused = refused
            return
        self.lost.extend(self._iteration for _ in refused)
        self._iteration += 1
        self._revision = 0
        self._refused = []

    def _refusal(self, child: Candidate) -> str:
        """Returns why a child does not enter the history, empty if it does."""
        evaluation = child.evaluation
        if evaluation is None:
            return "it could not be evaluated"
        if not is_scored(child):
            return evaluation.reason or "its score is not finite"
        repeated = evaluation.reused_from is not None
        return REPEATED if repeated and self.options.refuse_repeats else ""

    def _revise(self, position: int, refused: Candidate) -> Request:
        evaluation = refused.evaluation
        over = evaluation is not None and evaluation.stage == "over_budget"
        words = REVISE.format(reason=self._refusal(refused), source=refused.source.strip())
        request = dataclasses.replace(self._ask(position, 1), instruction=words)
        if not over:
            return request
        parents = (*request.parents, Parent(refused.program, refused.source, {}))
        return dataclasses.replace(request, parents=parents, kinds=SHRINK)

    def _ask(self, position: int, samples: int) -> Request:
        return Request(
            index=self.next_index(position),
            round=self._iteration,
            parents=tuple(map(as_parent, self.population())),
            targets={},
            temperatures=(self.options.temperature,) * samples,
            operation="improve",
        )
