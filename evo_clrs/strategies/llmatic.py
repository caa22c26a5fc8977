"""LLMatic: quality-diversity search with an archive of networks and an archive of prompts.

References: Nasir, Earle, Cleghorn, James and Togelius, "LLMatic: Neural Architecture Search via
Large Language Models and Quality Diversity Optimization", GECCO 2024,
https://arxiv.org/abs/2306.01102.
"""

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence

from evo_clrs.errors import UserError
from evo_clrs.randomness import generator
from evo_clrs.records import Candidate, Request
from evo_clrs.strategies.archives import SCALINGS, Archive, ScaledArchive
from evo_clrs.strategies.base import (
    Budget,
    Turns,
    as_parent,
    is_scored,
    metric,
)
from evo_clrs.strategies.requests import check_choice, targets


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line that tells a language model what to change.

    Attributes:
      text: the line.
      kinds: kinds of edits that stand for it where no language model reads it, those of code and
        of design spaces together; empty for all.
      parameters: parameters asked for, as a multiple of those of the smallest parent.
    """

    text: str
    kinds: tuple[str, ...] = ()
    parameters: float = 1.0


INSTRUCTIONS = (
    Instruction("Add a layer to make the network better.", ("depth", "grow"), 1.2),
    Instruction("Delete a layer to make the network better.", ("depth", "remove", "shrink"), 0.8),
    Instruction("Make the network better."),
    Instruction(
        "Make the network better, and much smaller.",
        ("width", "depth", "kernel", "remove", "shrink"),
        0.5,
    ),
    Instruction(
        "Make the network better, and much larger.",
        ("width", "depth", "kernel", "heads", "grow"),
        2.0,
    ),
    Instruction("Add a fully connected layer.", ("depth", "width", "grow"), 1.2),
    Instruction("Add a convolution.", ("convolution", "kernel", "relation", "grow"), 1.2),
    Instruction("Add a pooling layer.", ("pooling", "reduction")),
    Instruction("Add a residual connection.", ("residual",)),
    Instruction("Connect more layers by residual connections.", ("residual", "inputs", "swap")),
    Instruction("Add normalisation.", ("norm", "replace")),
    Instruction("Add dropout.", ("gate", "norm", "remove")),
    Instruction("Add a recurrent layer.", ("recurrence", "gate", "replace"), 1.2),
    Instruction("Let the network attend to its features.", ("attention", "heads", "swap"), 1.2),
    Instruction("Use other activation functions.", ("activation", "replace")),
    Instruction("Combine features in another way.", ("product", "relation", "inputs", "swap")),
)
CROSSOVER = Instruction("Combine the two networks into a new one.", ("crossover",))

# What descriptors are where none are named: the first pair that a problem measures.
_DESCRIPTORS = (("width_to_depth", "flops"), ("live_params", "flops"), ("num_params", "flops"))


@dataclasses.dataclass(frozen=True)
class Options(Budget):
    """Options of LLMatic; the defaults are the paper's where it is clear.

    Attributes:
      descriptors: metrics that niches of networks are told apart by; empty for width_to_depth and
        flops (the paper's) or, where a problem has no such metric, live_params or num_params and
        flops.
      scaling: how descriptors are brought to the unit square: residual (rank among all seen of what
        the descriptor before does not tell already), rank (among all seen) or log (between the
        smallest and largest seen); left open by the paper.
      niches: niches of each archive.
      archive_fitness: what networks of one niche compete by: val_accuracy (the paper's) or fitness.
      random_networks: the random phase ends with the round in which so many networks are in the
        archive.
      mutation: probability of a mutation (one parent and an instruction); the rest are crossovers.
      parent_elites: parents are drawn uniformly from so many of the best networks of the archive, 0
        for all of them (left open by the paper).
      curious_prompts: prompts are drawn uniformly from so many of the most curious ones (left open
        by the paper).
      start_temperature: sampling temperature in the random phase.
      temperature_step: how far a success raises and a failure lowers the temperature of a prompt.
      lowest_temperature: temperatures do not fall below this.
      highest_temperature: temperatures do not rise above this.
      success: what raises a temperature: entered (the child enters the archive of networks) or
        improved (it beats its best parent); left open by the paper.

    Raises:
      UserError: an option is out of range; the message names it.
    """

    rounds: int = 20
    prompts_per_round: int = 100
    samples_per_prompt: int = 1
    descriptors: tuple[str, ...] = ()
    scaling: str = "residual"
    niches: int = 100
    archive_fitness: str = "val_accuracy"
    random_networks: int = 10
    mutation: float = 0.7
    parent_elites: int = 0
    curious_prompts: int = 10
    start_temperature: float = 0.6
    temperature_step: float = 0.05
    lowest_temperature: float = 0.1
    highest_temperature: float = 1.0
    success: str = "entered"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("niches", 1), ("curious_prompts", 1), ("parent_elites", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name} must be {least} or more, got {getattr(self, name)}")
        if not 1 <= self.random_networks <= self.niches:
            raise UserError(
                f"--random_networks must be from 1 to the {self.niches} of --niches, got "
                f"{self.random_networks}"
            )
        if not 0 <= self.mutation <= 1:
            raise UserError(f"--mutation must be from 0 to 1, got {self.mutation}")
        if not 0 <= self.temperature_step < math.inf:
            raise UserError(f"--temperature_step must be 0 or more, got {self.temperature_step}")
        bounds = (self.lowest_temperature, self.start_temperature, self.highest_temperature)
        if not 0 < bounds[0] <= bounds[1] <= bounds[2] < math.inf:
            raise UserError(
                "--lowest_temperature, --start_temperature and --highest_temperature must be above "
                f"zero and rise, got {', '.join(map(str, bounds))}"
            )
        for name, choices in (
            ("scaling", SCALINGS),
            ("archive_fitness", ("val_accuracy", "fitness")),
            ("success", ("entered", "improved")),
        ):
            check_choice(name, getattr(self, name), choices)


@dataclasses.dataclass(frozen=True)
class Prompt:
    """An instruction at a temperature.

    Attributes:
      instruction: position in `INSTRUCTIONS`.
      temperature: sampling temperature.
    """

    instruction: int
    temperature: float


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What is remembered of a request until its children are told.

    Attributes:
      prompt: the prompt that was used; None for a crossover, whose words are always the same.
      standard: what children are compared with: the best parent or, without parents, the best
        network of the archive.
    """

    prompt: Prompt | None
    standard: float


class LLMatic(Turns):
    """The LLMatic search, see `strategies.base.Strategy` for the contract.

    Two archives work together. That of networks keeps, for each niche of descriptors, the network
    with the best `archive_fitness`; seeds enter it like children. That of prompts keeps, for each
    niche of instruction and temperature, the prompt whose child improved most on its parents.
    Requests of the random phase ask for a random network by an instruction drawn uniformly, with a
    seed as an example if there are seeds. Later ones mutate one elite by one of the most curious
    prompts, or combine two elites.

    A prompt's curiosity rises by 1 when its child enters the archive of networks, falls by 0.5 when
    it does not, and by 1 when it could not be trained. Success or failure moves its temperature,
    and at its new temperature it is offered to the archive of prompts; a prompt that is new there
    takes its curiosity along. A child that could not be trained counts as the least improvement
    seen. Crossovers have words of their own, and move no prompt.

    Instructions are words for a language model. With a proposer that reads none, such as the
    grammar, they act through the kinds of edits that stand for them (`Instruction.kinds`), and
    temperatures tell prompts apart but change nothing.

    Attributes:
      options: its options.
      descriptors: the metrics by which niches are told apart, known with the first network.
      without_language_model: what instructions come to where no language model reads them.
    """

    without_language_model = "instructions act through the kinds of edits that stand for them"

    def __init__(self, options: Options, seed: int):
        super().__init__(seed)
        self.options = options
        self._seeds: list[Candidate] = []
        self._networks: ScaledArchive | None = None
        self.descriptors: tuple[str, ...] = ()
        self._entrants: list[Candidate] = []  # all that were offered to the archive of networks
        self._elites: list[Candidate] = []
        self._prompts: Archive | None = None
        self._known: list[Prompt] = []  # all that were offered to the archive of prompts
        self._curiosity: dict[Prompt, float] = {}
        self._plans: dict[int, _Plan] = {}
        self._worst = 0.0  # least improvement of a child on its parents, at most 0

    @property
    def finished(self) -> bool:
        """Whether all that is to be asked was asked and told."""
        return self._all_asked and not self.under_way

    @property
    def children(self) -> int:
        """Rounds x prompts x samples."""
        return self.options.children

    def population(self) -> Sequence[Candidate]:
        """Returns the networks of the archive, in the order of their niches."""
        return tuple(self._elites)

    def coverage(self) -> tuple[int, int]:
        """Returns how many niches of the archive of networks are filled, and how many it has."""
        return len(self._elites), self.options.niches

    def prompts(self) -> Mapping[Prompt, float]:
        """Returns the prompts of the archive with their curiosity, most curious first."""
        if self._prompts is None:
            return {}
        kept = [self._known[number] for number in self._prompts.elites().values()]
        kept.sort(key=lambda prompt: -self._curiosity[prompt])
        return {prompt: self._curiosity[prompt] for prompt in kept}

    # Asking.

    def _begin(self, seeds: Sequence[Candidate]) -> None:
        self._seeds = list(seeds)
        self._enter(seeds)

    def _requests(self) -> Sequence[Request]:
        curious = list(self.prompts())[: self.options.curious_prompts]
        best = self._best_elites()
        return [
            self._draw(self.next_index(position), best, curious)
            for position in range(self.options.prompts_per_round)
        ]

    def _request(self) -> Request | None:
        if self._all_asked:
            return None
        curious = list(self.prompts())[: self.options.curious_prompts]
        return self._draw(self.next_index(), self._best_elites(), curious)

    @property
    def _all_asked(self) -> bool:
        return self.next_index() >= self.options.rounds * self.options.prompts_per_round

    def _best_elites(self) -> list[Candidate]:
        ranked = sorted(self._elites, key=lambda c: (-self._worth(c), c.index))
        return ranked[: self.options.parent_elites or None]

    def _draw(self, index: int, elites: Sequence[Candidate], curious: Sequence[Prompt]) -> Request:
        """Returns the request with this index."""
        draw = generator(self.seed, "llmatic", index)
        if len(self._elites) < self.options.random_networks:
            prompt = self._random_prompt(draw)
            examples = [draw.choice(self._seeds)] if self._seeds else []
            return self._make(index, "random", examples, prompt, INSTRUCTIONS[prompt.instruction])
        prompt = draw.choice(curious) if curious else self._random_prompt(draw)
        if draw.random() < self.options.mutation:
            instruction = INSTRUCTIONS[prompt.instruction]
            return self._make(index, "mutate", [draw.choice(elites)], prompt, instruction)
        pair = draw.sample(elites, min(2, len(elites)))
        return self._make(index, "crossover", pair, prompt, CROSSOVER)

    def _random_prompt(self, draw: random.Random) -> Prompt:
        return Prompt(draw.randrange(len(INSTRUCTIONS)), self.options.start_temperature)

    def _make(
        self,
        index: int,
        operation: str,
        chosen: Sequence[Candidate],
        prompt: Prompt,
        instruction: Instruction,
    ) -> Request:
        """Returns a request, and remembers what its children are to be compared with."""
        standard = max(map(self._worth, chosen or self._elites), default=0.0)
        self._plans[index] = _Plan(None if operation == "crossover" else prompt, standard)
        parents = tuple(map(as_parent, chosen))
        return Request(
            index=index,
            round=index // self.options.prompts_per_round,
            parents=parents,
            targets=targets(parents, instruction.parameters),
            temperatures=(prompt.temperature,) * self.options.samples_per_prompt,
            instruction=instruction.text,
            operation=operation,
            kinds=instruction.kinds,
        )

    # Being told.

    def _take(self, children: Sequence[Candidate]) -> None:
        entered = iter(self._enter([child for child in children if is_scored(child)]))
        for child in children:
            assert child.request is not None
            plan = self._plans[child.request]
            if is_scored(child):
                self._credit(plan, self._worth(child) - plan.standard, next(entered))
            else:
                self._credit(plan, None, False)
        waiting = {request.index for request in self.under_way}
        self._plans = {index: plan for index, plan in self._plans.items() if index in waiting}

    def _enter(self, candidates: Sequence[Candidate]) -> Sequence[bool]:
        """Offers scored candidates to the archive of networks; returns which entered it."""
        if not candidates:
            return []
        if self._networks is None:
            self.descriptors = self.options.descriptors or _usual_descriptors(candidates[0])
            self._networks = ScaledArchive(
                self.options.niches, len(self.descriptors), self.options.scaling
            )
        values = [self._measured(candidate) for candidate in candidates]
        entered = self._networks.extend(values, [self._worth(c) for c in candidates])
        self._entrants += candidates
        self._elites = [self._entrants[number] for number in self._networks.elites()]
        return entered

    def _measured(self, candidate: Candidate) -> list[float]:
        values = [float(metric(candidate, name)) for name in self.descriptors]
        for name, value in zip(self.descriptors, values, strict=True):
            if not math.isfinite(value):
                raise UserError(f"--descriptors: {name} is not known of every program here")
        return values

    def _worth(self, candidate: Candidate) -> float:
        return float(metric(candidate, self.options.archive_fitness))

    def _credit(self, plan: _Plan, improvement: float | None, entered: bool) -> None:
        """Tells a prompt what came of it; no improvement means that it could not be trained."""
        if improvement is not None:
            self._worst = min(self._worst, improvement)
        if plan.prompt is None:
            return
        change = -1.0 if improvement is None else 1.0 if entered else -0.5
        self._curiosity[plan.prompt] = self._curiosity.get(plan.prompt, 0.0) + change
        raises = entered
        if self.options.success == "improved":
            raises = improvement is not None and improvement > 0
        moved = self._moved(plan.prompt, raises)
        self._curiosity.setdefault(moved, self._curiosity[plan.prompt])
        self._offer(moved, self._worst if improvement is None else improvement)

    def _moved(self, prompt: Prompt, raises: bool) -> Prompt:
        """Returns a prompt at the next temperature, within bounds."""
        options = self.options
        step = options.temperature_step if raises else -options.temperature_step
        # Rounded, so that a step up and a step down lead back to the same prompt.
        moved = round(prompt.temperature + step, 6)
        bounded = min(max(moved, options.lowest_temperature), options.highest_temperature)
        return Prompt(prompt.instruction, bounded)

    def _offer(self, prompt: Prompt, improvement: float) -> None:
        """Offers a prompt to the archive of prompts."""
        if self._prompts is None:
            self._prompts = Archive(self.options.niches, 2)
        low, high = self.options.lowest_temperature, self.options.highest_temperature
        place = (prompt.temperature - low) / (high - low) if high > low else 0.5
        self._prompts.add(
            len(self._known), improvement, (prompt.instruction / (len(INSTRUCTIONS) - 1), place)
        )
        self._known.append(prompt)


def _usual_descriptors(candidate: Candidate) -> tuple[str, ...]:
    """Returns the first usual pair of descriptors that the problem measures, else the last."""
    assert candidate.evaluation is not None
    metrics = candidate.evaluation.metrics
    for pair in _DESCRIPTORS:
        if all(math.isfinite(metrics.get(name, math.nan)) for name in pair):
            return pair
    return _DESCRIPTORS[-1]
