"""Widths of layers, one alone or all that are added up together."""

import ast
import random
from collections.abc import Sequence

from evo_clrs.proposers.grammar.clean import sum_terms
from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.layout import dimension
from evo_clrs.proposers.grammar.shapes import infer
from evo_clrs.proposers.grammar.values import ShapeError, Size

# A place where a width stands: the list that holds it and the position in it.
Place = tuple[list[ast.expr], int]
_TRIES = 8


def width(draft: Draft, rng: random.Random) -> str | None:
    """Changes the width of a layer, or of layers that are added up, where shapes allow it."""
    places = {id(call): _places(draft, call) for call, _ in draft.expressions()}
    places = {key: found for key, found in places.items() if found}
    groups = [[place] for found in places.values() for place in found]
    groups += 2 * _sums(draft, places)
    rng.shuffle(groups)
    for group in groups[:_TRIES]:
        old = draft.value(group[0][0][group[0][1]])
        if not isinstance(old, Size):
            continue
        new = _another(old.dim, draft.crowded, rng)
        if new is not None and _change(draft, group, new):
            return f"width {dimension(old.dim)} becomes {dimension(new)}"
    return None


def _places(draft: Draft, call: ast.expr) -> list[Place]:
    if not isinstance(call, ast.Call) or not call.args:
        return []
    if draft.called(call) == "hk.Linear":
        return [(call.args, 0)]
    if draft.called(call) == "hk.nets.MLP" and isinstance(call.args[0], (ast.List, ast.Tuple)):
        return [(call.args[0].elts, i) for i in range(len(call.args[0].elts))]
    return []


def _sums(draft: Draft, places: dict[int, list[Place]]) -> list[list[Place]]:
    """Returns the last widths of layers whose outputs are terms of one sum."""
    groups = []
    for node, _ in draft.expressions():
        terms = sum_terms(node)
        group: dict[int, Place] = {}
        for term in terms if len(terms) > 1 else []:
            for part in ast.walk(term):
                if isinstance(part, ast.expr):
                    for inner in ast.walk(draft.definition(part)):
                        if id(inner) in places:
                            group[id(inner)] = places[id(inner)][-1]
        if len(group) > 1:
            groups.append(list(group.values()))
    return groups


def _another(old: Dim, smaller: bool, rng: random.Random) -> Dim | None:
    number = old.number
    if number is not None:
        numbers = [n for n in (number * 2, number // 2, 4, 8, 16, 32) if 1 < n <= 64]
        numbers = [n for n in numbers if n != number]
        if smaller:
            numbers = [n for n in numbers if n < number] or numbers
        return Dim.of(rng.choice(numbers))
    options = [] if smaller else [old * Dim.of(2)]
    half = old.over(Dim.of(2))
    if half is not None and half.divisible(4):
        options.append(half)
    return rng.choice(options) if len(old.terms) == 1 and options else None


def _change(draft: Draft, group: Sequence[Place], new: Dim) -> bool:
    """Puts the width in all places if the program then still fits, else leaves them."""
    old = [holder[i] for holder, i in group]
    try:
        size = draft.size(new, draft.body[-1])
        for holder, i in group:
            holder[i] = size
        if infer(draft.tree, draft.slot).fits(draft.slot):
            return True
    except (ShapeError, LookupError):
        pass
    for (holder, i), expression in zip(group, old, strict=True):
        holder[i] = expression
    return False
