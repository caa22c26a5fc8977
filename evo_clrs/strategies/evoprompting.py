"""EvoPrompting: evolve programs by few-shot prompts of the fittest, tuning the model in between.

References: Chen, Dohan, So, "EvoPrompting: Language Models for Code-Level Neural Architecture
Search", NeurIPS 2023, https://arxiv.org/abs/2302.14838.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from evo_clrs.errors import UserError
from evo_clrs.randomness import generator
from evo_clrs.records import Candidate, Parent, Request


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of EvoPrompting; the defaults are the paper's.

    Attributes:
      rounds: rounds of the search (T).
      prompts_per_round: prompts in each round (m).
      samples_per_prompt: children asked for with each prompt (n).
      in_context: parents shown in each prompt (k), drawn with replacement.
      survivors: programs chosen as parents of the next round (p).
      max_error: children are kept only if their validation error is below this (alpha).
      temperatures: sampling temperatures, drawn uniformly.
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
      target_parameters: parameters asked for, as a share of those of the smallest parent.
      target_accuracy: accuracy asked for, as a multiple of that of the best parent.
      soft_prompt_length: tokens of the soft prompt of a tuned language model.
      soft_prompt_epochs: epochs of prompt-tuning after each round.
      soft_prompt_batch: batch size of prompt-tuning.
      soft_prompt_learning_rate: learning rate of prompt-tuning.

    Raises:
      UserError: an option is out of range; the message names it.
    """

    rounds: int = 10
    prompts_per_round: int = 10
    samples_per_prompt: int = 16
    in_context: int = 2
    survivors: int = 10
    max_error: float = 0.5
    temperatures: tuple[float, ...] = (0.2, 0.6, 0.8, 1.0)
    temperature_per: str = "sample"
    tuning_children: str = "not_chosen"
    final_includes_parents: bool = True
    seeds_in_history: bool = True
    seeds_obey_max_error: bool = False
    target_parameters: float = 0.9
    target_accuracy: float = 1.02
    soft_prompt_length: int = 16
    soft_prompt_epochs: int = 5
    soft_prompt_batch: int = 16
    soft_prompt_learning_rate: float = 0.1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool | str):
                continue
            for number in value if isinstance(value, tuple) else (value,):
                if not (number > 0 and math.isfinite(number)):
                    raise UserError(f"--{field.name} must be above zero, got {number}")
        if not self.temperatures:
            raise UserError("--temperatures must name at least one temperature")
        for name, choices in (
            ("temperature_per", ("sample", "prompt")),
            ("tuning_children", ("all", "not_chosen")),
        ):
            if getattr(self, name) not in choices:
                raise UserError(
                    f"--{name} must be {' or '.join(choices)}, got {getattr(self, name)!r}"
                )


