"""Widths of networks: of one layer, of layers that hang together, or of all."""

import ast
import random
from collections import defaultdict
from collections.abc import Sequence

from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.edits.applied import WIDTHS, fits
from evo_clrs.proposers.grammar.sequences import CORES
from evo_clrs.proposers.grammar.values import Size

# A place where a width stands: the list that holds it, the position in it, and the width.
Place = tuple[list[ast.expr], int, int]
_WIDENED = ("hk.Linear", "hk.Conv1D", *CORES)
_TRIES = 8


def breadth(draft: Draft, rng: random.Random) -> str | None:
    """Changes the width of a layer, of all layers of one width, or of all layers by a factor."""
    places = _places(draft)
    by_width = defaultdict(list)
    for place in places:
        by_width[place[2]].append(place)
    single = [[place] for place in places]
    alike = [group for group in by_width.values() if len(group) > 1]
    for _ in range(_TRIES if places else 0):
        if rng.random() < 0.25:
            factor = rng.choice((0.25, 0.5, 0.5) if draft.crowded else (0.25, 0.5, 0.5, 2, 2, 4))
            if _put(draft, places, [round(width * factor) for _, _, width in places]):
                return f"all widths times {factor:g}"
            continue
        group = rng.choice(alike if alike and rng.random() < 0.5 else single)
        old = group[0][2]
        new = rng.choice((old * 2, old // 2) if rng.random() < 0.4 else WIDTHS)
        smaller = new < old or (new > old and not draft.crowded)
        if smaller and _put(draft, group, [new] * len(group)):
            return f"width {old} becomes {new}"
    return None


def _places(draft: Draft) -> list[Place]:
    """Returns where widths stand as numbers: in layers and in shapes of parameters."""
    found: list[Place] = []
    for call, _ in draft.expressions():
        if not isinstance(call, ast.Call) or not call.args:
            continue
        kind = draft.called(call)
        holders: list[tuple[list[ast.expr], Sequence[int]]] = []
        if kind in _WIDENED:
            holders.append((call.args, [0]))
        first = call.args[-1 if kind == "hk.get_parameter" else 0]
        if kind in ("hk.nets.MLP", "hk.get_parameter") and isinstance(first, (ast.List, ast.Tuple)):
            holders.append((first.elts, range(len(first.elts))))
        for holder, positions in holders:
            for position in positions:
                value = draft.value(holder[position])
                number = value.dim.number if isinstance(value, Size) else None
                if number is not None and number > 1:
                    found.append((holder, position, number))
    return found


def _put(draft: Draft, group: Sequence[Place], widths: Sequence[int]) -> bool:
    """Writes widths down if the program then still fits, else leaves it."""
    if not all(2 <= width <= WIDTHS[-1] for width in widths):
        return False
    old = [holder[position] for holder, position, _ in group]
    for (holder, position, _), width in zip(group, widths, strict=True):
        holder[position] = ast.Constant(width)
    if fits(draft):
        return True
    for (holder, position, _), expression in zip(group, old, strict=True):
        holder[position] = expression
    return False
