"""Gates: sigmoid gates, and mixtures of old and new as in a GRU."""

import ast
import random

from evo_clrs.proposers.grammar.dims import ONE
from evo_clrs.proposers.grammar.draft import Draft, Site, quote


def gate(draft: Draft, rng: random.Random) -> str | None:
    """Scales a value by a sigmoid gate, mixes it with an earlier one, or removes a gate."""
    if rng.random() < (0.7 if draft.crowded else 0.1):
        removed = _remove(draft, rng)
        if removed:
            return removed
    sites = draft.inner_sites()
    if not sites:
        return None
    site = rng.choice(sites)
    value = draft.bind(site, "candidate")
    control = _control(draft, site, value, rng)
    same = [
        name
        for name, shape in draft.features(site.statement).items()
        if shape == site.shape and name != value.id
    ]
    if same and rng.random() < 0.5:
        opening = draft.insert(site.statement, "gate", quote("jax.nn.sigmoid(X)", X=control))
        old = rng.choice(same)
        draft.replace(site, quote(f"GATE * X + (1 - GATE) * {old}", GATE=opening, X=value))
        return "a gate that mixes new with earlier values, as in a GRU"
    opening = draft.insert(site.statement, "gate", quote("jax.nn.sigmoid(X)", X=control))
    draft.replace(site, quote("X * GATE", X=value, GATE=opening))
    return "a sigmoid gate"


def _control(draft: Draft, site: Site, value: ast.Name, rng: random.Random) -> ast.expr:
    """Returns the logits of a gate: one for each feature, or one for all."""
    width = ONE if rng.random() < 0.25 else site.width
    others = [
        (name, shape)
        for name, shape in draft.features(site.statement).items()
        if len(shape) <= len(site.shape)
    ]
    if others and rng.random() < 0.6:
        name, shape = rng.choice(others)
        try:
            return draft.project(name, shape, site, width, rng, "gate_logits")
        except LookupError:
            pass
    return draft.insert(site.statement, "gate_logits", draft.linear(value, width, site.statement))


def _remove(draft: Draft, rng: random.Random) -> str | None:
    gated = []
    for site in draft.sites():
        node = site.node
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            for side, other in ((node.left, node.right), (node.right, node.left)):
                is_gate = draft.called(draft.definition(side)) == "jax.nn.sigmoid"
                if is_gate and draft.value(other) == draft.value(node):
                    gated.append((site, other))
    if not gated:
        return None
    site, other = rng.choice(gated)
    draft.replace(site, other)
    return "a gate less"
