"""The static gate: looks at the text of a program before anything runs.

It is the first layer only. It gives authors reasons they can act on and saves the jail's time;
the jail is the wall.
"""

import ast
import builtins
import difflib
import re

from evo_clrs import program, scopes
from evo_clrs.errors import Rejected
from evo_clrs.gates import allowed, signature
from evo_clrs.slots import Slot

_BUILTINS = frozenset(dir(builtins))

# What makes a terminal or an editor show another text than Python reads: controls, a carriage
# return without a line feed, what turns the direction of writing or breaks lines for people only.
# Source: Boucher and Anderson, "Trojan Source", 2021, https://arxiv.org/abs/2111.00169.
_DECEPTIVE = re.compile(
    r"[\x01-\x08\x0b\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)"
)

_STATEMENTS = (
    *(ast.FunctionDef, ast.ClassDef, ast.Return, ast.Delete, ast.Assign, ast.AugAssign),
    *(ast.AnnAssign, ast.For, ast.While, ast.If, ast.With, ast.Raise, ast.Assert, ast.Import),
    *(ast.Expr, ast.Pass, ast.Break, ast.Continue),
)
_TOP_LEVEL = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Import)
_EXPRESSIONS_REFUSED = {
    ast.Await: "await",
    ast.Yield: "yield",
    ast.YieldFrom: "yield from",
}
_STATEMENT_NAMES = {
    "AsyncFor": "async for",
    "AsyncFunctionDef": "async def",
    "AsyncWith": "async with",
    "ImportFrom": "from ... import",
    "TryStar": "try",
    "TypeAlias": "type",
}


def check(source: str, slot: Slot) -> None:
    """Checks the text of a program against a slot, without running any of it.

    Raises:
      Rejected: at stage `static`, with one line that names the line of the text and what to do.
    """
    try:
        _check_letters(source)
        if slot.space is not None:
            slot.space.read(source)
            return
        tree = program.parse(source)
        _check_statements(tree)
        modules = _check_imports(tree, slot)
        found = scopes.Scopes(tree)
        _check_names(tree, found, modules, slot)
        _check_definitions(tree)
        _check_attributes(tree, found, modules)
        signature.check(tree, slot)
    except ValueError as error:
        raise Rejected("static", str(error)) from None
    except RecursionError:
        raise Rejected("static", "nested too deeply") from None


def _check_letters(source: str) -> None:
    """Refuses text that people would not see as it is: they read what a search has found."""
    found = _DECEPTIVE.search(source)
    if found is not None:
        line = source[: found.start()].count("\n") + 1
        code = f"U+{ord(found[0]):04X}"
        raise ValueError(f"line {line}: holds the control character {code}; write an escape")


def _check_statements(tree: ast.Module) -> None:
    """Refuses statements that have no use in a slot."""
    for statement in tree.body:
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not text and isinstance(statement, _STATEMENTS):
            _require(
                isinstance(statement, _TOP_LEVEL),
                statement,
                "the top level may hold only imports, definitions and assignments",
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            kind = type(node).__name__
            name = _STATEMENT_NAMES.get(kind, kind.lower())
            _require(isinstance(node, _STATEMENTS), node, f"`{name}` is not allowed")
        for refused, name in _EXPRESSIONS_REFUSED.items():
            _require(not isinstance(node, refused), node, f"`{name}` is not allowed")
        is_async = isinstance(node, ast.comprehension) and node.is_async
        _require(not is_async, getattr(node, "iter", node), "`async for` is not allowed")
        _require(not getattr(node, "type_params", None), node, "type parameters are not allowed")


def _check_imports(tree: ast.Module, slot: Slot) -> dict[str, str]:
    """Returns the imported modules by the name they are bound to."""
    wanted = ", ".join(
        f"`import {module}`" if module == name else f"`import {module} as {name}`"
        for module, name in slot.imports.items()
    )
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import):
            continue
        _require(node in tree.body, node, "imports belong at the top level")
        for alias in node.names:
            bound = alias.asname or alias.name
            fits = slot.imports.get(alias.name) == bound
            _require(fits, node, f"`{alias.name}` may not be imported so; allowed are {wanted}")
            modules[bound] = alias.name
    return modules


def _check_names(
    tree: ast.Module, found: scopes.Scopes, modules: dict[str, str], slot: Slot
) -> None:
    """Refuses names that are neither the program's own nor on the list of builtins."""
    for node in found.free():
        _refuse_dunder(node.id, node)
        if node.id in allowed.BUILTINS:
            continue
        if node.id in _BUILTINS:
            raise _problem(node, f"builtin `{node.id}` is not available to programs")
        for module, alias in slot.imports.items():
            if alias == node.id:
                text = module if module == alias else f"{module} as {alias}"
                raise _problem(node, f"`{alias}` is used without `import {text}`")
        raise _problem(node, f"`{node.id}` is not defined")
    for name, scope, place in _bindings(tree, found):
        _refuse_dunder(name, place, methods=isinstance(place, ast.FunctionDef))
        # Outside functions Python falls back to the builtin before the first assignment.
        falls_back = scope.kind in ("module", "class") and name in _BUILTINS - allowed.BUILTINS
        _require(not falls_back, place, f"`{name}` is the name of a builtin; choose another")
        _require(name not in modules, place, f"`{name}` is an imported module; choose another name")


