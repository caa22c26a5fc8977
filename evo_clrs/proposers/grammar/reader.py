"""Reads a program as Python would run it, with values in place of arrays.

What the reader does not understand is UNKNOWN. Loops over a known range are walked through; of two
possible branches only what both agree on is kept.
"""

import ast
import functools
from collections.abc import Sequence

from evo_clrs import slots
from evo_clrs.proposers.grammar import layers, operators, rules, sequences
from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.values import (
    NONE,
    UNKNOWN,
    Array,
    Class,
    Constant,
    Instance,
    Items,
    Layer,
    Library,
    Local,
    Method,
    ShapeError,
    Size,
    Value,
    join,
)

Scope = dict[str, Value]
_LONGEST_LOOP = 16
_DEEPEST_CALL = 8
_MOST_STEPS = 50_000


class _Return(Exception):
    def __init__(self, value: Value):
        super().__init__()
        self.value = value


class Reader:
    """Walks through a program; see the module's docstring.

    Attributes:
      values: what each expression stands for; where it is read several times, what all agree on.
      scopes: the names known before each statement, likewise.
      top: names of the program's top level.
    """

    def __init__(self, slot: slots.Slot):
        self.values: dict[ast.AST, Value] = {}
        self.scopes: dict[ast.stmt, Scope] = {}
        self.top: Scope = {}
        self.depth = 0
        self.steps = 0
        self.libraries = set(slot.imports.values())

    # Functions and classes.

    def construct(self, made: Class, args: Sequence[Value], kwargs: Scope) -> Instance:
        """Returns an object of one of the program's classes, built with these arguments."""
        instance = Instance({})
        for node in made.definition.body:
            if isinstance(node, ast.FunctionDef) and not node.decorator_list:
                instance.attributes[node.name] = Local(node, made.names)
        if "__init__" in instance.attributes:
            self.call(instance.attributes["__init__"], [instance, *args], kwargs)
        return instance

    def call(self, function: Value, args: Sequence[Value], kwargs: Scope) -> Value:
        """Returns what a function, layer or class returns for these values."""
        if isinstance(function, Library):
            return self._library(function.name, list(args), kwargs)
        if isinstance(function, Layer):
            return layers.apply(function, list(args))
        if isinstance(function, Method) and function.name == "initial_state" and args:
            return sequences.initial_state(function.layer, args[0])
        if isinstance(function, Class):
            return self.construct(function, args, kwargs)
        if isinstance(function, Instance) and "__call__" in function.attributes:
            return self.call(function.attributes["__call__"], [function, *args], kwargs)
        if isinstance(function, Local) and self.depth < _DEEPEST_CALL:
            scope = {**function.names, **self._bind(function, args, kwargs)}
            self.depth += 1
            try:
                if isinstance(function.function, ast.Lambda):
                    return self.value(function.function.body, scope)
                self.block(function.function.body, scope)
            except _Return as answer:
                return answer.value
            finally:
                self.depth -= 1
            return NONE
        return UNKNOWN

    def _library(self, name: str, args: list[Value], kwargs: Scope) -> Value:
        if name in layers.LAYERS:
            return layers.construct(name, args, kwargs)
        if name == "hk.get_parameter":
            return rules.bound(layers.parameter, args, kwargs)
        if name in sequences.LOOPS:
            return rules.bound(functools.partial(sequences.LOOPS[name], self.call), args, kwargs)
        if name in sequences.RULES:
            return rules.bound(sequences.RULES[name], args, kwargs)
        return rules.call(name, args, kwargs)

    def _bind(self, function: Local, args: Sequence[Value], kwargs: Scope) -> Scope:
        signature = function.function.args
        names = [arg.arg for arg in (*signature.posonlyargs, *signature.args)]
        scope: Scope = {}
        defaults = signature.defaults
        for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            scope[name] = self.value(default, function.names)
        for arg, kw_default in zip(signature.kwonlyargs, signature.kw_defaults, strict=True):
            if kw_default is not None:
                scope[arg.arg] = self.value(kw_default, function.names)
        scope |= dict(zip(names, args, strict=False)) | kwargs
        for arg in (*signature.posonlyargs, *signature.args, *signature.kwonlyargs):
            scope.setdefault(arg.arg, UNKNOWN)
        return scope

    # Statements.

    def block(self, statements: Sequence[ast.stmt], scope: Scope) -> None:
        for statement in statements:
            self.statement(statement, scope)

    def statement(self, node: ast.stmt, scope: Scope) -> None:
        before = self.scopes.get(node)
        if before is None:
            self.scopes[node] = dict(scope)
        else:
            self.scopes[node] = {
                name: value for name, value in before.items() if scope.get(name) == value
            }
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.assign(target, self.value(value, scope), scope)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self.assign(target, self.value(value, scope), scope)
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                right = self.value(value, scope)
                scope[name] = operators.arithmetic(op, scope.get(name, UNKNOWN), right)
            case ast.Return(value=value):
                raise _Return(self.value(value, scope) if value is not None else NONE)
            case ast.Expr(value=value):
                self._expression_statement(value, scope)
            case ast.If():
                self._branch(node, scope)
            case ast.For():
                self._loop(node, scope)
            case ast.FunctionDef():
                scope[node.name] = UNKNOWN if node.decorator_list else Local(node, scope)
            case ast.ClassDef():
                scope[node.name] = Class(node, scope)
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Assert() | ast.Raise():
                pass
            case _:
                self._forget(node, scope)

    def assign(self, target: ast.expr, value: Value, scope: Scope) -> None:
        match target:
            case ast.Name(id=name):
                scope[name] = value
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                instance = scope.get(owner)
                if isinstance(instance, Instance):
                    instance.attributes[attribute] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                known = value.items if isinstance(value, Items) else ()
                for i, part in enumerate(parts):
                    item = known[i] if len(known) == len(parts) else UNKNOWN
                    self.assign(part, item, scope)

    def _expression_statement(self, value: ast.expr, scope: Scope) -> None:
        match value:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[argument]
            ):
                have = scope.get(name)
                added = self.value(argument, scope)
                scope[name] = Items((*have.items, added)) if isinstance(have, Items) else UNKNOWN
            case _:
                self.value(value, scope)

    def _branch(self, node: ast.If, scope: Scope) -> None:
        test = self.value(node.test, scope)
        if isinstance(test, Constant):
            self.block(node.body if test.value else node.orelse, scope)
            return
        ends, answers = [], []
        for body in (node.body, node.orelse):
            end = dict(scope)
            try:
                self.block(body, end)
                ends.append(end)
            except _Return as answer:
                answers.append(answer.value)
        if not ends:
            raise _Return(answers[0] if len(set(answers)) == 1 else UNKNOWN)
        if answers:
            raise _Return(UNKNOWN)
        for name in set().union(*ends):
            scope[name] = join(ends[0].get(name, UNKNOWN), ends[-1].get(name, UNKNOWN))

    def _loop(self, node: ast.For, scope: Scope) -> None:
        entries = self._iteration(node.iter, scope)
        if entries is None or len(entries) > _LONGEST_LOOP or node.orelse:
            self._forget(node, scope)
            return
        for entry in entries:
            self.assign(node.target, entry, scope)
            self.block(node.body, scope)

    def _iteration(self, node: ast.expr, scope: Scope) -> Sequence[Value] | None:
        match node:
            case ast.Call(func=ast.Name(id="range"), args=[stop]):
                value = self.value(stop, scope)
                number = value.dim.number if isinstance(value, Size) else None
                if number is None or number > _LONGEST_LOOP:
                    return None
                return [Size(Dim.of(i)) for i in range(number)]
            case ast.Call(func=ast.Name(id="enumerate"), args=[inner]):
                entries = self._iteration(inner, scope)
                if entries is None:
                    return None
                return [Items((Size(Dim.of(i)), entry)) for i, entry in enumerate(entries)]
            case _:
                value = self.value(node, scope)
                return value.items if isinstance(value, Items) else None

    def _forget(self, node: ast.AST, scope: Scope) -> None:
        for child in ast.walk(node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, (ast.Store, ast.Del)):
                scope[child.id] = UNKNOWN
            if isinstance(child, ast.Return):
                raise _Return(UNKNOWN)

    # Expressions.

    def value(self, node: ast.expr, scope: Scope) -> Value:
        """Returns what an expression stands for, and keeps it."""
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise ShapeError("the program is too long to read")
        value = self._value(node, scope)
        self.values[node] = join(self.values.get(node), value)
        return value

    def _value(self, node: ast.expr, scope: Scope) -> Value:
        match node:
            case ast.Constant(value=constant):
                if isinstance(constant, int) and not isinstance(constant, bool):
                    return Size(Dim.of(constant))
                return Constant(constant)
            case ast.Name(id=name):
                if name in scope:
                    return scope[name]
                return Library(name) if name in self.libraries else UNKNOWN
            case ast.Attribute(value=owner, attr=attribute):
                return self._attribute(self.value(owner, scope), attribute)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                if any(isinstance(element, ast.Starred) for element in elements):
                    return self._starred(elements, scope)
                return Items(tuple(self.value(element, scope) for element in elements))
            case ast.BinOp(left=left, op=op, right=right):
                return operators.arithmetic(op, self.value(left, scope), self.value(right, scope))
            case ast.UnaryOp(op=op, operand=operand):
                return operators.negated(op, self.value(operand, scope))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                parts = [self.value(part, scope) for part in (left, *comparators)]
                return operators.compared(ops, parts)
            case ast.Subscript(value=owner, slice=index):
                return operators.indexed(self.value(owner, scope), self._index(index, scope))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                chosen = self.value(test, scope)
                if isinstance(chosen, Constant):
                    return self.value(body if chosen.value else orelse, scope)
                return join(self.value(body, scope), self.value(orelse, scope))
            case ast.Lambda():
                return Local(node, scope)
            case ast.ListComp(elt=element, generators=[generator]) if not generator.ifs:
                entries = self._iteration(generator.iter, scope)
                if entries is None or len(entries) > _LONGEST_LOOP:
                    return UNKNOWN
                items = []
                for entry in entries:
                    inner = dict(scope)
                    self.assign(generator.target, entry, inner)
                    items.append(self.value(element, inner))
                return Items(tuple(items))
            case ast.Call():
                return self._call(node, scope)
            case _:
                return UNKNOWN

    def _starred(self, elements: Sequence[ast.expr], scope: Scope) -> Value:
        items: list[Value] = []
        for element in elements:
            if not isinstance(element, ast.Starred):
                items.append(self.value(element, scope))
                continue
            value = self.value(element.value, scope)
            if not isinstance(value, Items):
                return UNKNOWN
            items.extend(value.items)
        return Items(tuple(items))

    def _attribute(self, owner: Value, attribute: str) -> Value:
        match owner:
            case Library(name=name):
                return Library(f"{name}.{attribute}")
            case Instance(attributes=attributes):
                return attributes.get(attribute, UNKNOWN)
            case Array(shape=shape) if attribute == "shape":
                return Items(tuple(map(Size, shape)))
            case Array(shape=shape) if attribute == "ndim":
                return Size(Dim.of(len(shape)))
            case Layer():
                return Method(owner, attribute)
            case Array(shape=shape) if attribute == "T":
                return Array(shape[::-1])
        return UNKNOWN

    def _index(self, node: ast.expr, scope: Scope) -> list[Value]:
        parts = node.elts if isinstance(node, ast.Tuple) else [node]
        index: list[Value] = []
        for part in parts:
            if isinstance(part, ast.Slice):
                for bound in (part.lower, part.upper, part.step):
                    if bound is not None:
                        self.value(bound, scope)
                index.append(self._slice(part))
            else:
                index.append(self.value(part, scope))
        return index

    def _slice(self, node: ast.Slice) -> Value:
        bounds = [
            NONE if bound is None else self.values[bound]
            for bound in (node.lower, node.upper, node.step)
        ]
        if not all(bound == NONE or isinstance(bound, Size) for bound in bounds):
            return UNKNOWN
        return Constant(tuple(b.dim if isinstance(b, Size) else None for b in bounds))

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        args = [self.value(arg, scope) for arg in node.args if not isinstance(arg, ast.Starred)]
        kwargs = {kw.arg: self.value(kw.value, scope) for kw in node.keywords if kw.arg}
        if len(args) < len(node.args) or len(kwargs) < len(node.keywords):
            return UNKNOWN
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value, scope)
            if isinstance(owner, Array):
                return operators.method(owner, node.func.attr, args, kwargs)
            if isinstance(owner, Instance):
                function = self._attribute(owner, node.func.attr)
                bound = [owner, *args] if isinstance(function, Local) else args
                return self.call(function, bound, kwargs)
        elif isinstance(node.func, ast.Name) and node.func.id in operators.BUILTINS:
            return operators.builtin(node.func.id, args)
        return self.call(self.value(node.func, scope), args, kwargs)
