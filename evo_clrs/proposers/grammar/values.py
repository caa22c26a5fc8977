"""What an expression of a program can stand for, as far as shapes are concerned."""

import ast
import dataclasses
from typing import Any

from evo_clrs.proposers.grammar.dims import ONE, Dim


class ShapeError(Exception):
    """Shapes that cannot go together: the program would fail when traced."""


@dataclasses.dataclass(frozen=True)
class Value:
    """Something of which nothing is known; the subclasses know more."""


@dataclasses.dataclass(frozen=True)
class Array(Value):
    """An array that follows a relabelling of nodes, with its shape.

    Attributes:
      shape: its dimensions.
      boolean: whether it holds truth values.
    """

    shape: tuple[Dim, ...]
    boolean: bool = False

    def __str__(self) -> str:
        return "[" + ", ".join(map(str, self.shape)) + "]"


@dataclasses.dataclass(frozen=True)
class Size(Value):
    """A whole number that may depend on symbols, such as `x.shape[-1]`."""

    dim: Dim


@dataclasses.dataclass(frozen=True)
class Constant(Value):
    """None, a truth value, a float, a string, a slice or a dtype."""

    value: Any


@dataclasses.dataclass(frozen=True)
class Items(Value):
    """A tuple or a list."""

    items: tuple[Value, ...]


@dataclasses.dataclass(frozen=True)
class Library(Value):
    """A function, class or module of a library by its dotted name, e.g. `jnp.max`."""

    name: str


@dataclasses.dataclass(frozen=True)
class Layer(Value):
    """A Haiku module once constructed.

    Attributes:
      kind: e.g. `hk.Linear`.
      settings: values of its constructor's arguments that matter for shapes.
    """

    kind: str
    settings: tuple[tuple[str, Value], ...]

    def get(self, name: str, default: Value | None = None) -> Value:
        """Returns the setting of this name, the default (or else unknown) if there is none."""
        return dict(self.settings).get(name, UNKNOWN if default is None else default)


@dataclasses.dataclass(frozen=True)
class Method(Value):
    """A method of a Haiku module, such as `initial_state` of a recurrent core."""

    layer: Layer
    name: str


@dataclasses.dataclass(frozen=True, eq=False)
class Local(Value):
    """A function of the program itself, with what its free names stand for."""

    function: ast.FunctionDef | ast.Lambda
    names: dict[str, Value]


@dataclasses.dataclass(frozen=True, eq=False)
class Class(Value):
    """A class of the program itself, with what its free names stand for."""

    definition: ast.ClassDef
    names: dict[str, Value]


@dataclasses.dataclass(frozen=True, eq=False)
class Instance(Value):
    """An object of a class of the program, such as `self`, with its attributes and methods."""

    attributes: dict[str, Value]


UNKNOWN = Value()
NONE = Constant(None)

# Symbols of axes that no parameter may depend on: batch, nodes, and nodes once sorted.
VARYING = frozenset({"B", "N", "S"})


def join(left: Value | None, right: Value) -> Value:
    """Returns what is known of a value that may be either."""
    if left is None or left == right:
        return right
    return UNKNOWN


def broadcast(*shapes: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """Returns the shape that these broadcast to; raises ShapeError if they do not."""
    rank = max(map(len, shapes))
    result = []
    for axis in range(-rank, 0):
        dims = {shape[axis] for shape in shapes if len(shape) >= -axis} - {ONE}
        if len(dims) > 1:
            raise ShapeError(f"cannot broadcast {' and '.join(str(Array(s)) for s in shapes)}")
        result.append(dims.pop() if dims else ONE)
    return tuple(result)
