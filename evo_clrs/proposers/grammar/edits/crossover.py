"""Crossover: a sub-expression of another parent, with all that it depends on."""

import ast
import copy
import random

from evo_clrs.proposers.grammar.clean import loaded, stored
from evo_clrs.proposers.grammar.draft import Draft, Site, quote
from evo_clrs.proposers.grammar.prepare import touched
from evo_clrs.proposers.grammar.values import Instance, Local, Size


def crossover(draft: Draft, rng: random.Random) -> str | None:
    """Puts a sub-expression of another parent where the shape is the same."""
    if not draft.mates:
        return None
    mate = rng.choice(draft.mates)
    donors = [site for site in mate.sites() if _has_layer(mate, site)]
    sites = draft.sites()
    rng.shuffle(donors)
    rng.shuffle(sites)
    pairs = [(donor, site) for donor in donors for site in sites if donor.leading == site.leading]
    exact = [pair for pair in pairs if pair[0].shape == pair[1].shape]
    if exact and rng.random() < 0.85:
        pairs = exact
    for donor, site in rng.sample(pairs, min(len(pairs), 6)):
        result = _transplant(draft, mate, donor, site, rng)
        if result:
            return result
    return None


def _has_layer(mate: Draft, site: Site) -> bool:
    """Whether a part computes more than an alignment of an input."""
    return not isinstance(site.node, ast.Name) and mate.called(site.node) != "jnp.expand_dims"


def _transplant(
    draft: Draft, mate: Draft, donor: Site, site: Site, rng: random.Random
) -> str | None:
    needed = _dependencies(mate, donor)
    if needed is None or len(needed) > 30:
        return None
    try:
        part, statements = _translated(draft, mate, donor, site, needed)
        if donor.width != site.width:
            part = draft.linear(part, site.width, site.statement)
    except LookupError:
        return None
    position = draft.body.index(site.statement)
    draft.body[position:position] = statements
    added = rng.random() < 0.3 and not draft.crowded
    draft.replace(site, quote("X + PART", X=site.node, PART=part) if added else part)
    return f"a part of another parent {'added to' if added else 'in the place of'} a value"


def _dependencies(mate: Draft, donor: Site) -> list[ast.stmt] | None:
    """Returns the statements that an expression needs, None if they are not plain ones."""
    needed: list[ast.stmt] = []
    names = loaded([donor.node])
    for statement in reversed(mate.body[: mate.body.index(donor.statement)]):
        if touched(statement) & names:
            if not isinstance(statement, ast.Assign):
                return None
            needed.insert(0, statement)
            names |= loaded([statement])
    return needed


def _translated(
    draft: Draft, mate: Draft, donor: Site, site: Site, needed: list[ast.stmt]
) -> tuple[ast.expr, list[ast.stmt]]:
    """Returns an expression and its statements in the names of another program.

    Raises:
      LookupError: something it reads has no counterpart.
    """
    names = dict(zip(mate.inputs, draft.inputs, strict=True))
    for statement in needed:
        for name in sorted(stored(statement) - {"_"}):
            names[name] = draft.fresh(name)
    scope = mate.scope(donor.statement)
    libraries = set(draft.slot.imports.values())

    class Translate(ast.NodeTransformer):
        def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
            owner = scope.get(node.value.id) if isinstance(node.value, ast.Name) else None
            if not isinstance(owner, Instance):
                self.generic_visit(node)
                return node
            value = owner.attributes.get(node.attr)
            if not isinstance(value, Size):
                raise LookupError(node.attr)
            return draft.size(value.dim, site.statement)

        def visit_Name(self, node: ast.Name) -> ast.expr:
            if node.id == "_" or node.id in libraries:
                return node
            value = scope.get(node.id)
            if node.id not in names and isinstance(value, Size):
                return draft.size(value.dim, site.statement)
            if node.id not in names and isinstance(value, Local):
                names[node.id] = _helper(draft, mate, node.id)
            if node.id not in names:
                raise LookupError(node.id)
            return ast.Name(id=names[node.id], ctx=node.ctx)

    statements = [Translate().visit(copy.deepcopy(statement)) for statement in needed]
    part = Translate().visit(copy.deepcopy(donor.node))
    return part, statements


def _helper(draft: Draft, mate: Draft, name: str) -> str:
    """Returns the name of another program's function in this one, where it is put if it lacks.

    Raises:
      LookupError: it is no function of the top level, or reads more than libraries.
    """
    found = [d for d in mate.tree.body if isinstance(d, ast.FunctionDef) and d.name == name]
    if not found:
        raise LookupError(name)
    bound = {node.arg for node in ast.walk(found[0]) if isinstance(node, ast.arg)}
    bound |= {node.name for node in ast.walk(found[0]) if isinstance(node, ast.FunctionDef)}
    if loaded(found) - stored(found[0]) - bound - set(draft.slot.imports.values()):
        raise LookupError(name)
    text = ast.unparse(found[0])
    for definition in draft.tree.body:
        if isinstance(definition, ast.FunctionDef) and ast.unparse(definition) == text:
            return name
    helper = copy.deepcopy(found[0])
    helper.name = draft.fresh(name)
    draft.tree.body.insert(0, helper)
    return helper.name
