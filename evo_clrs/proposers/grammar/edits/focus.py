"""Attention over positions: between them, or from learnt queries to a vector."""

import ast
import random

from evo_clrs.proposers.grammar.draft import Draft, quote
from evo_clrs.proposers.grammar.edits.applied import (
    exchange,
    sequences,
    sequences_at,
    signal,
    vectors,
)
from evo_clrs.proposers.grammar.edits.attention import attend
from evo_clrs.proposers.grammar.edits.pooling import ends
from evo_clrs.proposers.grammar.edits.stacking import activated


def focus(draft: Draft, rng: random.Random) -> str | None:
    """Adds attention between positions, or has learnt queries pool a sequence."""
    ways = [_between, _pool, _beside]
    rng.shuffle(ways)
    for way in ways:
        change = way(draft, rng)
        if change:
            return change
    return None


def _between(draft: Draft, rng: random.Random) -> str | None:
    """Adds what each position attends to."""
    sites = sequences(draft)
    rng.shuffle(sites)
    for site in sites:
        names = [
            name
            for name, shape in draft.features(site.statement).items()
            if shape[:-1] == site.leading
        ]
        if names:
            return attend(draft, site, rng.choice(names), rng)
    return None


def _queried(draft: Draft, statement: ast.stmt, x: ast.expr, rng: random.Random) -> ast.expr:
    """Returns a vector: for each of some learnt queries a weighted mean over positions."""
    x = x if isinstance(x, ast.Name) else draft.insert(statement, "sequence", x)
    queries = rng.choice((1, 2, 4))
    seen: ast.expr = x
    if rng.random() < 0.5:
        seen = draft.insert(
            statement, "keys", activated(quote(f"hk.Linear({rng.choice((8, 16))})(X)", X=x), rng)
        )
    logits = draft.insert(statement, "logits", quote(f"hk.Linear({queries})(X)", X=seen))
    weights = draft.insert(statement, "weights", quote("jax.nn.softmax(X, axis=1)", X=logits))
    product = quote("jnp.einsum('btq,btf->bqf', W, X)", W=weights, X=x)
    attended = draft.insert(statement, "attended", product)
    return quote("hk.Flatten()(X)", X=attended)


def _pool(draft: Draft, rng: random.Random) -> str | None:
    """Has learnt queries make a vector of a sequence."""
    targets = ends(draft)
    rng.shuffle(targets)
    for site, x in targets:
        if exchange(draft, site.statement, site.node, _queried(draft, site.statement, x, rng)):
            return "learnt queries pool a sequence"
    return None


def _beside(draft: Draft, rng: random.Random) -> str | None:
    """Adds what learnt queries find in a sequence to a vector, or puts it beside it."""
    sites = vectors(draft)
    if not sites:
        return None
    site = rng.choice(sites)
    before = site.statement
    names = sequences_at(draft, before)
    if names and rng.random() < 0.6:
        x = quote(rng.choice(names))
    else:
        placed = quote("hk.Bias(bias_dims=(-2, -1))(hk.Linear(16)(X))", X=signal(draft))
        x = draft.insert(before, "places", activated(placed, rng))
    found = draft.insert(before, "found", _queried(draft, before, x, rng))
    joined = quote("jnp.concatenate([X, FOUND], axis=-1)", X=site.node, FOUND=found)
    if rng.random() < 0.5 and exchange(draft, before, site.node, joined):
        return "what learnt queries find beside a vector"
    term = draft.insert(before, "term", draft.linear(found, site.width, before))
    draft.replace(site, quote("X + TERM", X=site.node, TERM=term))
    return "what learnt queries find added to a vector"
