"""Cleans a tree after edits: no dead code, no copies, consistent names, no overlong lines."""

import ast
import copy
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from evo_clrs import slots
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.prepare import COMPOUND
from evo_clrs.proposers.grammar.shapes import main_function
from evo_clrs.proposers.grammar.values import Array

LINE = 100
INDENT = 8
# Names for what a call gives when it has to be given a name.
_HINTS = {"Linear": "projected", "MLP": "mixed", "LayerNorm": "normed", "RMSNorm": "normed"}


def clean(tree: ast.Module, slot: slots.Slot) -> ast.Module:
    """Returns the tree without what does not matter and with names in order; changes it in place.

    Raises:
      ShapeError: the program is sure to fail when traced.
    """
    main = main_function(tree, slot)
    _drop_docstrings(tree)
    _drop_copies(main)
    _drop_dead(main)
    _drop_unused_definitions(tree, slot)
    _shorten(tree, slot)
    _rename(main)
    _drop_unused_attributes(tree, slot)
    _name_module(tree, slot)
    _fix_imports(tree, slot)
    return ast.fix_missing_locations(tree)


def normal_form(tree: ast.Module) -> str:
    """Returns a text that is equal for trees that differ in docstrings and local names only."""
    names: dict[str, str] = {}
    parts: list[str] = []

    def add(node: object) -> None:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                names.setdefault(node.id, f"_{len(names)}")
            parts.append(names.get(node.id, node.id))
        elif isinstance(node, (ast.Import, ast.ImportFrom)) or _is_docstring(node):
            return
        elif isinstance(node, ast.AST):
            if isinstance(node, (ast.FunctionDef, ast.Lambda)):
                names.clear()
            parts.append(type(node).__name__ + "(")
            # What is bound is named before what reads it; both orders are fixed by the tree.
            for _, value in sorted(ast.iter_fields(node), key=lambda field: field[0] != "targets"):
                add(value)
            parts.append(")")
        elif isinstance(node, list):
            for entry in node:
                add(entry)
        else:
            parts.append(f"{node!r},")

    add(tree)
    return "".join(parts)


def loaded(nodes: Iterable[ast.AST]) -> set[str]:
    """Returns the names that are read anywhere in these trees."""
    return {
        node.id
        for root in nodes
        for node in ast.walk(root)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)
    }


def stored(statement: ast.stmt) -> set[str]:
    """Returns the names that a statement binds."""
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _is_docstring(statement: object) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _drop_docstrings(tree: ast.Module) -> None:
    """Removes docstrings, which speak of an ancestor."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            kept = [statement for statement in node.body if not _is_docstring(statement)]
            node.body = kept or [ast.Pass()]


def _plain_target(statement: ast.stmt) -> str | None:
    """Returns the name of a statement `name = value`, else None."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return None


def _drop_copies(main: ast.FunctionDef) -> None:
    """Replaces what is assigned as a mere copy of another name by that name."""
    inner = {
        name
        for statement in main.body
        if isinstance(statement, COMPOUND)
        for name in stored(statement)
    }
    for statement in list(main.body):
        name = _plain_target(statement)
        if name is None or name in inner or not isinstance(statement, ast.Assign):
            continue
        if not isinstance(statement.value, ast.Name) or statement.value.id in inner:
            continue
        main.body.remove(statement)
        for node in ast.walk(main):
            if isinstance(node, ast.Name) and node.id == name:
                node.id = statement.value.id


def _drop_dead(main: ast.FunctionDef) -> None:
    """Removes assignments whose names nothing reads."""
    reads = {statement: loaded([statement]) for statement in main.body}
    counts = Counter(name for names in reads.values() for name in names)
    changed = True
    while changed:
        changed = False
        for statement in reversed(list(main.body)):
            own = reads[statement]
            names = stored(statement)
            unread = all(counts[name] - (name in own) == 0 for name in names)
            if isinstance(statement, ast.Assign) and unread and not _sets_attribute(statement):
                main.body.remove(statement)
                counts.subtract(own)
                changed = True
            else:
                _blank_unused(statement, {name for name in names if counts[name]})


def _sets_attribute(statement: ast.Assign) -> bool:
    return any(
        isinstance(node, ast.Attribute) for target in statement.targets for node in ast.walk(target)
    )


def _blank_unused(statement: ast.stmt, read: set[str]) -> None:
    """Writes `_` for unread names of `a, b, c = ...`."""
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple):
        for element in statement.targets[0].elts:
            if isinstance(element, ast.Name) and element.id not in read:
                element.id = "_"


def _drop_unused_definitions(tree: ast.Module, slot: slots.Slot) -> None:
    while True:
        kept = []
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name != slot.definition:
                if node.name not in loaded(other for other in tree.body if other is not node):
                    continue
            elif isinstance(node, ast.Assign) and not stored(node) & loaded(
                other for other in tree.body if other is not node
            ):
                continue
            kept.append(node)
        if len(kept) == len(tree.body):
            return
        tree.body = kept


