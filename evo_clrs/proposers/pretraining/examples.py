"""What a small language model learns from: families as prompts with numbers, and replies.

Prompts are written by the template that a search sends the model (`prompts`), replies as `answers`
has them. Parameter counts are computed from the programs, at a width and in a surrounding model
drawn for each family, and the target is what the child has. Accuracies are drawn uniformly: nothing
was trained, and a model that learns from these prompts learns to pay them no heed.
"""

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evo_clrs import randomness
from evo_clrs.proposers import answers, causal, patches, prompts
from evo_clrs.proposers.grammar import parameters
from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.pretraining.corpus import Child, Family
from evo_clrs.records import Parent, Request
from evo_clrs.slots import SLOTS

TEMPLATE = "edits"
_ACCURACIES = (0.2, 0.99)
_MOST = 1100  # tokens of a prompt with its reply; longer ones are left out
_MOST_REPLY = 150  # tokens of a reply
_TERSE = 0.15  # of replies say neither a ratio nor changes, as those that a search tunes on


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """A model around a slot.

    Attributes:
      sizes: what the symbols of parameter shapes stand for, e.g. H and K.
      parameters: numbers in the parameters outside the slot.
    """

    sizes: Mapping[str, int]
    parameters: int


@dataclasses.dataclass(frozen=True)
class Branch:
    """How one prompt ends, and its reply.

    Attributes:
      asked: tokens of the prompt, from where its like-beginning others differ.
      reply: tokens of the reply.
    """

    asked: tuple[int, ...]
    reply: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Tree:
    """Prompts of one family, which begin alike, with a reply each.

    Attributes:
      trunk: tokens that all begin with.
      branches: how each goes on.
    """

    trunk: tuple[int, ...]
    branches: tuple[Branch, ...]

    def __len__(self) -> int:
        """Returns how many tokens it has, those of the trunk once."""
        return len(self.trunk) + sum(len(b.asked) + len(b.reply) for b in self.branches)


def requests(
    family: Family, around: Surroundings, seed: int, *place: int
) -> Sequence[tuple[Child, Request]]:
    """Returns what to ask for each child of a family; none where parameter counts are not known.

    Args:
      family: parents and children.
      around: the model around them.
      seed: with `place` of the accuracies and of the order of parents.
      place: indices of the draw.
    """
    rng = randomness.generator(seed, "pretraining", *place)
    parents = []
    for number, source in enumerate(family.parents):
        total = _total(source, family.slot, around)
        if total is None:
            return []
        accuracy = round(rng.uniform(*_ACCURACIES), 3)
        metrics = {"num_params": total, "val_accuracy": accuracy}
        parents.append(Parent(str(number), source, metrics))
    rng.shuffle(parents)
    best = max(parent.metrics["val_accuracy"] for parent in parents)
    asked = []
    for child in family.children:
        total = _total(child.source, family.slot, around)
        if total is None:
            continue
        wanted = {
            "num_params": max(100, round(total / 100) * 100),
            "val_accuracy": min(1.0, round(1.02 * best, 3)),
        }
        request = Request(
            index=0, round=0, parents=tuple(parents), targets=wanted, temperatures=(1.0,)
        )
        asked.append((child, request))
    return asked


def examples(
    families: Sequence[Family],
    around: Mapping[str, Sequence[Surroundings]],
    tokenizer: Any,
    seed: int,
    epoch: int,
) -> Iterator[Tree]:
    """Yields one example for each family, with the numbers of an epoch.

    Args:
      families: the corpus.
      around: models around each slot, of which one is drawn for each example.
      tokenizer: of the model.
      seed: of what is drawn.
      epoch: numbers of another epoch are others.
    """
    for number, family in enumerate(families):
        rng = randomness.generator(seed, "surroundings", epoch, number)
        model = rng.choice(around[family.slot])
        made = []
        for child, request in requests(family, model, seed, epoch, number):
            terse = rng.random() < _TERSE
            example = _example(child, request, family.slot, model, tokenizer, terse)
            if example is not None:
                made.append(example)
        if made:
            trunk = tuple(os.path.commonprefix([example.prompt for example in made]))
            branches = (Branch(one.prompt[len(trunk) :], one.program) for one in made)
            yield Tree(trunk, tuple(branches))


def texts(family: Family) -> Iterator[str]:
    """Yields what a tokenizer learns from: a parent with a prompt's end, and whole replies."""
    metrics = prompts.header({"num_params": 0, "val_accuracy": 0.0})
    opening = f"\n\n{metrics}\n{patches.OPENING.rstrip()}"
    yield family.parents[0] + opening
    counts = [100.0] * (len(family.parents) + 1)
    for child in family.children:
        yield opening + answers.edited(child.source, family.parents, counts, child.changes)


def _example(
    child: Child, request: Request, slot: str, around: Surroundings, tokenizer: Any, terse: bool
) -> Any:
    """Returns a child with its prompt, None where it is too long or no edit of a parent."""
    parents = [parent.source for parent in request.parents]
    if terse:
        reply = answers.edited(child.source, parents)
    else:
        counts = [parent.metrics["num_params"] for parent in request.parents]
        counts.append(_total(child.source, slot, around) or 0)
        reply = answers.edited(child.source, parents, counts, child.changes)
    prompt = prompts.load(TEMPLATE).build(request, SLOTS[slot])
    made = causal.example(tokenizer, prompt, reply, SLOTS[slot])
    whole = len(made.prompt) + len(made.program)
    return made if reply and len(made.program) <= _MOST_REPLY and whole <= _MOST else None


def _total(source: str, slot: str, around: Surroundings) -> int | None:
    """Returns the parameters of a model with a program in its slot, None if they are not known."""
    count = _count(source, slot)
    return None if count is None else around.parameters + int(count.at(around.sizes))


@functools.cache
def _count(source: str, slot: str) -> Dim | None:
    return parameters.parameters(source, SLOTS[slot])
