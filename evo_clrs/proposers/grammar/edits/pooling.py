"""Pooling of sequences: over neighbours, or of the whole sequence to a vector."""

import ast
import random

from evo_clrs.proposers.grammar.draft import Draft, Site, quote
from evo_clrs.proposers.grammar.edits.applied import POOLS, exchange, rank, sequences
from evo_clrs.proposers.grammar.edits.reduction import Reduction, reduced, reduction, reductions
from evo_clrs.proposers.grammar.values import Array


def ends(draft: Draft) -> list[tuple[Site, ast.expr]]:
    """Returns the places where sequences become vectors, each with the sequence."""
    return [*flattened(draft), *((target.site, target.x) for target in reductions(draft))]


def flattened(draft: Draft) -> list[tuple[Site, ast.expr]]:
    """Returns the places where sequences become vectors as they are, each with the sequence."""
    found = []
    for site in draft.sites():
        node = site.node
        if len(site.shape) != 2 or not isinstance(node, ast.Call):
            continue
        x: ast.expr | None = node.args[0] if node.args else None
        if isinstance(node.func, ast.Attribute) and node.func.attr == "reshape":
            if draft.called(node) != "jnp.reshape":
                x = node.func.value
        elif draft.called(node.func) != "hk.Flatten":
            continue
        if x is not None and rank(draft, x) == 3:
            found.append((site, x))
    return found


def pooling(draft: Draft, rng: random.Random) -> str | None:
    """Pools neighbours, changes or removes a pool, or keeps all of what was reduced."""
    ways = [_pool, _change, _flatten]
    weights = [0.2, 3.0, 1.0] if draft.crowded else [2.0, 1.0, 1.0]
    while ways:
        (way,) = rng.choices(ways, weights=weights)
        weights.pop(ways.index(way))
        ways.remove(way)
        change = way(draft, rng)
        if change:
            return change
    return None


def whole(draft: Draft, rng: random.Random) -> str | None:
    """Reduces over positions in another way, or reduces what was flattened."""
    flat = flattened(draft)
    if not reductions(draft) or (flat and rng.random() < 0.5):
        rng.shuffle(flat)
        for site, x in flat:
            change = _reduce(draft, site, x, rng)
            if change:
                return change
    return reduction(draft, rng)


def _reduce(draft: Draft, site: Site, x: ast.expr, rng: random.Random) -> str | None:
    value = draft.value(x)
    if not isinstance(value, Array):
        return None
    statement = site.statement
    x = x if isinstance(x, ast.Name) else draft.insert(statement, "sequence", x)
    place = Reduction(site, "flatten", x, value.shape, None, 1)
    hows = rng.sample(["max", "mean", "softmax", "top-k", "sum", "logsumexp", "range"], 2)
    new = reduced(draft, place, hows[0], rng)
    words = hows[0]
    if rng.random() < 0.35:
        first = draft.insert(statement, "pooled", new)
        second = draft.insert(statement, "pooled", reduced(draft, place, hows[1], rng))
        new = quote("jnp.concatenate([A, B], axis=-1)", A=first, B=second)
        words = " and ".join(hows)
    if exchange(draft, statement, site.node, new):
        return f"a flattened sequence becomes its {words}"
    return None


def _pool(draft: Draft, rng: random.Random) -> str | None:
    sites = sequences(draft)
    rng.shuffle(sites)
    for site in sites[:4]:
        how, stride = rng.choice(POOLS), rng.choice((2, 2, 3, 4))
        window = rng.choice((stride, stride, stride + 1))
        name = draft.bind(site, "sequence")
        new = quote(f"{how}(X, ({window}, 1), ({stride}, 1), 'SAME')", X=name)
        if exchange(draft, site.statement, site.node, new):
            return f"{how[3:6]} pooling with stride {stride}"
    return None


def _change(draft: Draft, rng: random.Random) -> str | None:
    pools = [
        (node, statement)
        for node, statement in draft.expressions()
        if draft.called(node) in POOLS and isinstance(node, ast.Call) and node.args
    ]
    if not pools:
        return None
    node, statement = rng.choice(pools)
    if rng.random() < 0.6 and exchange(draft, statement, node, node.args[0]):
        return "a pool less"
    other = next(name for name in POOLS if name != draft.called(node))
    node.func = quote(other)
    return f"a pool becomes {other[3:6]} pooling"


def _flatten(draft: Draft, rng: random.Random) -> str | None:
    """Keeps all positions where they were reduced."""
    targets = reductions(draft)
    rng.shuffle(targets)
    for target in targets:
        new = quote("hk.Flatten()(X)", X=target.x)
        if exchange(draft, target.site.statement, target.site.node, new):
            return f"{target.how} over positions becomes the whole sequence"
    return None
