"""Inputs: which of node, edge, graph and hidden features enter where."""

import ast
import random

from evo_clrs.proposers.grammar.clean import sum_terms
from evo_clrs.proposers.grammar.draft import Draft, Site, quote
from evo_clrs.proposers.grammar.values import Array


def inputs(draft: Draft, rng: random.Random) -> str | None:
    """Adds a projection of features to a value, drops a term, or joins features before a layer."""
    choices = [(_add, 0.5), (_drop, 0.35), (_join, 0.15)]
    if draft.crowded:
        choices = [(_drop, 1.0)]
    while choices:
        (choice,) = rng.choices(choices, weights=[weight for _, weight in choices])
        choices.remove(choice)
        result = choice[0](draft, rng)
        if result:
            return result
    return None


def _candidates(draft: Draft, site: Site, rng: random.Random) -> list[tuple[str, str]]:
    """Returns names of features for a site, the slot's inputs first, with words for them."""
    known = draft.features(site.statement)
    slot_inputs = [
        (name, tensor.name)
        for name, tensor in zip(draft.inputs, draft.slot.inputs, strict=False)
        if name in known
    ]
    others = [(name, "an earlier value") for name in known if name not in draft.inputs]
    rng.shuffle(slot_inputs)
    rng.shuffle(others)
    return others + slot_inputs if rng.random() < 0.3 else slot_inputs + others


def _add(draft: Draft, rng: random.Random) -> str | None:
    sites = draft.sites()
    rng.shuffle(sites)
    for site in sites:
        for name, about in _candidates(draft, site, rng):
            shape = draft.features(site.statement)[name]
            if len(shape) > len(site.shape) + 1:
                continue
            try:
                term = draft.project(name, shape, site, site.width, rng, "read")
            except LookupError:
                continue
            draft.replace(site, quote("X + TERM", X=site.node, TERM=term))
            return f"a projection of {about} more in a sum"
    return None


def _drop(draft: Draft, rng: random.Random) -> str | None:
    options: list[tuple[Site, ast.expr, ast.expr]] = []
    for site in draft.sites():
        if isinstance(site.node, ast.BinOp) and isinstance(site.node.op, ast.Add):
            for term in sum_terms(site.node):
                options.append((site, term, site.node))
        elif draft.called(site.node) == "jnp.concatenate" and isinstance(site.node, ast.Call):
            parts = site.node.args[0]
            if isinstance(parts, (ast.List, ast.Tuple)) and len(parts.elts) > 1:
                options += [(site, part, parts) for part in parts.elts]
    rng.shuffle(options)
    for site, part, holder in options:
        if isinstance(holder, (ast.List, ast.Tuple)):
            # Layers take their input width from the input, so one part less still fits there.
            holder.elts.remove(part)
            return "one part less in a concatenation"
        rest = [term for term in sum_terms(holder) if term is not part]
        value = draft.value(holder)
        total = rest[0]
        for term in rest[1:]:
            total = quote("A + B", A=total, B=term)
        if not _covers(draft, rest, value):
            continue
        draft.replace(site, total)
        return "one term less in a sum"
    return None


def _covers(draft: Draft, terms: list[ast.expr], whole: object) -> bool:
    """Whether terms still broadcast to the shape that the sum had."""
    shapes = [value.shape for term in terms if isinstance(value := draft.value(term), Array)]
    if not isinstance(whole, Array) or len(shapes) < len(terms):
        return False
    return all(
        any(
            len(shape) >= len(whole.shape) - axis and shape[axis - len(whole.shape)] == dim
            for shape in shapes
        )
        for axis, dim in enumerate(whole.shape)
    )


def _join(draft: Draft, rng: random.Random) -> str | None:
    """Puts features beside the input of a layer."""
    read = {
        id(node.args[0])
        for node, _ in draft.expressions()
        if isinstance(node, ast.Call)
        and node.args
        and draft.called(node.func) in ("hk.Linear", "hk.nets.MLP")
    }
    layered = [site for site in draft.sites(names=True) if id(site.node) in read]
    rng.shuffle(layered)
    for site in layered:
        names = {n.id for n in ast.walk(draft.definition(site.node)) if isinstance(n, ast.Name)}
        for name, about in _candidates(draft, site, rng):
            shape = draft.features(site.statement)[name]
            if shape[:-1] == site.leading and name not in names and name != _id(site.node):
                joined = quote(f"jnp.concatenate([X, {name}], axis=-1)", X=site.node)
                draft.replace(site, draft.insert(site.statement, "joined", joined))
                return f"{about} beside the input of a layer"
    return None


def _id(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""
