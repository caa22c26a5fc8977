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
    normed = [(site, x) for site in draft.sites() if (x := _normed(draft, site.node)) is not None]
    chance = rng.random()
    if len(normed) > 1 and chance < (0.8 if draft.crowded else 0.25):
        site, x = rng.choice(normed)
        draft.replace(site, x)
        return "a norm less"
    if normed and chance < 0.5:
        site, x = rng.choice(normed)
        others = [name for name, text in _NORMS.items() if _head(text) != _head(site.node)]
        name = rng.choice(others)
        draft.replace(site, quote(_NORMS[name], X=x))
        return f"a norm becomes {name}"
    done = {id(node) for site, x in normed for node in (site.node, x)}
    sites = [site for site in draft.inner_sites() if id(site.node) not in done]
    if not sites:
        return None
    site = rng.choice(sites)
    name = rng.choice(list(_NORMS))
    value = draft.bind(site, "raw")
    draft.replace(site, quote(_NORMS[name], X=value))
    return f"{name} over features"


def _normed(draft: Draft, node: ast.expr) -> ast.expr | None:
    """Returns what a norm is applied to, None if the node is no norm."""
    if not isinstance(node, ast.Call) or len(node.args) != 1:
        return None
    layer = draft.value(node.func)
    is_norm = isinstance(layer, Layer) and layer.kind.endswith("Norm")
    return node.args[0] if is_norm else None


def _head(norm: ast.expr | str) -> str:
    """Returns the text of a norm without what it is applied to."""
    node = quote(norm) if isinstance(norm, str) else norm
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""
