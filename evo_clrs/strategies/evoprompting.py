"""EvoPrompting: evolve programs by few-shot prompts of the fittest, tuning the model in between.

References: Chen, Dohan, So, "EvoPrompting: Language Models for Code-Level Neural Architecture
Search", NeurIPS 2023, https://arxiv.org/abs/2302.14838.
"""

import bisect
import collections
import dataclasses
import math
from collections.abc import Sequence

from evo_clrs.records import Candidate, Request
from evo_clrs.strategies.base import fitness, fittest, is_scored, metric, no_seed, rank
from evo_clrs.strategies.requests import Prompter, Prompting, check_choice, targets

__all__ = ["EvoPrompting", "Options", "targets"]


@dataclasses.dataclass(frozen=True)
class Options(Prompting):
    """Options of EvoPrompting; the defaults are the paper's.

    Attributes:
      rounds: rounds of the search (T).
      prompts_per_round: prompts in each round (m).
      samples_per_prompt: children asked for with each prompt (n).
      in_context: parents shown in each prompt (k), drawn with replacement.
      survivors: programs chosen as parents of the next round (p).
      max_error: children are kept only if their validation error is below this (alpha).
      temperature_per: draw a temperature for each `sample` or for each `prompt` (left open by the
        paper).
      tuning_children: which kept children tune the prompt: `all`, or those `not_chosen` as parents
        (the paper says both).
      final_includes_parents: whether the final answer may hold past parents (left open by the
        paper; without them winners are lost).
      seeds_in_history: whether the seeds enter the history and may be the final answer (left open
        by the paper).
      seeds_obey_max_error: whether seeds whose validation error is not below max_error are left
        out (left open by the paper).
      soft_prompt_length: tokens of the soft prompt of a tuned language model.
      soft_prompt_epochs: epochs of prompt-tuning after each round.
      soft_prompt_batch: batch size of prompt-tuning.
      soft_prompt_learning_rate: learning rate of prompt-tuning.
    """

    in_context: int = 2
    survivors: int = 10
    max_error: float = 0.5
    tuning_children: str = "not_chosen"
    final_includes_parents: bool = True
    seeds_in_history: bool = True
    seeds_obey_max_error: bool = False
    soft_prompt_length: int = 16
    soft_prompt_epochs: int = 5
    soft_prompt_batch: int = 16
    soft_prompt_learning_rate: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("tuning_children", self.tuning_children, ("all", "not_chosen"))


