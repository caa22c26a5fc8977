"""Relations: messages from triplets, from pairs, or from single nodes."""

import ast
import random

from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.draft import NODES, Draft, Site, expand, quote
from evo_clrs.proposers.grammar.values import NONE, Items, Size

_TRIPLET_WIDTHS = (4, 8)


def relation(draft: Draft, rng: random.Random) -> str | None:
    """Puts messages of triplets, pairs or nodes into, or in the place of, a value for pairs."""
    edge = _edge_output(draft)
    if edge is not None and rng.random() < 0.3:
        return _toggle_edges(draft, edge, rng)
    sites = [s for s in draft.sites() if s.leading[1:] == (NODES, NODES)]
    sites += [s for s in draft.sites() if s.leading[1:] == (NODES,)] if rng.random() < 0.3 else []
    sites = [site for site in sites if _nodes(draft, site)]
    if not sites:
        return None
    site = rng.choice(sites)
    blocks = {s.statement for s in draft.sites() if s.leading.count(NODES) == 3}
    full = draft.crowded or len(blocks) > 2
    kinds = ["pairs", "nodes"] if full else ["triplets", "pairs", "nodes"]
    weights = [3, 2, 1][-len(kinds) :]
    (kind,) = rng.choices(kinds, weights=weights)
    message = {"triplets": _triplets, "pairs": _pairs, "nodes": _single}[kind](draft, site, rng)
    if len(site.leading) == 2:
        how = rng.choice(("max", "mean"))
        if kind != "nodes":
            message = quote(f"jnp.{how}(X, axis=1)", X=message)
        draft.replace(site, quote("X + MESSAGE", X=site.node, MESSAGE=message))
        return f"messages of {kind} added to nodes"
    if rng.random() < (1.0 if draft.crowded else 0.6):
        if kind == "nodes":
            count = quote("X.shape[1]", X=_nodes(draft, site)[0])
            message = quote(f"jnp.repeat(X, N, axis={_one(message)})", X=message, N=count)
        draft.replace(site, message)
        return f"messages of {kind} in the place of a value for pairs"
    draft.replace(site, quote("X + MESSAGE", X=site.node, MESSAGE=message))
    return f"messages of {kind} added to pairs"


def _one(message: ast.expr) -> int:
    """Returns the axis that an `expand_dims` inserted."""
    assert isinstance(message, ast.Call)
    axis = message.keywords[0].value
    assert isinstance(axis, ast.Constant) and isinstance(axis.value, int)
    return axis.value


def _nodes(draft: Draft, site: Site) -> list[str]:
    """Returns names of node features known at a site."""
    features = draft.features(site.statement)
    return sorted(name for name, s in features.items() if s[1:-1] == (NODES,))


def _known(draft: Draft, site: Site, rank: int) -> list[str]:
    """Returns names of the slot's inputs of this rank, e.g. 4 for edge features."""
    features = draft.features(site.statement)
    return [name for name in draft.inputs if name in features and len(features[name]) == rank]


def _term(draft: Draft, site: Site, name: str, width: Dim, axes: tuple[int, ...]) -> ast.expr:
    projection = draft.linear(quote(name), width, site.statement)
    hint = {2: "graph_term", 3: "node_term", 4: "edge_term"}
    rank = len(draft.features(site.statement)[name])
    return expand(draft.insert(site.statement, hint[rank], projection), axes)


def _total(draft: Draft, site: Site, hint: str, terms: list[ast.expr]) -> ast.expr:
    total = terms[0]
    for term in terms[1:]:
        total = quote("A + B", A=total, B=term)
    return draft.insert(site.statement, hint, total)


def _triplets(draft: Draft, site: Site, rng: random.Random) -> ast.expr:
    width = _narrow(draft, site, rng)
    node = rng.choice(_nodes(draft, site))
    terms = [_term(draft, site, node, width, axes) for axes in ((2, 3), (1, 3), (1, 2))]
    for name in _known(draft, site, 4)[:1]:
        if rng.random() < 0.7:
            terms += [_term(draft, site, name, width, (axis,)) for axis in (3, 2, 1)]
    for name in _known(draft, site, 2)[:1]:
        if rng.random() < 0.5:
            terms.append(_term(draft, site, name, width, (1, 2, 3)))
    triplets = _total(draft, site, "triplets", terms)
    how = rng.choice(("max", "mean", "max"))
    if how == "mean":
        triplets = draft.insert(site.statement, "activated", quote("jax.nn.relu(X)", X=triplets))
    reduced = quote(f"jnp.{how}(X, axis={rng.choice((1, 2, 3))})", X=triplets)
    reduced = draft.insert(site.statement, "reduced", reduced)
    return draft.insert(
        site.statement, "message", draft.linear(reduced, site.width, site.statement)
    )


def _narrow(draft: Draft, site: Site, rng: random.Random) -> Dim:
    """Returns a width for triplets: the slot's own where it has one, else a small number."""
    for name, symbol in draft.slot.constants:
        if symbol == "K" and draft.scope(site.statement).get(name) == Size(Dim.of("K")):
            return Dim.of("K")
    return Dim.of(rng.choice(_TRIPLET_WIDTHS))


def _pairs(draft: Draft, site: Site, rng: random.Random) -> ast.expr:
    nodes = _nodes(draft, site)
    senders = [_term(draft, site, rng.choice(nodes), site.width, (axis,)) for axis in (1, 2)]
    terms = (
        [quote("A * jnp.tanh(B)", A=senders[0], B=senders[1])] if rng.random() < 0.3 else senders
    )
    for name in _known(draft, site, 4)[:1]:
        if rng.random() < 0.7:
            terms.append(_term(draft, site, name, site.width, ()))
    for name in _known(draft, site, 2)[:1]:
        if rng.random() < 0.4:
            terms.append(_term(draft, site, name, site.width, (1, 2)))
    pairs = _total(draft, site, "pairs", terms)
    if rng.random() < 0.4:
        pairs = draft.linear(quote("jax.nn.relu(X)", X=pairs), site.width, site.statement)
        pairs = draft.insert(site.statement, "message", pairs)
    return pairs


def _single(draft: Draft, site: Site, rng: random.Random) -> ast.expr:
    name = rng.choice(_nodes(draft, site))
    axes = (rng.choice((1, 2)),) if len(site.leading) == 3 else ()
    return _term(draft, site, name, site.width, axes)


def _edge_output(draft: Draft) -> ast.Tuple | None:
    """Returns the tuple that the program returns, if an output of the slot is optional."""
    last = draft.body[-1]
    if not isinstance(last, ast.Return) or not isinstance(last.value, ast.Tuple):
        return None
    return last.value if draft.slot.outputs[-1].optional else None


def _toggle_edges(draft: Draft, outputs: ast.Tuple, rng: random.Random) -> str | None:
    """Gives edge embeddings to a program without, or takes them away."""
    value = draft.value(outputs)
    if not isinstance(value, Items):
        return None
    if value.items[-1] != NONE:
        outputs.elts[-1] = ast.Constant(None)
        return "no edge embeddings"
    last = draft.body[-1]
    width = (Dim.of("B"), NODES, NODES, Dim.of("H"))
    site = Site(outputs.elts[-1], last, width)
    if not _nodes(draft, site):
        return None
    kind = rng.choice(("triplets", "pairs"))
    message = (_triplets if kind == "triplets" else _pairs)(draft, site, rng)
    edge = draft.insert(last, "edge", quote("jax.nn.relu(X)", X=message))
    outputs.elts[-1] = edge
    return f"edge embeddings from {kind}"
