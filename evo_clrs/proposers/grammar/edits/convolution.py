"""Convolutions: in the place of dense layers, in front of them, or dense layers in their place."""

import ast
import copy
import random

from evo_clrs.proposers.grammar.draft import Draft, Site, quote
from evo_clrs.proposers.grammar.edits.applied import (
    WIDTHS,
    applied,
    exchange,
    rank,
    sequences_at,
    signal,
    vectors,
)
from evo_clrs.proposers.grammar.edits.stacking import activated
from evo_clrs.proposers.grammar.values import Array

KERNELS = (3, 3, 5, 7, 9)
_CHANNELS = tuple(width for width in WIDTHS if width <= 96)


def convolution(draft: Draft, rng: random.Random) -> str | None:
    """Makes a layer convolve that did not, or otherwise, or puts a convolution before a vector."""
    ways = [_dense_to_conv, _in_front, _beside, _separate, _conv_to_dense]
    weights = [2.0, 2.0, 2.0, 1.0, 1.0]
    if draft.crowded:
        weights = [2.0, 1.0, 0.3, 0.3, 3.0]
    while ways:
        (way,) = rng.choices(ways, weights=weights)
        weights.pop(ways.index(way))
        ways.remove(way)
        change = way(draft, rng)
        if change:
            return change
    return None


def convolved(
    draft: Draft, statement: ast.stmt, x: ast.expr, count: int, rng: random.Random
) -> ast.Name:
    """Inserts a stack of convolutions over a sequence and returns the name of what comes out."""
    for i in range(count):
        stride = rng.choice(("", ", stride=2", ", stride=2" if i else ", stride=3"))
        layer = f"hk.Conv1D({rng.choice(_CHANNELS)}, {rng.choice(KERNELS)}{stride})(X)"
        x = draft.insert(statement, "convolved", activated(quote(layer, X=x), rng))
    assert isinstance(x, ast.Name)
    return x


def pooled(x: ast.Name, rng: random.Random) -> ast.expr:
    """Returns a vector of a sequence: all of it, or its mean or maximum."""
    how = rng.choice(("hk.Flatten()(X)", "jnp.mean(X, axis=1)", "jnp.max(X, axis=1)"))
    return quote(how, X=x)


def _source(draft: Draft, statement: ast.stmt, rng: random.Random) -> ast.expr:
    names = sequences_at(draft, statement)
    return quote(rng.choice(names)) if names and rng.random() < 0.6 else signal(draft)


def _dense_to_conv(draft: Draft, rng: random.Random) -> str | None:
    """Widens the view of a layer that looks at each position alone."""
    layers = [layer for layer in applied(draft, ["hk.Linear"]) if rank(draft, layer.x) == 3]
    rng.shuffle(layers)
    for layer in layers:
        size = layer.setting("output_size")
        if size is not None:
            new = quote(f"hk.Conv1D(SIZE, {rng.choice(KERNELS)})(X)", SIZE=size, X=layer.x)
            if exchange(draft, layer.statement, layer.node, new):
                return "a dense layer becomes a convolution"
    return None


def _in_front(draft: Draft, rng: random.Random) -> str | None:
    """Has a dense layer read convolved signals instead of the signals themselves."""
    layers = [
        layer
        for layer in applied(draft, ["hk.Linear", "hk.nets.MLP"])
        if isinstance(layer.x, ast.Name) and layer.x.id == draft.inputs[0]
    ]
    if not layers:
        return None
    layer = rng.choice(layers)
    x = convolved(draft, layer.statement, signal(draft), rng.choice((1, 1, 2, 3)), rng)
    if exchange(draft, layer.statement, layer.x, pooled(x, rng)):
        return "a dense layer reads convolved signals"
    return None


def _beside(draft: Draft, rng: random.Random) -> str | None:
    """Adds a convolved sequence to a vector, or puts it beside or in the place of it."""
    sites = vectors(draft)
    if not sites:
        return None
    site = rng.choice(sites)
    x = _source(draft, site.statement, rng)
    x = convolved(draft, site.statement, x, rng.choice((1, 1, 2)), rng)
    vector = draft.insert(site.statement, "pooled", pooled(x, rng))
    how = rng.random()
    if how < 0.4:
        joined = quote("jnp.concatenate([X, PART], axis=-1)", X=site.node, PART=vector)
        if exchange(draft, site.statement, site.node, joined):
            return "a convolved sequence beside a vector"
    if how < 0.8 and exchange(draft, site.statement, site.node, vector):
        return "a convolved sequence in the place of a vector"
    term = draft.insert(site.statement, "term", draft.linear(vector, site.width, site.statement))
    draft.replace(site, quote("X + TERM", X=site.node, TERM=term))
    return "a convolved sequence added to a vector"


def _separate(draft: Draft, rng: random.Random) -> str | None:
    """Splits a convolution into one for each channel and a layer over channels."""
    layers = applied(draft, ["hk.Conv1D"])
    rng.shuffle(layers)
    for layer in layers:
        value = draft.value(layer.x)
        if not isinstance(value, Array) or value.shape[-1].number == 1:
            continue
        made = copy.deepcopy(layer.made)
        made.func = quote("hk.DepthwiseConv1D")
        for keyword in made.keywords:
            # What hk.Conv1D takes for its one axis, this takes in a list.
            if keyword.arg == "padding" and isinstance(keyword.value, ast.Tuple):
                keyword.value = ast.List(elts=[keyword.value], ctx=ast.Load())
        size, made.args[0] = made.args[0], ast.Constant(1)
        each = ast.Call(func=made, args=[copy.deepcopy(layer.x)], keywords=[])
        each_name = draft.insert(layer.statement, "each", each)
        new = quote("hk.Linear(SIZE)(X)", SIZE=size, X=each_name)
        if exchange(draft, layer.statement, layer.node, new):
            return "a convolution becomes a depthwise one and a dense layer"
    return None


def _conv_to_dense(draft: Draft, rng: random.Random) -> str | None:
    """Has a layer look at each position alone, or has a vector come from a dense layer."""
    if rng.random() < 0.5:
        layers = applied(draft, ["hk.Conv1D"])
        rng.shuffle(layers)
        for layer in layers:
            size = layer.setting("output_channels")
            if size is not None:
                new = quote("hk.Linear(SIZE)(X)", SIZE=size, X=layer.x)
                if exchange(draft, layer.statement, layer.node, new):
                    return "a convolution becomes a dense layer at each position"
    sites = [site for site in vectors(draft) if _comes_of_sequence(draft, site)]
    if not sites:
        return None
    site = rng.choice(sites)
    dense = activated(quote(f"hk.Linear({rng.choice(WIDTHS)})({draft.inputs[0]})"), rng)
    if exchange(draft, site.statement, site.node, dense):
        return "a dense layer on the signals in the place of a pooled sequence"
    return None


def _comes_of_sequence(draft: Draft, site: Site) -> bool:
    return (
        isinstance(site.node, ast.Call)
        and bool(site.node.args)
        and rank(draft, site.node.args[0]) == 3
    )