def _drop_unused_attributes(tree: ast.Module, slot: slots.Slot) -> None:
    """Removes `self.x = ...` from the constructor where nothing reads `self.x`."""
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    for definition in tree.body:
        if isinstance(definition, ast.ClassDef) and definition.name == slot.definition:
            for method in definition.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    method.body = [s for s in method.body if not _sets_unread(s, read)]


def _name_module(tree: ast.Module, slot: slots.Slot) -> None:
    """Gives the Haiku module the slot's name by default, not that of an ancestor."""
    for definition in tree.body:
        if isinstance(definition, ast.ClassDef) and definition.name == slot.definition:
            for method in definition.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    arguments = method.args.args[
                        len(method.args.args) - len(method.args.defaults) :
                    ]
                    for i, argument in enumerate(arguments):
                        if argument.arg == "name":
                            method.args.defaults[i] = ast.Constant(slot.name)


def _sets_unread(statement: ast.stmt, read: set[str]) -> bool:
    match statement:
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)]):
            return name not in read
    return False


def _fix_imports(tree: ast.Module, slot: slots.Slot) -> None:
    """Makes the imports those that the program reads, in the usual order."""
    rest = [s for s in tree.body if not isinstance(s, (ast.Import, ast.ImportFrom))]
    read = loaded(rest)
    imports: list[ast.stmt] = []
    for module, alias in sorted(slot.imports.items()):
        if alias in read:
            name = ast.alias(name=module, asname=None if alias == module else alias)
            imports.append(ast.Import(names=[name]))
    tree.body = imports + rest


def _shorten(tree: ast.Module, slot: slots.Slot) -> None:
    """Gives names to parts of statements that do not fit on a line."""
    main = main_function(tree, slot)
    for _ in range(40):
        long = [statement for statement in main.body if _is_long(statement)]
        if not long:
            return
        draft = Draft(tree, slot)
        if not any([_hoist(draft, statement) for statement in long]):
            return


def _is_long(statement: ast.stmt) -> bool:
    if not isinstance(statement, (ast.Assign, ast.Return)) or statement.value is None:
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [ast.Name("return")]
    length = sum(_length(target) + 3 for target in targets) + _length(statement.value)
    return length + INDENT > LINE and not _sum_fits(statement.value)


def _hoist(draft: Draft, statement: ast.stmt) -> bool:
    """Names the largest part of a statement that fits on a line of its own."""
    if not isinstance(statement, (ast.Assign, ast.Return)):
        return False
    parts = [
        (len(ast.unparse(node)), node)
        for node, holder in draft.expressions()
        if holder is statement
        and node is not statement.value
        and isinstance(draft.value(node), Array)
        and not isinstance(node, ast.Name)
    ]
    fitting = [part for part in parts if part[0] + INDENT + 12 <= LINE]
    if not fitting:
        return False
    _, node = max(fitting, key=lambda part: part[0])
    name = draft.insert(statement, _hint(node), copy.deepcopy(node))
    draft.substitute(statement, node, name)
    return True


def _length(node: ast.expr) -> int:
    return len(ast.unparse(node))


def sum_terms(node: ast.expr) -> list[ast.expr]:
    """Returns the terms of a sum written as `a + b + c`, else the expression itself."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*sum_terms(node.left), node.right]
    return [node]


def _sum_fits(node: ast.expr) -> bool:
    terms = sum_terms(node)
    return len(terms) > 1 and all(_length(term) + INDENT + 8 <= LINE for term in terms)


def _hint(node: ast.expr) -> str:
    match node:
        case ast.BinOp(op=ast.Add()):
            return "total"
        case ast.BinOp(op=ast.Mult()):
            return "product"
        case ast.Call(func=ast.Call(func=ast.Attribute(attr=name))):
            return _HINTS.get(name, "part")
    return "part"


def _rename(main: ast.FunctionDef) -> None:
    """Numbers local names of one stem in order: `msg_4`, `msg_9` become `msg_1`, `msg_2`."""
    plain = [s for s in main.body if not isinstance(s, COMPOUND)]
    inner = set()
    for statement in main.body:
        if isinstance(statement, COMPOUND):
            inner |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    arguments = {node.arg for node in ast.walk(main) if isinstance(node, ast.arg)}
    local: dict[str, None] = {}
    for statement in plain:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id != "_":
                local.setdefault(node.id)
    taken = arguments | inner | (loaded([main]) - set(local))
    numbered = [name for name in local if name not in taken and re.search(r"_\d+$", name)]
    taken |= set(local) - set(numbered)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in numbered:
        groups[re.sub(r"(_\d+)+$", "", name)].append(name)
    renamed: dict[str, str] = {}
    for stem, names in groups.items():
        free = (f"{stem}_{i}" for i in itertools.count(1))
        new = (name for name in free if name not in taken)
        for name in names:
            renamed[name] = stem if names == [name] and stem not in taken else next(new)
    for node in ast.walk(main):
        if isinstance(node, ast.Name):
            node.id = renamed.get(node.id, node.id)
