"""Attention over senders: dot-product or additive, in place of a reduction or beside a value."""

import ast
import random

from evo_clrs.proposers.grammar.dims import ONE, Dim
from evo_clrs.proposers.grammar.draft import NODES, Draft, Site, expand, quote
from evo_clrs.proposers.grammar.edits.reduction import Reduction, masked, reductions

_KEYS = (8, 16)


def attention(draft: Draft, rng: random.Random) -> str | None:
    """Weighs a reduction by attention, or adds what nodes attend to."""
    targets = [target for target in reductions(draft) if target.shape.count(ONE) == 0]
    if targets and rng.random() < 0.6:
        return _weigh(draft, rng.choice(targets), rng)
    sites = [site for site in draft.sites() if NODES in site.leading]
    rng.shuffle(sites)
    for site in sites:
        nodes = {
            name: shape
            for name, shape in draft.features(site.statement).items()
            if len(shape) == 3 and shape[1] == NODES
        }
        if nodes:
            return attend(draft, site, rng.choice(sorted(nodes)), rng)
    return None


def _weigh(draft: Draft, target: Reduction, rng: random.Random) -> str | None:
    """Replaces a reduction by a mean weighted by attention between nodes."""
    site, axis = target.site, target.axis
    before = site.statement
    others = [i for i, dim in enumerate(target.shape[:-1]) if i and i != axis and dim == NODES]
    nodes = [name for name, s in draft.features(before).items() if len(s) == 3 and s[1] == NODES]
    if not others or not nodes:
        return None
    width = Dim.of(rng.choice(_KEYS))
    receiver = rng.choice(others)

    def along(at: int, hint: str) -> ast.expr:
        x = draft.linear(quote(rng.choice(sorted(nodes))), width, before)
        x = draft.insert(before, hint, x)
        rest = [i for i in range(1, len(target.shape) - 1) if i != at]
        return expand(x, rest)

    query, key = along(receiver, "query"), along(axis, "key")
    if rng.random() < 0.5:
        scale = f"{(width.number or 1) ** -0.5:.3f}"
        product = quote("QUERY * KEY", QUERY=query, KEY=key)
        logits = quote(f"jnp.sum(X, axis=-1, keepdims=True) * {scale}", X=product)
        how = "dot-product"
    else:
        total = draft.insert(before, "pairs", quote("QUERY + KEY", QUERY=query, KEY=key))
        if draft.called(target.site.node) and rng.random() < 0.3:
            x = draft.insert(before, "sent", draft.linear(target.x, width, before))
            total = draft.insert(before, "pairs", quote("A + B", A=total, B=x))
        logits = quote("hk.Linear(1)(jax.nn.leaky_relu(X))", X=total)
        how = "additive"
    logits = draft.insert(before, "logits", logits)
    weights = quote(f"jax.nn.softmax(X, axis={axis})", X=masked(logits, target.mask, "-1e6"))
    weights = draft.insert(before, "weights", weights)
    draft.replace(site, quote(f"jnp.sum(WEIGHTS * X, axis={axis})", WEIGHTS=weights, X=target.x))
    return f"{how} attention instead of {target.how}"


def attend(draft: Draft, site: Site, name: str, rng: random.Random) -> str:
    """Adds values of all nodes, or positions, weighted by dot-product attention, to a value.

    Args:
      draft: the program.
      site: the value.
      name: features that attend to each other.
      rng: generator.
    """
    before = site.statement
    along = draft.features(before)[name][1]
    width = Dim.of(rng.choice(_KEYS))
    query = draft.insert(before, "query", draft.linear(quote(name), width, before))
    key = draft.insert(before, "key", draft.linear(quote(name), width, before))
    values = draft.insert(before, "sent", draft.linear(quote(name), site.width, before))
    product = quote("jnp.einsum('bif,bjf->bij', QUERY, KEY)", QUERY=query, KEY=key)
    scale = f"{(width.number or 1) ** -0.5:.3f}"
    product = quote(f"PRODUCT * {scale}", PRODUCT=product)
    logits: ast.expr = draft.insert(before, "logits", product)
    adjacency = _adjacency(draft)
    note = ""
    if adjacency and rng.random() < 0.5:
        logits = quote(f"jnp.where({adjacency} > 0, LOGITS, -1e6)", LOGITS=logits)
        note = " along edges"
    weights = draft.insert(before, "weights", quote("jax.nn.softmax(X, axis=-1)", X=logits))
    attended = quote("jnp.einsum('bij,bjf->bif', W, V)", W=weights, V=values)
    attended = draft.insert(before, "attended", attended)
    axes = [i for i, dim in enumerate(site.leading) if i and dim == along]
    kept = rng.choice(axes)
    aligned = expand(attended, [i for i in range(1, len(site.leading)) if i != kept])
    draft.replace(site, quote("X + ATTENDED", X=site.node, ATTENDED=aligned))
    what = "nodes" if draft.on_graph else "positions"
    return f"dot-product attention over {what}{note}, added to a value"


def _adjacency(draft: Draft) -> str | None:
    """Returns the name of the adjacency matrix, if the slot has one."""
    for name, tensor in zip(draft.inputs, draft.slot.inputs, strict=False):
        if tensor.name == "adj_mat":
            return name
    return None