def _bindings(
    tree: ast.Module, found: scopes.Scopes
) -> list[tuple[str, scopes.Scope, ast.expr | ast.stmt | ast.arg]]:
    """Lists every name bound by other means than an import, with its scope and place."""
    result: list[tuple[str, scopes.Scope, ast.expr | ast.stmt | ast.arg]] = []
    for node, scope in found.names:
        if not isinstance(node.ctx, ast.Load):
            result.append((node.id, scope, node))
    for function in found.functions:
        if isinstance(function.node, ast.FunctionDef):
            result.append((function.node.name, function.outer, function.node))
        for argument in scopes.parameters(function.node.args):
            result.append((argument.arg, function.inner, argument))
    for definition in ast.walk(tree):
        if isinstance(definition, ast.ClassDef):
            result.append((definition.name, found.module, definition))
    return result


def _check_attributes(tree: ast.Module, found: scopes.Scopes, modules: dict[str, str]) -> None:
    """Refuses attributes that are not on the list of their module, and private ones."""
    outermost = {
        node: chain
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and not isinstance(found.parents[node], ast.Attribute)
        and (chain := _chain(node))
    }
    roots = set()
    for chain in outermost.values():
        if isinstance(chain[0], ast.Name) and chain[0].id in modules:
            roots.add(chain[0])
            _check_module_path(chain, modules[chain[0].id])
    for name, _ in found.names:
        if name.id in modules and name not in roots:
            raise _problem(name, f"module `{name.id}` may only be used as `{name.id}.NAME`")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            _check_value_attribute(node)


def _chain(node: ast.Attribute) -> list[ast.expr]:
    """Returns the nodes of `a.b.c` from the root, `a`, outwards."""
    chain: list[ast.expr] = [node]
    while isinstance(chain[-1], ast.Attribute):
        chain.append(chain[-1].value)
    return chain[::-1]


def _check_module_path(chain: list[ast.expr], module: str) -> None:
    names = [node.attr for node in chain[1:] if isinstance(node, ast.Attribute)]
    path = (*module.split("."), *names)
    if not allowed.allowed_length(path):
        root = chain[0].id if isinstance(chain[0], ast.Name) else module
        written = ".".join([root, *names])
        if module == "haiku" and names[0] in allowed.HAIKU_STATEFUL:
            raise _problem(chain[0], f"`{written}` keeps state, and slots are stateless")
        close = difflib.get_close_matches(".".join(names), allowed.CLOSED.get(module, ()), 1)
        hint = f"; did you mean `{root}.{close[0]}`?" if close else ""
        raise _problem(chain[0], f"`{written}` is not available to programs{hint}")
    for node in chain[1:]:
        _require(isinstance(getattr(node, "ctx", None), ast.Load), node, "modules are read-only")


def _check_value_attribute(node: ast.Attribute) -> None:
    name = node.attr
    if name in scopes.METHODS:
        match node.value:
            case ast.Call(ast.Name("super")):
                return
        raise _problem(node, f"`{name}` may only be used as `super().{name}`")
    _refuse_dunder(name, node)
    private = name.startswith("_") and not isinstance(node.value, ast.Name)
    _require(not private, node, f"private attribute `{name}` is not available to programs")
    _require(name not in allowed.DENIED_ATTRIBUTES, node, f"attribute `{name}` is not available")


def _check_definitions(tree: ast.Module) -> None:
    """Refuses decorators and bases that are not plain or not on the list."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            _require(not node.keywords, node, f"class `{node.name}` may not name a metaclass")
            _require(not node.decorator_list, node, "classes may not be decorated")
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                plain = decorator.func if isinstance(decorator, ast.Call) else decorator
                written = ast.unparse(plain)
                close = difflib.get_close_matches(written, allowed.DECORATORS, 1)
                hint = f"; did you mean `@{close[0]}`?" if close else ""
                _require(
                    written in allowed.DECORATORS,
                    decorator,
                    f"decorator `@{_shorten(written)}` is not allowed{hint}",
                )


def _refuse_dunder(name: str, node: ast.AST, methods: bool = False) -> None:
    if name.startswith("__") and not (methods and name in scopes.METHODS):
        raise _problem(node, f"`{name}` is not available: no names with double underscores")


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:37] + "..."


def _require(holds: bool, node: ast.AST, reason: str) -> None:
    if not holds:
        raise _problem(node, reason)


def _problem(node: ast.AST, reason: str) -> ValueError:
    return ValueError(f"line {getattr(node, 'lineno', 1)}: {reason}")