class EvoPrompting(Prompter):
    """The EvoPrompting search, see `strategies.base.Strategy` for the contract.

    Round 0 draws from all scored seeds. After each round, children with a score and a validation
    error below alpha enter the history, and the fittest p of the history that were never chosen
    before are the parents of the next. Where no program is left that was never chosen, the
    fittest p are chosen again, rather than ending the search. Ties go to the earlier candidate.

    A child that computes the same function as an earlier candidate enters the history only if it
    is fitter than every earlier one of that function: it then has fewer parameters.

    The steady schedule, which the paper does not have, goes by requests instead of rounds. A
    program is a parent for as many requests as a round has, m, and then it retires; the parents of
    a request are the fittest p of what did not retire, seeds included, as everything told so far
    leaves them. A fitter child thus becomes a parent at once. The one it displaces keeps the
    requests it has left, and may come back. The prompt is tuned after every m requests, on
    the children of those.
    """

    options: Options

    def __init__(self, options: Options, seed: int):
        super().__init__(options, seed, options.seeds_in_history)
        self._seeds: Sequence[Candidate] = ()
        # Both fittest first: rounds may be many, and sorting anew in each would take the longest.
        self._history: list[Candidate] = []
        self._fresh: list[Candidate] = []  # seeds and kept children, those not retired
        self._parents: Sequence[Candidate] = ()
        self._served: collections.Counter[str] = collections.Counter()  # requests as a parent
        self._fittest_of: dict[int, float] = {}
        self._block = 0  # requests told, in units of m
        self._kept_in_block: list[Candidate] = []

    def population(self) -> Sequence[Candidate]:
        """Returns the parents of the next requests; the p fittest when finished."""
        if self.finished:
            return self.best(self.options.survivors)
        return tuple(self._parents)

    def best(self, count: int = 1) -> Sequence[Candidate]:
        """Returns up to `count` of the fittest of the history, fittest first."""
        history: Sequence[Candidate] = self._history
        if not self.options.final_includes_parents:
            chosen = {parent.program for parent in self._parents} | self._served.keys()
            history = [c for c in history if c.program not in chosen]
        return tuple(history[:count])

    def tuning_set(self) -> Sequence[Candidate]:
        """Returns the children of the last round, or m requests, that should tune the prompt.

        Nothing is tuned once the search is finished.
        """
        if self.finished:
            return ()
        if self.options.tuning_children == "all":
            return tuple(self._kept_in_block)
        chosen = {parent.program for parent in self._parents}
        return tuple(c for c in self._kept_in_block if c.program not in chosen)

    def immigrate(self, candidates: Sequence[Candidate]) -> None:
        """Takes migrants into the history, see `Islander.immigrate`."""
        self._keep([candidate for candidate in candidates if self._enters(candidate)])
        self._choose_parents()

    def _begin(self, seeds: Sequence[Candidate]) -> None:
        """Takes the scored seeds as the first parents."""
        limit = self.options.max_error if self.options.seeds_obey_max_error else math.inf
        self._seeds = [seed for seed in seeds if metric(seed, "val_error") < limit]
        if not self._seeds:
            raise no_seed(seeds)
        for seed in self._seeds:
            self._note_fitness(seed)
        self._parents = self._seeds
        self._fresh = sorted(self._seeds, key=rank)
        if self.options.seeds_in_history:
            self._history = list(self._fresh)

    def _draw(self, index: int) -> Request:
        self._served.update({parent.program for parent in self._parents})
        parents = self._choose(index, self._parents, self.options.in_context)
        return self._build(index, "vary", parents)

    def _request(self) -> Request | None:
        if any(self._retired(parent) for parent in self._parents):
            self._choose_parents()
        return super()._request()

    def _take(self, children: Sequence[Candidate]) -> None:
        block = (self.told - 1) // self.options.prompts_per_round
        if block != self._block:
            self._block, self._kept_in_block = block, []
        kept = [child for child in children if self._enters(child)]
        self._kept_in_block.extend(kept)
        self._keep(kept)
        if not self.finished:
            self._choose_parents()

    def _keep(self, candidates: Sequence[Candidate]) -> None:
        for candidate in candidates:
            bisect.insort(self._history, candidate, key=rank)
            if not self._retired(candidate):
                bisect.insort(self._fresh, candidate, key=rank)

    def _enters(self, child: Candidate) -> bool:
        """Whether a child enters the history; also notes the fitness of its function."""
        if not is_scored(child):
            return False
        fitter = self._note_fitness(child)
        return fitter and metric(child, "val_error") < self.options.max_error

    def _note_fitness(self, candidate: Candidate) -> bool:
        """Notes the best fitness of each function; returns whether this one raised it."""
        assert candidate.evaluation is not None
        original = candidate.evaluation.reused_from
        function = candidate.index if original is None else original
        fitter = fitness(candidate) > self._fittest_of.get(function, -math.inf)
        if fitter:
            self._fittest_of[function] = fitness(candidate)
        return fitter

    def _retired(self, candidate: Candidate) -> bool:
        return self._served[candidate.program] >= self.options.prompts_per_round

    def _choose_parents(self) -> None:
        retired = {parent.program for parent in self._parents if self._retired(parent)}
        self._fresh = [c for c in self._fresh if c.program not in retired]
        count = self.options.survivors
        self._parents = self._fresh[:count] or self._history[:count] or fittest(self._seeds, count)
