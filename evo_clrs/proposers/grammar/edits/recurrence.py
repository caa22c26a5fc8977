"""Recurrent layers over the positions of a sequence."""

import ast
import random

from evo_clrs.proposers.grammar.draft import Draft, Site, quote
from evo_clrs.proposers.grammar.edits.applied import (
    exchange,
    sequences,
    sequences_at,
    signal,
    vectors,
)
from evo_clrs.proposers.grammar.edits.pooling import ends
from evo_clrs.proposers.grammar.sequences import CORES, LOOPS

_UNITS = (4, 6, 8, 12, 16, 24, 32, 48, 64)


def recurrence(draft: Draft, rng: random.Random) -> str | None:
    """Puts a recurrent layer in, changes its cell or direction, or takes one out."""
    chance = rng.random()
    existing = _loops(draft)
    if existing and chance < (0.8 if draft.crowded else 0.4):
        change = _alter(draft, existing, rng)
        if change:
            return change
    ways = [_over_sequence, _last_state, _beside]
    rng.shuffle(ways)
    for way in ways:
        change = way(draft, rng)
        if change:
            return change
    return None


def _states(
    draft: Draft, statement: ast.stmt, x: ast.expr, units: int, rng: random.Random
) -> ast.Name:
    """Inserts a recurrent layer and returns the name of its outputs at all positions."""
    cell = rng.choice(("hk.GRU", "hk.GRU", "hk.LSTM", "hk.VanillaRNN"))
    core = draft.insert(statement, "core", quote(f"{cell}({units})"))
    batch = f"{draft.inputs[0]}.shape[0]"
    loop = f"hk.dynamic_unroll(CORE, X, CORE.initial_state({batch}), time_major=False)[0]"
    return draft.insert(statement, "states", quote(loop, CORE=core, X=x))


def _run(
    draft: Draft, statement: ast.stmt, x: ast.expr, units: int, rng: random.Random
) -> ast.Name:
    """Runs a recurrent layer forwards, backwards or both ways."""
    x = x if isinstance(x, ast.Name) else draft.insert(statement, "sequence", x)
    direction = rng.choice(("ahead", "ahead", "back", "both"))
    ahead = x
    if direction != "back":
        ahead = _states(draft, statement, x, units, rng)
    if direction == "ahead":
        return ahead
    flipped = draft.insert(statement, "flipped", quote("jnp.flip(X, axis=1)", X=x))
    back = _states(draft, statement, flipped, units, rng)
    if direction == "back":
        return back
    back = draft.insert(statement, "back", quote("jnp.flip(X, axis=1)", X=back))
    both = quote("jnp.concatenate([A, B], axis=-1)", A=ahead, B=back)
    return draft.insert(statement, "states", both)


def _over_sequence(draft: Draft, rng: random.Random) -> str | None:
    """Has a recurrent layer read a sequence in the place of the sequence, or added to it."""
    sites = sequences(draft)
    rng.shuffle(sites)
    for site in sites[:3]:
        x = draft.bind(site, "sequence")
        states = _run(draft, site.statement, x, rng.choice(_UNITS), rng)
        if rng.random() < 0.7 and exchange(draft, site.statement, site.node, states):
            return "a recurrent layer over a sequence"
        term = draft.linear(states, site.width, site.statement)
        term = draft.insert(site.statement, "term", term)
        if exchange(draft, site.statement, site.node, quote("X + TERM", X=x, TERM=term)):
            return "a recurrent layer added to a sequence"
    return None


def _last_state(draft: Draft, rng: random.Random) -> str | None:
    """Has the last state of a recurrent layer stand for a sequence."""
    targets = ends(draft)
    rng.shuffle(targets)
    for site, x in targets[:3]:
        states = _run(draft, site.statement, x, rng.choice(_UNITS), rng)
        if exchange(draft, site.statement, site.node, quote("X[:, -1]", X=states)):
            return "the last state of a recurrent layer stands for a sequence"
    return None


def _beside(draft: Draft, rng: random.Random) -> str | None:
    """Adds the last state of a recurrent layer to a vector, or puts it beside it."""
    sites = vectors(draft)
    if not sites:
        return None
    site = rng.choice(sites)
    before = site.statement
    names = sequences_at(draft, before)
    x = quote(rng.choice(names)) if names and rng.random() < 0.5 else signal(draft)
    states = _run(draft, before, x, rng.choice(_UNITS), rng)
    last = draft.insert(before, "last", quote("X[:, -1]", X=states))
    return _joined(draft, site, last, rng)


def _joined(draft: Draft, site: Site, last: ast.Name, rng: random.Random) -> str:
    joined = quote("jnp.concatenate([X, LAST], axis=-1)", X=site.node, LAST=last)
    if rng.random() < 0.6 and exchange(draft, site.statement, site.node, joined):
        return "the last state of a recurrent layer beside a vector"
    term = draft.linear(last, site.width, site.statement)
    term = draft.insert(site.statement, "term", term)
    draft.replace(site, quote("X + TERM", X=site.node, TERM=term))
    return "the last state of a recurrent layer added to a vector"


def _loops(draft: Draft) -> list[tuple[ast.Call, ast.stmt]]:
    """Returns the recurrent layers that unroll a cell over an array."""
    return [
        (node, statement)
        for node, statement in draft.expressions()
        if isinstance(node, ast.Call)
        and draft.called(node) in LOOPS
        and draft.called(node).endswith("unroll")
        and len(node.args) == 3
    ]


def _alter(draft: Draft, loops: list[tuple[ast.Call, ast.stmt]], rng: random.Random) -> str | None:
    loop, statement = rng.choice(loops)
    made = draft.definition(loop.args[0])
    how = rng.random()
    if how < 0.4 and draft.called(made) in CORES and isinstance(made, ast.Call):
        cell = rng.choice([cell for cell in CORES if cell != draft.called(made)])
        made.func = quote(cell)
        return f"a recurrent layer becomes {cell[3:]}"
    if how < 0.7:
        loop.args[1] = quote("jnp.flip(X, axis=1)", X=loop.args[1])
        return "a recurrent layer runs the other way"
    for node, holder in draft.expressions():
        outputs = isinstance(node, ast.Subscript) and node.value is loop
        if outputs and exchange(draft, holder, node, loop.args[1]):
            return "a recurrent layer less"
    return None
