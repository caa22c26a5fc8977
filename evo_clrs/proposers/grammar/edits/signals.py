"""What networks read of their signals: more channels, and where a position is."""

import ast
import random

from evo_clrs.proposers.grammar.draft import Draft, quote
from evo_clrs.proposers.grammar.edits.applied import applied, exchange, rank
from evo_clrs.proposers.grammar.edits.inputs import inputs
from evo_clrs.proposers.grammar.values import Array

# More channels of a sequence [B, T, channels].
_CHANNELS = {
    "differences": "X - jnp.roll(X, 1, axis=1)",
    "positions": "jnp.zeros_like(X) + jnp.linspace(-1.0, 1.0, X.shape[1])[:, None]",
    "local means": "hk.avg_pool(X, (5, 1), (1, 1), 'SAME')",
    "local maxima": "hk.max_pool(X, (3, 1), (1, 1), 'SAME')",
    "deviations": "X - jnp.mean(X, axis=1, keepdims=True)",
    "squares": "jnp.square(X)",
}
# More entries of a vector [B, width] of signals.
_ENTRIES = {
    "differences": "X - jnp.roll(X, 1, axis=1)",
    "second differences": "2.0 * X - jnp.roll(X, 1, axis=1) - jnp.roll(X, -1, axis=1)",
    "deviations": "X - jnp.mean(X, axis=1, keepdims=True)",
    "magnitudes": "jnp.abs(X)",
    "running sums": "0.1 * jnp.cumsum(X, axis=1)",
}


def signals(draft: Draft, rng: random.Random) -> str | None:
    """Gives a layer more to read: of the signals, of positions, or of earlier values."""
    ways = [_more, _positions, inputs]
    weights = [0.2, 0.2, 2.0] if draft.crowded else [1.6, 0.7, 1.2]
    while ways:
        (way,) = rng.choices(ways, weights=weights)
        weights.pop(ways.index(way))
        ways.remove(way)
        change = way(draft, rng)
        if change:
            return change
    return None


def _more(draft: Draft, rng: random.Random) -> str | None:
    """Puts what can be told of the signals beside them, or in their place."""
    layers = [layer for layer in applied(draft) if _is_raw(draft, layer.x)]
    rng.shuffle(layers)
    for layer in layers:
        choices = _CHANNELS if rank(draft, layer.x) == 3 else _ENTRIES
        words = rng.choice(sorted(choices))
        x, statement = layer.x, layer.statement
        x = x if isinstance(x, ast.Name) else draft.insert(statement, "signal", x)
        more = draft.insert(statement, "derived", quote(choices[words], X=x))
        joined = quote("jnp.concatenate([X, MORE], axis=-1)", X=x, MORE=more)
        if words != "positions" and rng.random() < 0.3:
            joined = more
        if exchange(draft, statement, layer.x, joined):
            return f"{words} of the signals to read"
    return None


def _is_raw(draft: Draft, node: ast.expr) -> bool:
    """Whether a value holds nothing but the signals, not changed by a layer."""
    node = draft.definition(node)
    if isinstance(node, ast.Name):
        return node.id == draft.inputs[0]
    if draft.called(node) in ("jnp.expand_dims", "jnp.concatenate", "jnp.reshape"):
        assert isinstance(node, ast.Call)
        inner = node.args[0]
        parts = inner.elts if isinstance(inner, (ast.List, ast.Tuple)) else [inner]
        return all(_is_raw(draft, part) for part in parts)
    return isinstance(node, ast.Subscript) and _is_raw(draft, node.value)


def _positions(draft: Draft, rng: random.Random) -> str | None:
    """Adds a learnt number for each position and channel."""
    layers = [layer for layer in applied(draft) if rank(draft, layer.x) == 3]
    if not layers:
        return None
    layer = rng.choice(layers)
    if draft.called(getattr(layer.x, "func", layer.x)) == "hk.Bias":
        return None
    value = draft.value(layer.x)
    if not isinstance(value, Array) or not draft.is_features(value, least=1):
        return None
    new = quote("hk.Bias(bias_dims=(-2, -1))(X)", X=layer.x)
    if exchange(draft, layer.statement, layer.x, new):
        return "a learnt number for each position"
    return None
