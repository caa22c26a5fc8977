"""Products against sums."""

import ast
import random

from evo_clrs.proposers.grammar.draft import Draft, Site, quote
from evo_clrs.proposers.grammar.edits.reduction import is_normed

_SQUASHES = ("jnp.tanh", "jax.nn.sigmoid")


def product(draft: Draft, rng: random.Random) -> str | None:
    """Multiplies what was added, adds what was multiplied, or adds a product of projections."""
    choice = rng.random()
    sums = [site for site in draft.sites() if _joins(draft, site, ast.Add)]
    products = [site for site in draft.sites() if _joins(draft, site, ast.Mult)]
    if products and choice < 0.25:
        site = rng.choice(products)
        left, right = _sides(site)
        draft.replace(site, quote("A + B", A=left, B=right))
        return "a product becomes a sum"
    if sums and choice < 0.6:
        site = rng.choice(sums)
        left, right = _sides(site)
        right = _tamed(draft, right, rng)
        draft.replace(site, quote("A * B", A=left, B=right))
        return "a sum becomes a product"
    sites = draft.sites()
    rng.shuffle(sites)
    for site in sites:
        factors = [
            (name, shape)
            for name, shape in draft.features(site.statement).items()
            if len(shape) <= len(site.shape)
        ]
        if factors:
            try:
                a, b = (
                    draft.project(name, shape, site, site.width, rng, hint)
                    for (name, shape), hint in zip(
                        rng.choices(factors, k=2), ("left", "right"), strict=True
                    )
                )
            except LookupError:
                continue
            term = draft.insert(
                site.statement, "product", quote("A * B", A=a, B=_tamed(draft, b, rng))
            )
            draft.replace(site, quote("X + TERM", X=site.node, TERM=term))
            return "a product of two projections more"
    return None


def _tamed(draft: Draft, factor: ast.expr, rng: random.Random) -> ast.expr:
    """Returns a factor, squashed where powers could grow from step to step."""
    if draft.slot.kind == "function" and rng.random() < 0.6:
        return factor
    if is_normed(draft) and rng.random() < 0.4:
        return factor
    return quote(f"{rng.choice(_SQUASHES)}(X)", X=factor)


def _joins(draft: Draft, site: Site, op: type) -> bool:
    node = site.node
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, op)
        and all(draft.is_features(draft.value(side)) for side in _sides(site))
        and all(not draft.is_masked(side) for side in _sides(site))
    )


def _sides(site: Site) -> tuple[ast.expr, ast.expr]:
    assert isinstance(site.node, ast.BinOp)
    return site.node.left, site.node.right
