"""Heads: groups of features that are reduced, weighed or mixed on their own."""

import ast
import copy
import random

from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.draft import Draft, Site, quote
from evo_clrs.proposers.grammar.edits.reduction import Reduction, masked, reduced, reductions


def heads(draft: Draft, rng: random.Random) -> str | None:
    """Splits features into heads with reductions, weights or layers of their own."""
    choices = [_parts, _weights, _layer, _merge]
    for _ in range(4):
        choice = choices.pop(rng.randrange(len(choices)))
        result = choice(draft, rng)
        if result:
            return result
    return None


def _count(width: Dim, rng: random.Random) -> int | None:
    counts = [n for n in (2, 4, 8) if width.divisible(2 * n)] or [
        n for n in (2, 4) if width.divisible(n)
    ]
    return rng.choice(counts) if counts else None


def _parts(draft: Draft, rng: random.Random) -> str | None:
    """Reduces one half of the features in another way than the other half."""
    targets = [t for t in reductions(draft) if t.site.width.divisible(2) and t.mask is None]
    if not targets:
        return None
    target = rng.choice(targets)
    before = target.site.statement
    half = draft.size(target.site.width * Dim.of(2).over(Dim.of(4)), before) if False else None
    width = target.site.width.over(Dim.of(2))
    if width is None:
        return None
    half = draft.size(width, before)
    hows = rng.sample(["max", "mean", "min", "softmax", "top-k"], 2)
    if rng.random() < 0.5:
        hows[0] = target.how if target.how in ("max", "mean", "min") else "max"
    if hows[0] == hows[1]:
        hows[1] = "mean" if hows[0] == "max" else "max"
    x = target.x
    if not isinstance(x, ast.Name):
        x = draft.insert(before, "messages", x)
    first = draft.insert(before, "part", quote("X[..., :HALF]", X=x, HALF=half))
    second = draft.insert(before, "part", quote("X[..., HALF:]", X=x, HALF=half))
    done = []
    for part, how in zip((first, second), hows, strict=True):
        piece = Reduction(target.site, target.how, part, target.shape, None, target.axis)
        done.append(draft.insert(before, "head", reduced(draft, piece, how, rng)))
    joined = quote("jnp.concatenate([A, B], axis=-1)", A=done[0], B=done[1])
    draft.replace(target.site, joined)
    return f"half of the features reduced by {hows[0]}, half by {hows[1]}"


def _weights(draft: Draft, rng: random.Random) -> str | None:
    """Reduces each head with softmax weights of its own."""
    targets = [t for t in reductions(draft) if _count(t.site.width, rng)]
    if not targets:
        return None
    target = rng.choice(targets)
    before, axis = target.site.statement, target.axis
    count = _count(target.site.width, rng)
    width = target.site.width.over(Dim.of(count or 1))
    if count is None or width is None:
        return None
    logits = draft.insert(before, "logits", quote(f"hk.Linear({count})(X)", X=target.x))
    weights = quote(f"jax.nn.softmax(X, axis={axis})", X=masked(logits, target.mask, "-1e6"))
    weights = draft.insert(before, "weights", weights)
    spread = quote("jnp.repeat(W, WIDTH, axis=-1)", W=weights, WIDTH=draft.size(width, before))
    spread = draft.insert(before, "spread", spread)
    draft.replace(target.site, quote(f"jnp.sum(W * X, axis={axis})", W=spread, X=target.x))
    return f"softmax-weighted sum with {count} heads instead of {target.how}"


def _layer(draft: Draft, rng: random.Random) -> str | None:
    """Splits a value into heads, mixes within each head with shared weights, merges again."""
    sites = [site for site in draft.sites() if _count(site.width, rng) and len(site.shape) < 5]
    if not sites:
        return None
    site = rng.choice(sites)
    count = _count(site.width, rng)
    width = site.width.over(Dim.of(count or 1))
    if count is None or width is None:
        return None
    before = site.statement
    x = draft.bind(site, "whole")
    each = draft.size(width, before)
    split = quote(f"jnp.reshape(X, (*X.shape[:-1], {count}, WIDTH))", X=x, WIDTH=each)
    split = draft.insert(before, "heads", split)
    mixed = quote("jax.nn.relu(hk.Linear(WIDTH)(X))", X=split, WIDTH=each)
    if rng.random() < 0.5:
        mixed = quote("X * jax.nn.sigmoid(hk.Linear(1)(X))", X=split)
    mixed = draft.insert(before, "mixed", mixed)
    shape = copy.deepcopy(x)
    draft.replace(site, quote("jnp.reshape(MIXED, X.shape)", MIXED=mixed, X=shape))
    return f"{count} heads that share a layer"


def _merge(draft: Draft, rng: random.Random) -> str | None:
    """Merges heads: a value becomes the mean over its heads, the same for each."""
    sites = [site for site in draft.sites() if _is_split(draft, site)]
    if not sites:
        return None
    site = rng.choice(sites)
    node = site.node
    assert isinstance(node, ast.Call)
    x = node.args[0]
    axis = len(site.leading)
    x = x if isinstance(x, ast.Name) else draft.insert(site.statement, "heads", x)
    mean = quote(f"jnp.mean(X, axis={axis}, keepdims=True)", X=x)
    mean = draft.insert(site.statement, "merged", mean)
    merged = quote("jnp.broadcast_to(MEAN, X.shape)", MEAN=mean, X=x)
    draft.substitute(site.statement, node.args[0], merged)
    return "heads merged by their mean"


def _is_split(draft: Draft, site: Site) -> bool:
    """Whether a value is a reshape that brings heads together."""
    node = site.node
    if draft.called(node) != "jnp.reshape" or not isinstance(node, ast.Call):
        return False
    value = draft.value(node.args[0])
    return len(getattr(value, "shape", ())) == len(site.shape) + 1
