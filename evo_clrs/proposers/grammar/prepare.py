"""Brings a parent into the form that edits expect: each local name assigned once."""

import ast

from evo_clrs import program, slots
from evo_clrs.proposers.grammar.shapes import main_function

COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.FunctionDef, ast.ClassDef)
_INNER = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def prepare(source: str, slot: slots.Slot) -> ast.Module:
    """Returns the tree of a program, locals of its main function assigned once where possible.

    Raises:
      ValueError: it does not parse, see `program.parse`.
      ShapeError: it lacks the slot's definition.
    """
    tree = program.parse(source)
    main = main_function(tree, slot)
    main.body = [_plain(statement) for statement in main.body]
    _assign_once(main)
    return tree


def touched(statement: ast.stmt) -> set[str]:
    """Returns the names that a statement binds, or whose objects it may change."""
    names = set()
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names.add(name)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
                names.add(name)
    return names


def _plain(statement: ast.stmt) -> ast.stmt:
    """Returns `x += y` as `x = x + y` and `x: T = y` as `x = y`."""
    match statement:
        case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
            target = ast.Name(id=name, ctx=ast.Store())
            total = ast.BinOp(left=ast.Name(id=name, ctx=ast.Load()), op=op, right=value)
            return ast.Assign(targets=[target], value=total)
        case ast.AnnAssign(target=ast.Name(), value=value) if value is not None:
            return ast.Assign(targets=[statement.target], value=value)
    return statement


def _assign_once(main: ast.FunctionDef) -> None:
    fixed = set()  # names that inner blocks also bind keep their names
    for statement in main.body:
        for node in ast.walk(statement):
            if isinstance(statement, COMPOUND) or isinstance(node, _INNER):
                fixed |= _bound(node)
    taken = {node.id for node in ast.walk(main) if isinstance(node, ast.Name)}
    taken |= {node.arg for node in ast.walk(main) if isinstance(node, ast.arg)}
    assigned = {node.arg for node in ast.walk(main.args) if isinstance(node, ast.arg)}
    current: dict[str, str] = {}
    for statement in main.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                node.id = current.get(node.id, node.id)
        if not isinstance(statement, ast.Assign):
            continue
        for target in statement.targets:
            for node in ast.walk(target):
                if not isinstance(node, ast.Name) or node.id in fixed or node.id == "_":
                    continue
                if node.id in assigned:
                    name = _fresh(node.id, taken)
                    current[node.id] = node.id = name
                else:
                    current.pop(node.id, None)
                assigned.add(node.id)


def _bound(node: ast.AST) -> set[str]:
    bound = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            bound.add(child.id)
        if isinstance(child, ast.arg):
            bound.add(child.arg)
    return bound


def _fresh(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    taken.add(f"{name}_{number}")
    return f"{name}_{number}"
