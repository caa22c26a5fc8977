"""Which name means what in a program: Python's scopes on the syntax tree, and renaming of locals.

Used by `program` for the normal form and by the static gate to know which names come from
outside. Programs with `global`, `nonlocal`, `try` or `match` are not renamed (see `program`).
"""

import ast
import dataclasses
import re
from collections.abc import Iterator


def words(text: str) -> frozenset[str]:
    """Returns the set of words of a text, for tables of names."""
    return frozenset(text.split())


# The slots' definitions: called from outside, so the names of their parameters are part of them.
DEFINITIONS = frozenset({"Processor", "get_triplet_msgs", "Network"})

# The only double-underscore names that a program has use for.
METHODS = frozenset({"__init__", "__call__"})

# jax.NAME and jax.lax.NAME call the functions they are given by position, never by keyword.
_JAX_WRAPPERS = frozenset({"vmap", "checkpoint", "remat"})
_LAX_CALLERS = words("associative_scan cond fori_loop map scan switch while_loop")


@dataclasses.dataclass(eq=False)
class Scope:
    """One scope and what is bound in it.

    Attributes:
      kind: `module`, `class`, `function` or `comprehension`.
      parent: the scope around it.
      bound: names bound here, in order of appearance, with the number of bindings.
      kept: those of them that must not be renamed.
    """

    kind: str
    parent: "Scope | None" = None
    bound: dict[str, int] = dataclasses.field(default_factory=dict)
    kept: set[str] = dataclasses.field(default_factory=set)

    def bind(self, name: str, keep: bool = False) -> None:
        """Notes one binding of a name."""
        self.bound[name] = self.bound.get(name, 0) + 1
        if keep:
            self.kept.add(name)

    def owner(self, name: str) -> "Scope | None":
        """Returns the scope that a name used here belongs to, None if it is bound nowhere."""
        if name in self.bound:
            return self
        scope = self.parent
        while scope is not None:
            if scope.kind != "class" and name in scope.bound:
                return scope
            scope = scope.parent
        return None


