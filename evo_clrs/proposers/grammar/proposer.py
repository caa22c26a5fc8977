"""The proposer: draws parents and edits, keeps what fits, cleans it and writes it out."""

import ast
import copy
import random
from collections.abc import Sequence

from evo_clrs import randomness, records, slots
from evo_clrs.proposers.grammar.by_slot import grammar_for
from evo_clrs.proposers.grammar.by_slot.base import SlotGrammar
from evo_clrs.proposers.grammar.clean import clean, loaded, normal_form
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.growth import is_steady
from evo_clrs.proposers.grammar.layout import write
from evo_clrs.proposers.grammar.prepare import prepare
from evo_clrs.proposers.grammar.values import Array, Layer, ShapeError

# How often a proposal is made by one, two and three edits.
EDIT_COUNTS = (0.45, 0.35, 0.2)
MAX_BYTES = 12_000  # no proposal is larger
CROWDED_BYTES = 4_000  # beyond, edits prefer to remove
_TRIES = 60


class Grammar:
    """Writes programs by typed edits of the syntax trees of parents."""

    name = "grammar"

    def propose(
        self, request: records.Request, slot: slots.Slot, prompt: str, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns one proposal for each child asked for; see `proposers.base.Proposer`.

        A proposal is made by one to three edits (`EDIT_COUNTS`), kinds drawn by the weights of
        the slot's grammar. It never equals a parent. A proposal whose source is empty means that
        no parent could be read.

        Raises:
          UserError: the slot has no grammar.
        """
        grammar = grammar_for(slot.name)
        parents = []
        for parent in request.parents:
            try:
                parents.append(Draft(clean(prepare(parent.source, slot), slot), slot))
            except (ValueError, ShapeError, RecursionError):
                continue
        return [
            _propose(parents, grammar, randomness.generator(seed, self.name, request.index, sample))
            for sample in range(request.samples)
        ]


def _propose(
    parents: Sequence[Draft], grammar: SlotGrammar, rng: random.Random
) -> records.Proposal:
    known = {normal_form(parent.tree) for parent in parents}
    for _ in range(_TRIES if parents else 0):
        base = rng.choice(list(parents))
        mates = [parent for parent in parents if parent is not base]
        (count,) = rng.choices((1, 2, 3), weights=EDIT_COUNTS)
        draft, kinds, changes = base, [], []
        for _ in range(count):
            step = _edited(draft, mates, grammar, rng)
            if step is not None:
                draft, kind, change = step
                kinds.append(kind)
                changes.append(f"{kind}: {change}")
        if kinds and normal_form(draft.tree) not in known:
            title = f"{grammar.title}: {', '.join(dict.fromkeys(kinds))}."
            source = write(draft, title, changes)
            if len(source.encode()) <= MAX_BYTES:
                return records.Proposal(source=source, edits=tuple(kinds))
    return records.Proposal(source="")


def _edited(
    base: Draft, mates: Sequence[Draft], grammar: SlotGrammar, rng: random.Random
) -> tuple[Draft, str, str] | None:
    """Returns the draft after one edit that fits, with its kind and words for it."""
    before = normal_form(base.tree)
    crowded = len(ast.unparse(base.tree)) > CROWDED_BYTES
    weights = dict(grammar.weights)
    while weights:
        (kind,) = rng.choices(list(weights), weights=list(weights.values()))
        del weights[kind]
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
