"""How requests are made up, alike for the strategies that prompt as EvoPrompting does.

The controls ask in the same words, at the same temperatures and with the same targets as what they
are controls for, so that a comparison at equal budget compares nothing but the selection.
"""

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence

from evo_clrs.errors import UserError
from evo_clrs.randomness import generator
from evo_clrs.records import Candidate, Parent, Request
from evo_clrs.strategies.base import Budget, Turns, as_parent


@dataclasses.dataclass(frozen=True)
class Prompting(Budget):
    """What a search asks for, and how; the defaults are those of EvoPrompting.

    Attributes:
      temperatures: sampling temperatures, drawn uniformly.
      temperature_per: draw a temperature for each `sample` or for each `prompt`.
      target_parameters: parameters asked for, as a share of those of the smallest parent.
      target_accuracy: accuracy asked for, as a multiple of that of the best parent.

    Raises:
      UserError: an option, here or in a strategy's own, is out of range; the message names it.
    """

    temperatures: tuple[float, ...] = (0.2, 0.6, 0.8, 1.0)
    temperature_per: str = "sample"
    target_parameters: float = 0.9
    target_accuracy: float = 1.02

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
        check_choice("temperature_per", self.temperature_per, ("sample", "prompt"))
        super().__post_init__()


class Prompter(Turns):
    """Base of the strategies whose requests all look alike; a strategy fills in `_draw`.

    Request number i belongs to round i // m and is the prompt i % m of it, m being the prompts of a
    round; its draws are keyed by both, in either schedule.
    """

    def __init__(self, options: Prompting, seed: int, seeds_in_history: bool = True):
        super().__init__(seed, seeds_in_history)
        self.options = options

    def _draw(self, index: int) -> Request:
        """Returns the request of this number, drawn from what was told so far."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """Whether all that is to be asked was asked and told."""
        return self._all_asked and not self.under_way

    @property
    def children(self) -> int:
        """Children asked for in all: T x m x n."""
        return self.options.children

    @property
    def _all_asked(self) -> bool:
        return self.next_index() >= self.options.rounds * self.options.prompts_per_round

    def _requests(self) -> Sequence[Request]:
        prompts = range(self.options.prompts_per_round)
        return [self._draw(self.next_index(position)) for position in prompts]

    def _request(self) -> Request | None:
        return None if self._all_asked else self._draw(self.next_index())

    def _generator(self, purpose: str, index: int) -> random.Random:
        """Returns the generator of one request for one purpose."""
        return generator(self.seed, purpose, *divmod(index, self.options.prompts_per_round))

    def _build(self, index: int, operation: str, parents: Sequence[Candidate]) -> Request:
        """Returns a request with these parents, its temperatures drawn and its targets set."""
        options = self.options
        draw = self._generator("temperatures", index)
        if options.temperature_per == "prompt":
            temperatures = (draw.choice(options.temperatures),) * options.samples_per_prompt
        else:
            temperatures = tuple(
                draw.choice(options.temperatures) for _ in range(options.samples_per_prompt)
            )
        shown = tuple(map(as_parent, parents))
        return Request(
            index=index,
            round=index // options.prompts_per_round,
            parents=shown,
            targets=targets(shown, options.target_parameters, options.target_accuracy),
            temperatures=temperatures,
            operation=operation,
        )

    def _choose(self, index: int, pool: Sequence[Candidate], count: int) -> Sequence[Candidate]:
        """Returns the programs to show in a prompt, drawn from a pool with replacement."""
        draw = self._generator("parents", index)
        return [draw.choice(pool) for _ in range(count)]

    def _build_random(self, index: int, seeds: Sequence[Candidate], count: int) -> Request:
        """Returns a request for programs drawn from the whole space, with seeds as examples."""
        draw = self._generator("examples", index)
        examples = draw.sample(list(seeds), min(count, len(seeds)))
        return self._build(index, "random", examples)


def targets(
    parents: Sequence[Parent], parameters: float = 0.9, accuracy: float = 1.02
) -> Mapping[str, float]:
    """Returns what children of these parents should reach; nothing where there are no parents.

    Args:
      parents: with the metrics `num_params` and `val_accuracy`.
      parameters: share of the smallest parent's parameters; the target is rounded to 100, and is
        at least 100.
      accuracy: multiple of the best parent's accuracy; the target is rounded to 0.001, and is at
        most 1.
    """
    if not parents:
        return {}
    smallest = min(parent.metrics["num_params"] for parent in parents)
    highest = max(parent.metrics["val_accuracy"] for parent in parents)
    return {
        "num_params": max(100, round(parameters * smallest / 100) * 100),
        "val_accuracy": min(1.0, round(accuracy * highest, 3)),
    }


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raises UserError, naming the flag, unless the value is one of the choices."""
    if value not in choices:
        raise UserError(f"--{name} must be {' or '.join(choices)}, got {value!r}")
