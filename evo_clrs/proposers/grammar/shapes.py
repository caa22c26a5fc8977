"""Shapes of every expression of a program, with symbols for dimensions."""

import ast
import dataclasses

from evo_clrs import slots
from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.reader import Reader, Scope
from evo_clrs.proposers.grammar.values import (
    NONE,
    UNKNOWN,
    VARYING,
    Array,
    Items,
    Local,
    ShapeError,
    Size,
    Value,
)


@dataclasses.dataclass
class Shapes:
    """What is known of a program's shapes.

    Attributes:
      main: the function whose body computes the slot's outputs.
      values: what each expression stands for; where it is read several times, what all agree on.
      scopes: the names known before each statement.
      output: what the program returns.
    """

    main: ast.FunctionDef
    values: dict[ast.AST, Value]
    scopes: dict[ast.stmt, Scope]
    output: Value

    def of(self, node: ast.AST) -> Value:
        """Returns what an expression stands for, UNKNOWN if it was not read."""
        return self.values.get(node, UNKNOWN)

    def fits(self, slot: slots.Slot) -> bool:
        """Whether the outputs are known to have the shapes that the slot asks for."""
        outputs = self.output.items if isinstance(self.output, Items) else (self.output,)
        return len(outputs) == len(slot.outputs) and all(
            _fits(value, tensor) for value, tensor in zip(outputs, slot.outputs, strict=True)
        )

    def may_fit(self, slot: slots.Slot) -> bool:
        """Whether the outputs may have the shapes that the slot asks for, as far as is known."""
        if self.output == UNKNOWN:
            return True
        outputs = self.output.items if isinstance(self.output, Items) else (self.output,)
        return len(outputs) == len(slot.outputs) and all(
            value == UNKNOWN or _fits(value, tensor)
            for value, tensor in zip(outputs, slot.outputs, strict=True)
        )


def _fits(value: Value, tensor: slots.Tensor) -> bool:
    if tensor.optional and value == NONE:
        return True
    if not isinstance(value, Array) or len(value.shape) != len(tensor.shape):
        return False
    return all(
        not dim.symbols & VARYING if symbol == "*" else dim == Dim.of(symbol)
        for dim, symbol in zip(value.shape, tensor.shape, strict=True)
    )


def main_function(tree: ast.Module, slot: slots.Slot) -> ast.FunctionDef:
    """Returns the function that computes the slot's outputs.

    Raises:
      ShapeError: the program does not define it.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == slot.definition:
            return node
        if isinstance(node, ast.ClassDef) and node.name == slot.definition:
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__call__":
                    return method
    raise ShapeError(f"the program does not define {slot.definition}")


def first_misfit(tree: ast.Module, slot: slots.Slot) -> int | None:
    """Returns the line of the first statement that is sure to fail when the program is traced.

    Where all may do but outputs are known not to have the slot's shapes it is the one that returns
    them. None where nothing is known to be wrong.

    Raises:
      ShapeError: the program lacks the slot's definition.
    """
    reader = Reader(slot)
    main = main_function(tree, slot)
    try:
        shapes = _read(reader, main, tree, slot)
    except ShapeError:
        *_, failing = reader.scopes  # the last that was come to
        return failing.lineno
    return None if shapes.may_fit(slot) else main.body[-1].lineno


def infer(tree: ast.Module, slot: slots.Slot) -> Shapes:
    """Returns the shapes of a program.

    Raises:
      ShapeError: the program lacks the slot's definition, or is sure to fail when traced.
    """
    return _read(Reader(slot), main_function(tree, slot), tree, slot)


def _read(reader: Reader, main: ast.FunctionDef, tree: ast.Module, slot: slots.Slot) -> Shapes:
    for statement in tree.body:
        reader.statement(statement, reader.top)
    inputs: list[Value] = [Array(tuple(map(Dim.of, t.shape))) for t in slot.inputs]
    constants: Scope = {name: Size(Dim.of(symbol)) for name, symbol in slot.constants}
    if slot.kind == "class":
        instance = reader.call(reader.top[slot.definition], [], constants)
        calls: Scope = {name: Size(Dim.of(symbol)) for name, symbol in slot.call_constants}
        output = reader.call(Local(main, reader.top), [instance, *inputs], calls)
    else:
        output = reader.call(Local(main, reader.top), inputs, constants)
    return Shapes(main, reader.values, reader.scopes, output)
