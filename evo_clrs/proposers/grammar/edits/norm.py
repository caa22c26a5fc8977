"""Norms over features: LayerNorm, RMSNorm, or none."""

import ast
import random

from evo_clrs.proposers.grammar.draft import Draft, quote
from evo_clrs.proposers.grammar.values import Layer

_NORMS = {
    "LayerNorm": "hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(X)",
    "LayerNorm without parameters": "hk.LayerNorm(axis=-1, create_scale=False, create_offset=False)"
    "(X)",
    "RMSNorm": "hk.RMSNorm(axis=-1)(X)",
}


def norm(draft: Draft, rng: random.Random) -> str | None:
    """Normalises a value over its features, changes a norm, or removes one of several."""
    normed = [site for site in draft.sites() if _is_norm(draft, site.node)]
    chance = rng.random()
    if len(normed) > 1 and chance < (0.8 if draft.crowded else 0.25):
        site = rng.choice(normed)
        draft.replace(site, site.node.args[0])  # type: ignore[attr-defined]
        return "a norm less"
    if normed and chance < 0.5:
        site = rng.choice(normed)
        x = site.node.args[0]  # type: ignore[attr-defined]
        others = [name for name in _NORMS if name.partition(" ")[0] not in ast.unparse(site.node)]
        name = rng.choice(others)
        draft.replace(site, quote(_NORMS[name], X=x))
        return f"a norm becomes {name}"
    names = {id(site.node.args[0]) for site in normed}  # type: ignore[attr-defined]
    sites = [
        site
        for site in draft.sites()
        if not _is_norm(draft, site.node) and id(site.node) not in names
    ]
    if not sites:
        return None
    site = rng.choice(sites)
    name = rng.choice(list(_NORMS))
    value = draft.bind(site, "raw")
    draft.replace(site, quote(_NORMS[name], X=value))
    return f"{name} over features"


def _is_norm(draft: Draft, node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or len(node.args) != 1:
        return False
    layer = draft.value(node.func)
    return isinstance(layer, Layer) and layer.kind.endswith("Norm")
