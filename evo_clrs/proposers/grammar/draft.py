"""A program under edit: its tree, its shapes, and what edits need to read and change it."""

import ast
import copy
import dataclasses
import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence

from evo_clrs import slots
from evo_clrs.proposers.grammar.dims import ONE, Dim
from evo_clrs.proposers.grammar.prepare import touched
from evo_clrs.proposers.grammar.shapes import infer
from evo_clrs.proposers.grammar.values import VARYING, Array, Instance, Library, Size, Value

BATCH, NODES = Dim.of("B"), Dim.of("N")
Shape = tuple[Dim, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """An expression of the main body, with the statement that holds it and its shape."""

    node: ast.expr
    statement: ast.stmt
    shape: Shape

    @property
    def width(self) -> Dim:
        """Its last dimension."""
        return self.shape[-1]

    @property
    def leading(self) -> Shape:
        """All dimensions but the last."""
        return self.shape[:-1]


def quote(template: str, /, **parts: ast.expr | str | int) -> ast.expr:
    """Returns a template as an expression, its capital names replaced by the parts."""
    trees = {
        name: part if isinstance(part, ast.expr) else ast.parse(str(part), mode="eval").body
        for name, part in parts.items()
    }

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return copy.deepcopy(trees[node.id]) if node.id in trees else node

    return Fill().visit(ast.parse(template, mode="eval").body)


def has_nodes(slot: slots.Slot) -> bool:
    """Whether programs of a slot read a graph; else they read sequences."""
    return any("N" in tensor.shape for tensor in slot.inputs)


class Draft:
    """A program whose tree edits may change in place.

    Values and scopes belong to the tree as it was when the draft was made: an edit makes its
    changes, and a new draft of the tree is made for the next one.

    Attributes:
      tree: the program.
      slot: what it fills.
      on_graph: whether the slot's inputs are a graph; else they are sequences.
      shapes: what is known of its shapes.
      body: statements of the function that computes the outputs.
      inputs: names of the slot's inputs in this program.
      mates: other parents, to take parts from.
      crowded: whether the program is large, so that edits had better make it smaller.
    """

    def __init__(
        self,
        tree: ast.Module,
        slot: slots.Slot,
        mates: "Sequence[Draft]" = (),
        crowded: bool = False,
    ):
        self.tree = tree
        self.slot = slot
        self.on_graph = has_nodes(slot)
        self.mates = mates
        self.crowded = crowded
        self.shapes = infer(tree, slot)
        self.body = self.shapes.main.body
        self.inputs = [arg.arg for arg in self.shapes.main.args.args if arg.arg != "self"]
        self.inputs = self.inputs[: len(slot.inputs)]
        self._names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        self._names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}

        self._owners: dict[str, list[ast.stmt]] = {}
        for statement in self.body:
            for name in touched(statement):
                self._owners.setdefault(name, []).append(statement)

    # Reading.

    def value(self, node: ast.AST) -> Value:
        """Returns what an expression stands for."""
        return self.shapes.of(node)

    def called(self, node: ast.AST) -> str:
        """Returns the library function that a call calls, e.g. `jnp.max`, else nothing."""
        if not isinstance(node, ast.Call):
            return ""
        function = self.value(node.func)
        return function.name if isinstance(function, Library) else ""

    def expressions(self) -> Iterator[tuple[ast.expr, ast.stmt]]:
        """Yields each expression of the plain statements of the main body, in order."""
        for statement in self.body:
            if isinstance(statement, (ast.Assign, ast.Return)) and statement.value is not None:
                for node in _walk(statement.value):
                    yield node, statement

    def is_features(self, value: Value, least: int = 2) -> bool:
        """Whether it is [B, features] or that with axes of nodes or positions in between.

        On a graph there may be any number of node axes, and axes of size 1 may stand for them; on
        sequences there may be one axis of positions, of any length. Features of a single channel
        do not count.
        """
        if not isinstance(value, Array) or value.boolean or len(value.shape) < 2:
            return False
        *leading, width = value.shape
        number = width.number
        return (
            leading[0] == BATCH
            and all(map(self.is_inner, leading[1:]))
            and (self.on_graph or len(leading) < 3)
            and not width.symbols & VARYING
            and (number is None or number >= least)
        )

    def is_inner(self, dim: Dim) -> bool:
        """Whether a dimension is one of an axis of nodes, or of positions, or stands for one."""
        return dim in (NODES, ONE) if self.on_graph else not dim.symbols & VARYING

    def is_axis(self, shape: Shape, axis: int) -> bool:
        """Whether an axis of features is one of nodes, or of positions."""
        if self.on_graph:
            return shape[axis] == NODES
        return axis == 1 and len(shape) == 3

    @property
    def axis_name(self) -> str:
        """What edits call an axis between batch and features."""
        return "a node axis" if self.on_graph else "positions"

    def sites(self, names: bool = False) -> list[Site]:
        """Returns all expressions that are features; with `names` also single names."""
        found = []
        for node, statement in self.expressions():
            value = self.value(node)
            if isinstance(node, ast.Name) and (not names or node.id == "_"):
                continue
            if self.is_features(value) and isinstance(value, Array) and not self.is_masked(node):
                found.append(Site(node, statement, value.shape))
        return found

    def inner_sites(self) -> list[Site]:
        """Returns the sites, on sequences without the output: logits are better left alone."""
        return [site for site in self.sites() if self.on_graph or not self.is_output(site.node)]

    def is_output(self, node: ast.expr) -> bool:
        """Whether an expression is what the program returns."""
        last = self.body[-1]
        if not isinstance(last, ast.Return) or last.value is None:
            return False
        return node is last.value or node is self.definition(last.value)

    def scope(self, statement: ast.stmt) -> Mapping[str, Value]:
        """Returns the names known before a statement."""
        return self.shapes.scopes.get(statement, {})

    def features(self, statement: ast.stmt) -> dict[str, Shape]:
        """Returns the names known before a statement that stand for features, with shapes."""
        return {
            name: value.shape
            for name, value in self.scope(statement).items()
            if isinstance(value, Array)
            and self.is_features(value)
            and not self.is_masked(_name(name))
        }

    def definition(self, node: ast.expr) -> ast.expr:
        """Returns the expression behind a name that is assigned once, else the node itself."""
        seen: set[str] = set()
        while isinstance(node, ast.Name) and node.id not in seen:
            seen.add(node.id)
            match self._owners.get(node.id):
                case [ast.Assign(targets=[ast.Name()], value=value)]:
                    node = value
        return node

    def is_masked(self, node: ast.expr) -> bool:
        """Whether it holds large constants where a mask is off."""
        return self.called(self.definition(node)) == "jnp.where"

    # Changing.

    def fresh(self, hint: str) -> str:
        """Returns a new name: the hint, or the hint with a number."""
        stem = re.sub(r"_\d+$", "", hint)
        candidates = itertools.chain([stem], (f"{stem}_{i}" for i in itertools.count(2)))
        name = next(name for name in candidates if name not in self._names)
        self._names.add(name)
        return name

    def insert(self, statement: ast.stmt, hint: str, value: ast.expr) -> ast.Name:
        """Inserts `name = value` before a statement and returns the new name."""
        name = self.fresh(hint)
        target = ast.Name(id=name, ctx=ast.Store())
        self.body.insert(self.body.index(statement), ast.Assign(targets=[target], value=value))
        return _name(name)

    def bind(self, site: Site, hint: str) -> ast.Name:
        """Returns a name for a site's value, inserting an assignment if it has none."""
        if isinstance(site.node, ast.Name):
            return _name(site.node.id)
        return self.insert(site.statement, hint, copy.deepcopy(site.node))

    def replace(self, site: Site, new: ast.expr) -> None:
        """Puts an expression in the place of a site's."""
        self.substitute(site.statement, site.node, new)

    def substitute(self, statement: ast.stmt, old: ast.expr, new: ast.expr) -> None:
        """Puts an expression in the place of another inside a statement."""

        class Swap(ast.NodeTransformer):
            def visit(self, node: ast.AST) -> ast.AST:
                return new if node is old else self.generic_visit(node)

        Swap().visit(statement)

    # Building blocks.

    def size(self, dim: Dim, statement: ast.stmt) -> ast.expr:
        """Returns an expression for a dimension, from names known before a statement.

        Raises:
          LookupError: no expression is at hand.
        """
        if dim.number is not None:
            return ast.Constant(dim.number)
        scope = self.scope(statement)
        known = [(name, value) for name, value in scope.items() if name != "_"]
        for name, value in scope.items():
            if isinstance(value, Instance):
                known += [(f"{name}.{key}", entry) for key, entry in value.attributes.items()]
        for text, value in known:
            if isinstance(value, Size) and value.dim == dim:
                return quote(text)
        if len(dim.terms) == 1:
            ((symbols, factor),) = dim.terms
            if factor != 1 and len(symbols) == 1:
                symbol = self.size(Dim.of(symbols[0]), statement)
                if factor.denominator == 1:
                    return quote("FACTOR * SYMBOL", FACTOR=factor.numerator, SYMBOL=symbol)
                if factor.numerator == 1:
                    return quote("SYMBOL // PART", PART=factor.denominator, SYMBOL=symbol)
        for text, value in known:
            if isinstance(value, Array) and dim in value.shape:
                return quote("ARRAY.shape[AXIS]", ARRAY=text, AXIS=value.shape.index(dim))
        raise LookupError(f"no expression for {dim}")

    def linear(self, x: ast.expr, width: Dim, statement: ast.stmt) -> ast.expr:
        """Returns a linear projection of an array to a width."""
        return quote("hk.Linear(WIDTH)(X)", WIDTH=self.size(width, statement), X=x)

    def project(
        self, name: str, shape: Shape, site: Site, width: Dim, rng: random.Random, hint: str
    ) -> ast.expr:
        """Returns a linear projection of a named array, aligned with a site.

        Axes that the site lacks are reduced first; those that the array lacks get size 1.
        """
        x: ast.expr = _name(name)
        leading = list(shape[:-1])
        while axes := self._surplus(leading, site.leading):
            axis = rng.choice(axes)
            reduce = rng.choice(("max", "mean"))
            x = quote(f"jnp.{reduce}(X, axis={axis})", X=x)
            x = self.insert(site.statement, "pooled", x)
            del leading[axis]
        if leading.count(NODES) == 2 and rng.random() < 0.25:
            axes = [axis for axis, dim in enumerate(leading) if dim == NODES]
            x = quote(f"jnp.swapaxes(X, {axes[0]}, {axes[1]})", X=x)
        x = self.insert(site.statement, hint, self.linear(x, width, site.statement))
        return expand(x, alignment(leading, site.leading, rng))

    def _surplus(self, leading: Sequence[Dim], target: Sequence[Dim]) -> list[int]:
        """Returns the axes of which one has to be reduced before the shapes can align."""
        if not self.on_graph:
            return [1] if len(leading) == 2 and tuple(leading) != tuple(target) else []
        if leading.count(NODES) <= target.count(NODES):
            return []
        return [axis for axis, dim in enumerate(leading) if dim == NODES]


