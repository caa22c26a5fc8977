"""Residual connections."""

import ast
import random

from evo_clrs.proposers.grammar.draft import Draft, Site, quote


def residual(draft: Draft, rng: random.Random) -> str | None:
    """Adds an earlier value, as it is or projected, to a value, or takes such a term away."""
    sites = draft.sites()
    rng.shuffle(sites)
    if rng.random() < (0.8 if draft.crowded else 0.15):
        for site in sites:
            if _remove(draft, site, rng):
                return "a residual connection less"
    ways = [_add, _add_projected] if rng.random() < 0.7 else [_add_projected, _add]
    for way in ways:
        for site in sites:
            change = way(draft, site, rng)
            if change:
                return change
    return None


def _add(draft: Draft, site: Site, rng: random.Random) -> str | None:
    inside = {n.id for n in ast.walk(draft.definition(site.node)) if isinstance(n, ast.Name)}
    earlier = draft.features(site.statement).items()
    names = [name for name, shape in earlier if shape == site.shape and name not in inside]
    if not names:
        return None
    draft.replace(site, quote(f"X + {rng.choice(names)}", X=site.node))
    return "a residual connection"


def _add_projected(draft: Draft, site: Site, rng: random.Random) -> str | None:
    earlier = draft.features(site.statement).items()
    names = [name for name, shape in earlier if shape[:-1] == site.leading]
    if not names:
        return None
    skip = draft.linear(quote(rng.choice(names)), site.width, site.statement)
    draft.replace(
        site, quote("X + SKIP", X=site.node, SKIP=draft.insert(site.statement, "skip", skip))
    )
    return "a projected residual connection"


def _remove(draft: Draft, site: Site, rng: random.Random) -> bool:
    node = site.node
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
        return False
    sides = [node.left, node.right]
    names = [side for side in sides if isinstance(side, ast.Name)]
    if not names or any(draft.value(side) != draft.value(node) for side in sides):
        return False
    dropped = rng.choice(names)
    draft.replace(site, sides[1] if dropped is sides[0] else sides[0])
    return True
