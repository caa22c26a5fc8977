"""Depths: a layer more or less in a projection."""

import ast
import copy
import random

from evo_clrs.proposers.grammar.draft import Draft, quote
from evo_clrs.proposers.grammar.edits.activation import CHOICES


def depth(draft: Draft, rng: random.Random) -> str | None:
    """Adds a layer to a projection, or takes one away from an MLP."""
    options: list[tuple[str, ast.Call, list[ast.expr], ast.stmt]] = []
    for node, statement in draft.expressions():
        if not isinstance(node, ast.Call) or not node.args:
            continue
        kind = draft.called(node)
        if kind == "hk.Linear" and not node.keywords and len(node.args) == 1:
            options.append(("deepen", node, node.args, statement))
        elif kind == "hk.nets.MLP" and isinstance(node.args[0], (ast.List, ast.Tuple)):
            widths = node.args[0].elts
            options.append(("more", node, widths, statement))
            if len(widths) > 1:
                options += [("less", node, widths, statement)] * 2
    if draft.crowded:
        options = [option for option in options if option[0] == "less"] or options
    if not options:
        return None
    kind, node, widths, statement = rng.choice(options)
    if kind == "deepen":
        new = quote("hk.nets.MLP([SIZE, SIZE])", SIZE=widths[0])
        if rng.random() < 0.3 and isinstance(new, ast.Call):
            inside = quote(rng.choice(CHOICES))
            new.keywords.append(ast.keyword(arg="activation", value=inside))
        draft.substitute(statement, node, new)
        return "a linear projection becomes an MLP of two layers"
    if kind == "more":
        position = rng.randrange(len(widths))
        widths.insert(position, copy.deepcopy(widths[position]))
        return f"an MLP of {len(widths)} layers instead of {len(widths) - 1}"
    if len(widths) == 2:
        draft.substitute(statement, node, quote("hk.Linear(SIZE)", SIZE=widths[-1]))
        return "an MLP becomes a linear projection"
    del widths[rng.randrange(len(widths) - 1)]
    return f"an MLP of {len(widths)} layers instead of {len(widths) + 1}"