def alignment(leading: Sequence[Dim], target: Sequence[Dim], rng: random.Random) -> list[int]:
    """Returns axes of size 1 to insert so that the first shape broadcasts to the second.

    Raises:
      LookupError: there are none.
    """
    missing = len(target) - len(leading)
    choices = []
    for axes in itertools.combinations(range(1, len(target)), max(missing, 0)):
        rest = iter(leading)
        padded = [ONE if axis in axes else next(rest) for axis in range(len(target))]
        if all(dim in (ONE, want) for dim, want in zip(padded, target, strict=True)):
            choices.append(list(axes))
    if missing < 0 or not choices:
        raise LookupError("shapes do not align")
    return rng.choice(choices)


def expand(x: ast.expr, axes: Sequence[int]) -> ast.expr:
    """Returns an array with axes of size 1 inserted."""
    if not axes:
        return x
    axis = str(axes[0]) if len(axes) == 1 else str(tuple(axes))
    return quote("jnp.expand_dims(X, axis=AXIS)", X=x, AXIS=axis)


def _name(name: str) -> ast.Name:
    return ast.Name(id=name, ctx=ast.Load())


def _walk(node: ast.expr) -> Iterator[ast.expr]:
    """Yields an expression and those inside, but for bodies of lambdas and comprehensions."""
    yield node
    if isinstance(node, (ast.Lambda, ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield from _walk(child)
        elif isinstance(child, ast.keyword):
            yield from _walk(child.value)