@dataclasses.dataclass(eq=False)
class Function:
    """A `def` or `lambda`, the scope it stands in and its own."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    outer: Scope
    inner: Scope


class Scopes(ast.NodeVisitor):
    """All scopes of a program.

    Attributes:
      module: the outermost scope.
      names: every `ast.Name` with the scope it is looked up from.
      functions: every function and lambda, in order of appearance.
      order: every (scope, name) in order of first binding.
      parents: the parent of each node.
    """

    def __init__(self, tree: ast.Module):
        self.module = Scope("module")
        self.names: list[tuple[ast.Name, Scope]] = []
        self.functions: list[Function] = []
        self.order: list[tuple[Scope, str]] = []
        self.parents = {
            child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
        }
        self._scope = self.module
        self.visit(tree)

    def free(self) -> Iterator[ast.Name]:
        """Yields the names that the program binds nowhere: builtins and mistakes."""
        for node, scope in self.names:
            if scope.owner(node.id) is None:
                yield node

    def uses(self, scope: Scope, name: str) -> list[ast.Name]:
        """Returns the places that read what this name means in this scope."""
        return [
            node
            for node, place in self.names
            if node.id == name and isinstance(node.ctx, ast.Load) and place.owner(name) is scope
        ]

    def _bind(self, name: str, keep: bool = False, scope: Scope | None = None) -> None:
        scope = scope or self._scope
        if name not in scope.bound:
            self.order.append((scope, name))
        scope.bind(name, keep)

    def _within(self, scope: Scope, nodes: list[ast.AST]) -> None:
        outer, self._scope = self._scope, scope
        for node in nodes:
            self.visit(node)
        self._scope = outer

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._bind(node.id)
        self.names.append((node, self._scope))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        scope = self._scope
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        self._bind(node.target.id, scope=scope)
        self.names.append((node.target, scope))
        self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._bind(node.name)
        for decorator in node.decorator_list:
            self.visit(decorator)
        if node.returns is not None:
            self.visit(node.returns)
        self._visit_function(node, list(node.body))

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_function(node, [node.body])

    def _visit_function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, body: list[ast.AST]
    ) -> None:
        inner = Scope("function", self._scope)
        self.functions.append(Function(node, self._scope, inner))
        outside = [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
        for argument in parameters(node.args):
            if argument.annotation is not None:
                outside.append(argument.annotation)
        self._within(self._scope, list(outside))
        for argument in parameters(node.args):
            self._bind(argument.arg, scope=inner)
        self._within(inner, body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind(node.name, keep=True)
        for outside in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(outside)
        self._within(Scope("class", self._scope), list(node.body))

    def _visit_comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> None:
        first = node.generators[0]
        self.visit(first.iter)  # Python evaluates the first iterable outside
        inner = Scope("comprehension", self._scope)
        self._within(inner, [first.target, *first.ifs])
        self._within(inner, list(node.generators[1:]))
        if isinstance(node, ast.DictComp):
            self._within(inner, [node.key, node.value])
        else:
            self._within(inner, [node.elt])

    visit_ListComp = _visit_comprehension
    visit_SetComp = _visit_comprehension
    visit_DictComp = _visit_comprehension
    visit_GeneratorExp = _visit_comprehension

    def visit_alias(self, node: ast.alias) -> None:
        self._bind(node.asname or node.name.split(".")[0], keep=True)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name, keep=True)
        self.generic_visit(node)


def parameters(arguments: ast.arguments) -> list[ast.arg]:
    """Returns all parameters in order, `*args` and `**kwargs` included."""
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]


def rename_locals(tree: ast.Module) -> None:
    """Gives local variables of functions and comprehensions names by order of appearance.

    Kept as written: names of the module and of classes, parameters that anything could pass by
    keyword, and functions whose `__name__` could be seen (Haiku derives parameter names from it).
    """
    scopes = Scopes(tree)
    for function in scopes.functions:
        _keep_visible(scopes, function)
    moved = [
        (scope, name)
        for scope, name in scopes.order
        if scope.kind in ("function", "comprehension") and name not in scope.kept
    ]
    prefix = _fresh_prefix(tree, scopes, set(moved))
    names = {key: f"{prefix}{number}" for number, key in enumerate(moved)}

    renamed: list[tuple[ast.AST, str, str]] = []
    for node, scope in scopes.names:
        owner = scope.owner(node.id)
        if owner is not None and (owner, node.id) in names:
            renamed.append((node, "id", names[owner, node.id]))
    for function in scopes.functions:
        for argument in parameters(function.node.args):
            if (function.inner, argument.arg) in names:
                renamed.append((argument, "arg", names[function.inner, argument.arg]))
        name = getattr(function.node, "name", "")
        if (function.outer, name) in names:
            renamed.append((function.node, "name", names[function.outer, name]))
    for changed, field, value in renamed:
        setattr(changed, field, value)


def _keep_visible(scopes: Scopes, function: Function) -> None:
    """Marks the names of a function that code elsewhere could depend on."""
    node, arguments = function.node, function.node.args
    keywords = _keywords_used(scopes, function)
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for argument in named:
        if keywords is None or argument.arg in keywords:
            function.inner.kept.add(argument.arg)
    if keywords is None and not isinstance(node, ast.Lambda):
        function.outer.kept.add(node.name)


def _keywords_used(scopes: Scopes, function: Function) -> set[str] | None:
    """Returns the keywords a function is called with; None if it may be used in unseen ways."""
    node, outer = function.node, function.outer
    if isinstance(node, ast.Lambda):
        assignment = scopes.parents[node]
        targets = assignment.targets if isinstance(assignment, ast.Assign) else []
        if len(targets) != 1 or not isinstance(targets[0], ast.Name):
            return _keywords_at(scopes, node)
        name = targets[0].id
    else:
        if node.decorator_list:
            return None
        name = node.name
    outside = outer.kind == "module" and name in DEFINITIONS
    uses = scopes.uses(outer, name)
    if outside or outer.kind == "class" or outer.bound[name] > 1 or not uses:
        return None
    keywords: set[str] = set()
    for use in uses:
        found = _keywords_at(scopes, use)
        if found is None:
            return None
        keywords |= found
    return keywords


def _keywords_at(scopes: Scopes, node: ast.expr) -> set[str] | None:
    """As `_keywords_used`, at one place where the function stands in an expression."""
    call = scopes.parents[node]
    if not isinstance(call, ast.Call):
        return None
    if call.func is node:
        keywords = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
        return keywords if len(keywords) == len(call.keywords) else None
    if node not in call.args:
        return None
    match call.func:
        case ast.Attribute(ast.Attribute(ast.Name("jax") as root, "lax"), name):
            by_position = name in _LAX_CALLERS
        case ast.Attribute(ast.Name("jax") as root, name):
            around = scopes.parents[call]
            called = isinstance(around, ast.Call) and around.func is call and not around.keywords
            by_position = name in _JAX_WRAPPERS and called
        case _:
            return None
    is_jax = scopes.module.bound.get("jax") == 1 and "jax" in scopes.module.kept
    unshadowed = all(
        place.owner("jax") is scopes.module for name, place in scopes.names if name is root
    )
    return set() if by_position and is_jax and unshadowed else None


def _fresh_prefix(tree: ast.Module, scopes: Scopes, moved: set[tuple[Scope, str]]) -> str:
    """Returns a prefix that no name which stays has before digits; `v`, unless that is taken."""
    staying = {
        node.id for node, scope in scopes.names if (scope.owner(node.id), node.id) not in moved
    }
    staying |= {name for scope, name in scopes.order if (scope, name) not in moved}
    staying |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
    prefix = "v"
    while any(re.fullmatch(prefix + r"\d+", name) for name in staying):
        prefix += "v"
    return prefix
