"""Residual connections."""

import ast
import random

from evo_clrs.proposers.grammar.draft import Draft, Site, quote


def residual(draft: Draft, rng: random.Random) -> str | None:
    """Adds an earlier value of the same shape to a value, or takes such a term away."""
    sites = draft.sites()
    rng.shuffle(sites)
    if rng.random() < (0.8 if draft.crowded else 0.15):
        for site in sites:
            if _remove(draft, site, rng):
                return "a residual connection less"
    for site in sites:
        names = {
            node.id for node in ast.walk(draft.definition(site.node)) if isinstance(node, ast.Name)
        }
        earlier = [
            name
            for name, shape in draft.features(site.statement).items()
            if shape == site.shape and name not in names
        ]
        if earlier:
            return _add(draft, site, rng.choice(earlier), rng)
    for site in sites:
        earlier = [
            name
            for name, shape in draft.features(site.statement).items()
            if shape[:-1] == site.leading
        ]
        if earlier:
            name = rng.choice(earlier)
            skip = draft.linear(quote(name), site.width, site.statement)
            skip = draft.insert(site.statement, "skip", skip)
            draft.replace(site, quote("X + SKIP", X=site.node, SKIP=skip))
            return "a projected residual connection"
    return None


def _add(draft: Draft, site: Site, name: str, rng: random.Random) -> str:
    draft.replace(site, quote(f"X + {name}", X=site.node))
    return "a residual connection"


def _remove(draft: Draft, site: Site, rng: random.Random) -> bool:
    node = site.node
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
        return False
    sides = [node.left, node.right]
    if any(draft.value(side) != draft.value(node) for side in sides):
        return False
    names = [side for side in sides if isinstance(side, ast.Name)]
    if not names:
        return False
    dropped = rng.choice(names)
    draft.replace(site, sides[1] if dropped is sides[0] else sides[0])
    return True
