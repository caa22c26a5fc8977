"""What a small language model learns from: families as prompts with numbers, and programs.

Prompts are written by the template that a search sends the model (`prompts`). Parameter counts are
computed from the programs, at a width and in a surrounding model drawn for each example, and the
target is what the child has. Accuracies are drawn uniformly: nothing was trained, and a model that
learns from these prompts learns to pay them no heed.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evo_clrs import randomness
from evo_clrs.proposers import local, prompts
from evo_clrs.proposers.grammar import parameters
from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.pretraining.corpus import Family
from evo_clrs.proposers.tuning import Example
from evo_clrs.records import Parent, Request
from evo_clrs.slots import SLOTS

TEMPLATE = "bare"
_ACCURACIES = (0.2, 0.99)
_MOST = 900  # tokens of an example; longer ones are left out


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """A model around a slot.

    Attributes:
      sizes: what the symbols of parameter shapes stand for, e.g. H and K.
      parameters: numbers in the parameters outside the slot.
    """

    sizes: Mapping[str, int]
    parameters: int


def request(family: Family, around: Surroundings, seed: int, *place: int) -> Request | None:
    """Returns what to ask for a family's child, None where a parameter count is not known.

    Args:
      family: parents and child.
      around: the model around them.
      seed: with `place` of the accuracies and of the order of parents.
      place: indices of the draw.
    """
    rng = randomness.generator(seed, "pretraining", *place)
    counts = [_count(source, family.slot) for source in (*family.parents, family.child)]
    totals = [
        around.parameters + int(count.at(around.sizes)) for count in counts if count is not None
    ]
    if len(totals) < len(counts):
        return None
    parents = [
        Parent(
            str(number),
            source,
            {"num_params": total, "val_accuracy": round(rng.uniform(*_ACCURACIES), 3)},
        )
        for number, (source, total) in enumerate(zip(family.parents, totals, strict=False))
    ]
    rng.shuffle(parents)
    best = max(parent.metrics["val_accuracy"] for parent in parents)
    wanted = max(100, round(totals[-1] / 100) * 100)
    return Request(
        index=0,
        round=0,
        parents=tuple(parents),
        targets={"num_params": wanted, "val_accuracy": min(1.0, round(1.02 * best, 3))},
        temperatures=(1.0,),
    )


def examples(
    families: Sequence[Family],
    around: Mapping[str, Sequence[Surroundings]],
    tokenizer: Any,
    seed: int,
    epoch: int,
) -> Iterator[Example]:
    """Yields one example for each family, with the numbers of an epoch.

    Args:
      families: the corpus.
      around: models around each slot, of which one is drawn for each example.
      tokenizer: of the model.
      seed: of what is drawn.
      epoch: numbers of another epoch are others.
    """
    template = prompts.load(TEMPLATE)
    for number, family in enumerate(families):
        rng = randomness.generator(seed, "surroundings", epoch, number)
        asked = request(family, rng.choice(around[family.slot]), seed, epoch, number)
        if asked is None:
            continue
        slot = SLOTS[family.slot]
        made = local.example(tokenizer, template.build(asked, slot), family.child, slot)
        if len(made.prompt) + len(made.program) <= _MOST:
            yield made


@functools.cache
def _count(source: str, slot: str) -> Dim | None:
    return parameters.parameters(source, SLOTS[slot])
