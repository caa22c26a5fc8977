"""Depths of networks: layers put in anywhere, layers taken out, parts skipped."""

import ast
import random

from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.draft import Draft, Site, quote
from evo_clrs.proposers.grammar.edits.activation import CHOICES
from evo_clrs.proposers.grammar.edits.applied import (
    WIDTHS,
    applied,
    exchange,
    inputs_of_layers,
    parents,
    rank,
    with_activation,
)
from evo_clrs.proposers.grammar.edits.depth import depth
from evo_clrs.proposers.grammar.values import Layer

_TRIES = 6
_KERNELS = (1, 3, 3, 5)


def stacking(draft: Draft, rng: random.Random) -> str | None:
    """Puts one to four layers in, takes one out, or skips a part of the network."""
    fewer = [_remove, _skip]
    rng.shuffle(fewer)
    if rng.random() < (0.9 if draft.crowded else 0.35):
        for way in fewer:
            change = way(draft, rng)
            if change:
                return change
    if rng.random() < 0.1:
        change = depth(draft, rng)
        if change:
            return change
    return _insert(draft, rng)


def activated(x: ast.expr, rng: random.Random) -> ast.expr:
    """Returns an array under an activation function, most often the usual one."""
    name = "jax.nn.relu" if rng.random() < 0.6 else rng.choice(CHOICES)
    return quote(f"{name}(X)", X=x)


def layer_for(rank: int, size: ast.expr, x: ast.expr, rng: random.Random) -> ast.expr:
    """Returns a new layer on features: dense on vectors, most often a convolution on sequences."""
    if rank == 3 and rng.random() < 0.8:
        return quote(f"hk.Conv1D(SIZE, {rng.choice(_KERNELS)})(X)", SIZE=size, X=x)
    return quote("hk.Linear(SIZE)(X)", SIZE=size, X=x)


def _insert(draft: Draft, rng: random.Random) -> str | None:
    sites = [*draft.inner_sites(), *inputs_of_layers(draft)]
    if not sites:
        return None
    site = rng.choice(sites)
    (count,) = rng.choices((1, 2, 3, 4), weights=(8, 4, 2, 1))
    widths = [Dim.of(rng.choice(WIDTHS)) for _ in range(count)]
    if rng.random() < 0.4:
        widths = [widths[0]] * count
    number = site.width.number
    if number is not None and number > 1 and rng.random() < 0.4:
        widths = [site.width] * count
    x, have = site.node, site.width
    for width in widths[:-1]:
        x = draft.insert(site.statement, "hidden", _layer(draft, site, x, have, width, rng))
        have = width
    for width in (widths[-1], site.width):
        if exchange(draft, site.statement, site.node, _layer(draft, site, x, have, width, rng)):
            return f"{count} more {'layer' if count == 1 else 'layers'} in a row"
    return None


def _layer(
    draft: Draft, site: Site, x: ast.expr, have: Dim, width: Dim, rng: random.Random
) -> ast.expr:
    """Returns a layer with its activation, before or after it as what is there suggests."""
    size = draft.size(width, site.statement)
    bare = isinstance(x, ast.Call) and isinstance(draft.value(x.func), Layer)
    if bare:
        x = draft.insert(site.statement, "hidden", activated(x, rng))
        new = layer_for(len(site.shape), size, x, rng)
    else:
        x = x if isinstance(x, ast.Name) else draft.insert(site.statement, "hidden", x)
        new = activated(layer_for(len(site.shape), size, x, rng), rng)
    if have == width and rng.random() < 0.25:
        return quote("X + NEW", X=x, NEW=new)
    return new


def _remove(draft: Draft, rng: random.Random) -> str | None:
    layers = applied(draft)
    rng.shuffle(layers)
    for layer in layers[:_TRIES]:
        whole = with_activation(draft, layer)
        outer = parents(layer.statement).get(id(whole))
        if isinstance(outer, ast.BinOp) and isinstance(outer.op, ast.Add):
            # What would be left of a residual layer is twice the same.
            other = outer.left if whole is outer.right else outer.right
            if ast.unparse(other) == ast.unparse(layer.x):
                whole = outer
        if not draft.is_output(whole) and exchange(draft, layer.statement, whole, layer.x):
            return "a layer less"
    return None


def _skip(draft: Draft, rng: random.Random) -> str | None:
    """Has a layer read an earlier value, so that what lies between goes."""
    layers = applied(draft)
    rng.shuffle(layers)
    for layer in layers[:_TRIES]:
        count = rank(draft, layer.x)
        earlier = [
            name
            for name, shape in draft.features(layer.statement).items()
            if len(shape) == count and ast.unparse(layer.x) != name
        ]
        if earlier:
            name = rng.choice(earlier)
            if exchange(draft, layer.statement, layer.x, quote(name)):
                return "a layer reads an earlier value"
    return None
