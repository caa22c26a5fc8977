"""The proposer: draws parents and edits, keeps what fits, cleans it and writes it out."""

import ast
import copy
import dataclasses
import math
import random
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from evo_clrs import randomness, records, slots
from evo_clrs.proposers.grammar import designs
from evo_clrs.proposers.grammar.by_slot import grammar_for
from evo_clrs.proposers.grammar.by_slot.base import SlotGrammar
from evo_clrs.proposers.grammar.clean import clean, loaded, normal_form
from evo_clrs.proposers.grammar.designs import EDIT_COUNTS
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.growth import is_steady
from evo_clrs.proposers.grammar.layout import write
from evo_clrs.proposers.grammar.prepare import prepare
from evo_clrs.proposers.grammar.values import Array, Layer, ShapeError

# How often a random program is so many edits away from a parent.
WALK_COUNTS: Mapping[int, float] = dict.fromkeys(range(4, 11), 1.0)
MAX_BYTES = 12_000  # no proposal is larger
CROWDED_BYTES = 4_000  # beyond, edits prefer to remove
_TRIES = 60
_FEW_TRIES = 10  # of a plan that another one follows


@dataclasses.dataclass(frozen=True)
class Options:
    """The grammar has no options."""


class Grammar:
    """Writes programs by typed edits: of syntax trees for code, of the choices for designs.

    It reads no words. `Request.kinds` is what stands for an instruction; prompts, instructions,
    targets and temperatures are ignored. What the operations mean:

    vary: one to three edits (`EDIT_COUNTS`) of a random parent.
    mutate: one edit of the first parent. In a design its option at one place becomes another one,
      place and option both uniform, as in regularised evolution (Real et al., AAAI 2019,
      https://arxiv.org/abs/1802.01548); kinds that change one place, where named, restrict it.
    crossover: a part of another parent in the first one. In a design each place comes from the
      first or the other parent, of those where they differ at least one from each. Where nothing
      fits, or there is no such other parent, like vary.
    improve: like vary, from the parent with the highest val_accuracy, of equals the last.
    random: four to ten edits (`WALK_COUNTS`) of a random parent, far from what is known. In a
      design each place is uniform among what is allowed; parents are ignored.
    principles: an empty text, which stands for no words.

    Kinds are drawn by the weights of the slot's grammar (`designs.KINDS` for designs) from those
    that the request names and the slot has; from all where it has none of them or they can change
    nothing. A child never equals a parent, but for random designs and for designs where hardly
    anything else is allowed. A design's places whose option is not allowed are drawn anew,
    uniformly, whatever the operation; this comes on top of the one place of mutate.

    Parents that cannot be read are left out. If none is left, a design is drawn at random, and the
    source of other programs is empty.
    """

    name = "grammar"

    def propose(
        self, request: records.Request, slot: slots.Slot, prompt: str, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns one proposal for each child asked for; see `proposers.base.Proposer`.

        Raises:
          UserError: the slot has no grammar.
          ValueError: `request.allowed` does not belong to the slot's space.
        """
        nothing = [records.Proposal(source="")] * request.samples
        if request.operation == "principles":
            return nothing
        generators = (
            randomness.generator(seed, self.name, request.index, sample)
            for sample in range(request.samples)
        )
        if slot.space is not None:
            return designs.propose(request, slot.space, generators)
        grammar = grammar_for(slot.name)
        parents, best = _parents(request, slot)
        if best is None:
            return nothing
        plans = _plans(request, parents, best, grammar)
        return [_propose(parents, plans, grammar, rng) for rng in generators]


def make(place: str, options: Options, folder: Path | None) -> Grammar:
    """Returns the grammar; there is but one."""
    del place, options, folder
    return Grammar()


def clean_text(source: str, slot: slots.Slot) -> str:
    """Returns a program as the grammar writes it before any edit: its names and order of lines.

    Raises:
      ValueError, ShapeError: it cannot be read.
    """
    draft = Draft(clean(prepare(source, slot), slot), slot)
    return write(draft, f"{grammar_for(slot.name).title}.", ())


@dataclasses.dataclass(frozen=True)
class _Plan:
    """A way of making a child.

    Attributes:
      bases: parents of which one is edited.
      counts: numbers of edits, with how often each is drawn.
      weights: kinds of edits, with how often each is drawn.
    """

    bases: Sequence[Draft]
    counts: Mapping[int, float]
    weights: Mapping[str, float]


def _parents(request: records.Request, slot: slots.Slot) -> tuple[list[Draft], Draft | None]:
    """Returns all parents that can be read, and the best of them, of equals the last."""
    found: list[tuple[Draft, float]] = []
    for parent in request.parents:
        try:
            draft = Draft(clean(prepare(parent.source, slot), slot), slot)
        except (ValueError, ShapeError, RecursionError):
            continue
        found.append((draft, parent.metrics.get("val_accuracy", -math.inf)))
    best, _ = max(reversed(found), key=lambda pair: pair[1], default=(None, 0.0))
    return [draft for draft, _ in found], best


def _plans(
    request: records.Request, parents: Sequence[Draft], best: Draft, grammar: SlotGrammar
) -> list[_Plan]:
    """Returns the ways that stand for an operation, in the order to try them."""
    bases: Sequence[Draft] = parents
    counts = EDIT_COUNTS
    match request.operation:
        case "mutate":
            bases, counts = parents[:1], {1: 1.0}
        case "improve":
            bases = [best]
        case "random":
            counts = WALK_COUNTS
    plans = [_Plan(bases, counts, grammar.weights)]
    named = {kind: grammar.weights[kind] for kind in grammar.weights if kind in request.kinds}
    if named:
        plans.insert(0, _Plan(bases, counts, named))
    if request.operation == "crossover" and len(parents) > 1:
        plans.insert(0, _Plan(parents[:1], {1: 1.0}, {"crossover": 1.0}))
    return plans


def _propose(
    parents: Sequence[Draft], plans: Sequence[_Plan], grammar: SlotGrammar, rng: random.Random
) -> records.Proposal:
    """Returns a child by the first plan that comes to one; an empty source if none does."""
    known = {normal_form(parent.tree) for parent in parents}
    for plan in plans:
        for _ in range(_TRIES if plan is plans[-1] else _FEW_TRIES):
            proposal = _child(parents, plan, grammar, rng, known)
            if proposal is not None:
                return proposal
    return records.Proposal(source="")


def _child(
    parents: Sequence[Draft],
    plan: _Plan,
    grammar: SlotGrammar,
    rng: random.Random,
    known: Set[str],
) -> records.Proposal | None:
    """Returns one child, or None if it is a known program, too large, or no edit fits."""
    base = rng.choice(plan.bases)
    mates = [parent for parent in parents if parent is not base]
    (count,) = rng.choices(list(plan.counts), weights=list(plan.counts.values()))
    draft, kinds, changes = base, [], []
    for _ in range(count):
        step = _edited(draft, mates, grammar, plan.weights, rng)
        if step is not None:
            draft, kind, change = step
            kinds.append(kind)
            changes.append(f"{kind}: {change}")
    if not kinds or normal_form(draft.tree) in known:
        return None
    title = f"{grammar.title}: {', '.join(dict.fromkeys(kinds))}."
    source = write(draft, title, changes)
    if len(source.encode()) > MAX_BYTES:
        return None
    return records.Proposal(source=source, edits=tuple(kinds))


def _edited(
    base: Draft,
    mates: Sequence[Draft],
    grammar: SlotGrammar,
    weights: Mapping[str, float],
    rng: random.Random,
) -> tuple[Draft, str, str] | None:
    """Returns the draft after one edit that fits, with its kind and words for it."""
    before = normal_form(base.tree)
    crowded = len(ast.unparse(base.tree)) > CROWDED_BYTES
    left = dict(weights)
    while left:
        (kind,) = rng.choices(list(left), weights=list(left.values()))
        del left[kind]
        for _ in range(4):
            draft = Draft(copy.deepcopy(base.tree), base.slot, mates, crowded)
            try:
                change = grammar.edits[kind](draft, rng)
                if change is None:
                    break
                after = Draft(clean(draft.tree, base.slot), base.slot)
            except (LookupError, ShapeError, RecursionError):
                continue
            if normal_form(after.tree) != before and _is_sound(after, base, grammar):
                return after, kind, change
    return None


def _is_sound(after: Draft, before: Draft, grammar: SlotGrammar) -> bool:
    """Whether a program still fits its slot, reads what it must, stays moderate and small."""
    if before.shapes.fits(before.slot) and not after.shapes.fits(after.slot):
        return False
    read = loaded(after.body)
    essential = {
        name
        for name, tensor in zip(after.inputs, after.slot.inputs, strict=False)
        if tensor.name in grammar.essential
    }
    if not read & essential:
        return False
    if grammar.state and is_steady(before, *grammar.state) > is_steady(after, *grammar.state):
        return False
    layers = any(isinstance(value, Layer) for value in after.shapes.values.values())
    limit = max(grammar.max_elements, elements(before, grammar))
    return layers and elements(after, grammar) <= limit


def elements(draft: Draft, grammar: SlotGrammar) -> float:
    """Returns how many numbers all arrays that a program computes hold, per batch entry."""
    total = 0.0
    for node, _ in draft.expressions():
        value = draft.value(node)
        if isinstance(value, Array) and not isinstance(node, ast.Name):
            size = 1.0
            for dim in value.shape:
                size *= float(dim.at({"S": grammar.sizes["N"], **grammar.sizes}))
            total += size
    return total