class EvoPrompting:
    """The EvoPrompting search, see `strategies.base.Strategy` for the contract.

    Round 0 draws from all scored seeds. After each round, children with a score and a validation
    error below alpha enter the history, and the fittest p of the history that were never chosen
    before are the parents of the next. Where no program is left that was never chosen, the
    fittest p are chosen again, rather than ending the search. Ties go to the earlier candidate.

    A child that computes the same function as an earlier candidate enters the history only if it
    is fitter than every earlier one of that function: it then has fewer parameters.
    """

    def __init__(self, options: Options, seed: int):
        self.options = options
        self._seed = seed
        self._round = 0
        self._asked: dict[int, Request] | None = None
        self._seeds: list[Candidate] | None = None
        self._history: list[Candidate] = []
        self._parents: list[Candidate] = []
        self._chosen: set[str] = set()
        self._fittest_of: dict[int, float] = {}
        self._tuning: list[Candidate] = []

    @property
    def finished(self) -> bool:
        """Whether all rounds have been told."""
        return self._round >= self.options.rounds

    @property
    def children(self) -> int:
        """T x m x n."""
        options = self.options
        return options.rounds * options.prompts_per_round * options.samples_per_prompt

    def ask(self) -> Sequence[Request]:
        """Returns the prompts of the next round, see `Strategy.ask`."""
        if self._seeds is None:
            raise RuntimeError("ask called before the seeds were told")
        if self._asked is not None:
            raise RuntimeError(f"ask called again before round {self._round} was told")
        if self.finished:
            return ()
        requests = [self._request(position) for position in range(self.options.prompts_per_round)]
        self._asked = {request.index: request for request in requests}
        return requests

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Takes in the seeds or the children of a round, see `Strategy.tell`."""
        if self._seeds is None:
            self._begin(candidates)
            return
        if self._asked is None:
            raise RuntimeError("tell called without asking first")
        self._check_answers(candidates, self._asked)
        self._asked = None
        kept = [candidate for candidate in candidates if self._enters(candidate)]
        self._history.extend(kept)
        self._round += 1
        if not self.finished:
            self._choose_parents()
        # Nothing is tuned after the last round.
        self._tuning = [] if self.finished else [c for c in kept if self._tunes(c)]

    def population(self) -> Sequence[Candidate]:
        """Returns the parents of the next round; the p fittest when finished."""
        if self.finished:
            return self.best(self.options.survivors)
        return tuple(self._parents)

    def best(self, count: int = 1) -> Sequence[Candidate]:
        """Returns up to `count` of the fittest of the history, fittest first."""
        history = self._history
        if not self.options.final_includes_parents:
            history = [c for c in history if c.program not in self._chosen]
        return tuple(_fittest(history, count))

    def tuning_set(self) -> Sequence[Candidate]:
        """Returns the children of the last round that should tune the prompt."""
        return tuple(self._tuning)

    def _begin(self, seeds: Sequence[Candidate]) -> None:
        """Takes the scored seeds as the parents of round 0."""
        limit = self.options.max_error if self.options.seeds_obey_max_error else math.inf
        scored = [seed for seed in seeds if _is_scored(seed) and _error(seed) < limit]
        if not scored:
            reasons = {seed.evaluation.reason for seed in seeds if seed.evaluation is not None}
            why = "; ".join(sorted(reason for reason in reasons if reason)[:3])
            raise UserError(f"no seed could be scored{': ' + why if why else ''}")
        self._seeds = scored
        for seed in scored:
            self._note_fitness(seed)
        if self.options.seeds_in_history:
            self._history.extend(scored)
        self._parents = scored
        self._chosen = {seed.program for seed in scored}

    def _check_answers(self, candidates: Sequence[Candidate], asked: Mapping[int, Request]) -> None:
        """Raises ValueError unless the candidates answer this round's requests in order."""
        places = [(candidate.request, candidate.sample) for candidate in candidates]
        for request, sample in places:
            if request is None or request not in asked or sample >= asked[request].samples:
                raise ValueError(
                    f"expected answers to requests {min(asked)} to {max(asked)} of round "
                    f"{self._round}, got sample {sample} of request {request}"
                )
        if places != sorted(set(places), key=lambda place: (place[0] or 0, place[1])):
            raise ValueError("expected candidates in the order asked, each once")

    def _enters(self, child: Candidate) -> bool:
        """Whether a child enters the history; also notes the fitness of its function."""
        if not _is_scored(child):
            return False
        fitter = self._note_fitness(child)
        return fitter and _error(child) < self.options.max_error

    def _note_fitness(self, candidate: Candidate) -> bool:
        """Notes the best fitness of each function; returns whether this one raised it."""
        assert candidate.evaluation is not None
        original = candidate.evaluation.reused_from
        function = candidate.index if original is None else original
        fitter = _fitness(candidate) > self._fittest_of.get(function, -math.inf)
        if fitter:
            self._fittest_of[function] = _fitness(candidate)
        return fitter

    def _choose_parents(self) -> None:
        fresh = [c for c in self._history if c.program not in self._chosen]
        pool = fresh or self._history or self._seeds or []
        self._parents = _fittest(pool, self.options.survivors)
        self._chosen |= {parent.program for parent in self._parents}

    def _tunes(self, child: Candidate) -> bool:
        chosen = child.program in {parent.program for parent in self._parents}
        return self.options.tuning_children == "all" or not chosen

    def _request(self, position: int) -> Request:
        """Draws one prompt: k parents i.i.d. and the temperatures of its n children."""
        options = self.options
        draw = generator(self._seed, "parents", self._round, position)
        parents = tuple(_parent(draw.choice(self._parents)) for _ in range(options.in_context))
        draw = generator(self._seed, "temperatures", self._round, position)
        if options.temperature_per == "prompt":
            temperatures = (draw.choice(options.temperatures),) * options.samples_per_prompt
        else:
            temperatures = tuple(
                draw.choice(options.temperatures) for _ in range(options.samples_per_prompt)
            )
        return Request(
            index=self._round * options.prompts_per_round + position,
            round=self._round,
            parents=parents,
            targets=targets(parents, options.target_parameters, options.target_accuracy),
            temperatures=temperatures,
        )


def targets(
    parents: Sequence[Parent], parameters: float = 0.9, accuracy: float = 1.02
) -> Mapping[str, float]:
    """Returns what children of these parents should reach.

    Args:
      parents: with the metrics `num_params` and `val_accuracy`.
      parameters: share of the smallest parent's parameters; the target is rounded to 100, and is
        at least 100.
      accuracy: multiple of the best parent's accuracy; the target is rounded to 0.001, and is at
        most 1.
    """
    smallest = min(parent.metrics["num_params"] for parent in parents)
    highest = max(parent.metrics["val_accuracy"] for parent in parents)
    return {
        "num_params": max(100, round(parameters * smallest / 100) * 100),
        "val_accuracy": min(1.0, round(accuracy * highest, 3)),
    }


def _parent(candidate: Candidate) -> Parent:
    assert candidate.evaluation is not None
    metrics = candidate.evaluation.metrics
    shown = {
        "num_params": int(metrics["num_params"]),
        "val_accuracy": float(metrics["val_accuracy"]),
    }
    return Parent(candidate.program, candidate.source, shown)


def _is_scored(candidate: Candidate) -> bool:
    evaluation = candidate.evaluation
    return evaluation is not None and evaluation.scored and math.isfinite(_fitness(candidate))


def _fitness(candidate: Candidate) -> float:
    assert candidate.evaluation is not None
    return candidate.evaluation.metrics["fitness"]


def _error(candidate: Candidate) -> float:
    assert candidate.evaluation is not None
    return candidate.evaluation.metrics["val_error"]


def _fittest(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    return sorted(candidates, key=lambda c: (-_fitness(c), c.index))[:count]
