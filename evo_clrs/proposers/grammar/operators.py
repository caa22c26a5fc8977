"""Shapes of what Python's own operators, indexing, methods and built-ins give."""

import ast
from collections.abc import Sequence

from evo_clrs.proposers.grammar import rules
from evo_clrs.proposers.grammar.dims import ONE, Dim
from evo_clrs.proposers.grammar.values import (
    NONE,
    UNKNOWN,
    Array,
    Constant,
    Items,
    ShapeError,
    Size,
    Value,
)

# Tuples are not followed beyond this many items.
LONGEST = 64


def arithmetic(op: ast.operator, left: Value, right: Value) -> Value:
    """Returns what `left op right` gives."""
    if isinstance(left, Size) and isinstance(right, Size):
        return _whole(op, left.dim, right.dim)
    if isinstance(left, Items) and isinstance(right, Items) and isinstance(op, ast.Add):
        return Items(left.items + right.items)
    if isinstance(left, Items) and isinstance(right, Size) and isinstance(op, ast.Mult):
        times = right.dim.number
        if times is None or len(left.items) * times > LONGEST:
            return UNKNOWN
        return Items(left.items * times)
    if isinstance(op, ast.MatMult):
        return rules.matmul(left, right)
    if isinstance(left, Array) or isinstance(right, Array):
        return rules.pointwise(left, right)
    if isinstance(left, (Constant, Size)) and isinstance(right, (Constant, Size)):
        return _float(left, right)
    return UNKNOWN


def _whole(op: ast.operator, left: Dim, right: Dim) -> Value:
    match op:
        case ast.Add():
            return Size(left + right)
        case ast.Sub():
            return Size(left - right)
        case ast.Mult():
            return Size(left * right)
        case ast.FloorDiv() if right.number != 0:
            quotient = left.over(right)
            return UNKNOWN if quotient is None else Size(quotient)
    # A quotient or a power of sizes is a plain number whose value does not matter for shapes.
    return Constant(0.0)


def _float(left: Value, right: Value) -> Value:
    for value in (left, right):
        if isinstance(value, Constant) and not isinstance(value.value, float):
            return UNKNOWN
    return Constant(0.0)


def negated(op: ast.unaryop, value: Value) -> Value:
    """Returns what `op value` gives."""
    if isinstance(op, ast.Not):
        return Constant(not value.value) if isinstance(value, Constant) else UNKNOWN
    if isinstance(value, Size) and isinstance(op, ast.USub):
        return Size(value.dim * Dim.of(-1))
    if isinstance(value, (Array, Size)):
        return value
    return Constant(0.0) if isinstance(value, Constant) else UNKNOWN


def compared(ops: Sequence[ast.cmpop], parts: Sequence[Value]) -> Value:
    """Returns what a comparison gives."""
    if any(isinstance(part, Array) for part in parts):
        return rules.comparison(parts[0], parts[-1])
    left, right = parts[0], parts[-1]
    match ops:
        case [ast.Is()] if right == NONE and left != UNKNOWN:
            return Constant(left == NONE)
        case [ast.IsNot()] if right == NONE and left != UNKNOWN:
            return Constant(left != NONE)
        case [ast.Eq()] if left != UNKNOWN and type(left) is type(right):
            return Constant(left == right)
    return UNKNOWN


def indexed(owner: Value, index: Sequence[Value]) -> Value:
    """Returns what `owner[index]` gives; parts of an array's node axes are unknown."""
    if isinstance(owner, Items) and len(index) == 1:
        return _item(owner, index[0])
    if not isinstance(owner, Array):
        return UNKNOWN
    used = sum(1 for part in index if part != NONE and part != Constant(...))
    if used > len(owner.shape):
        raise ShapeError(f"too many indices for {owner}")
    full = Constant((None, None, None))
    parts: list[Value] = []
    for part in index:
        parts += [full] * (len(owner.shape) - used) if part == Constant(...) else [part]
    rest, shape = iter(owner.shape), []
    for part in parts:
        if part == NONE:
            shape.append(ONE)
            continue
        dim = next(rest)
        if part == full:
            shape.append(dim)
        elif dim.symbols & {"B", "N"}:
            return UNKNOWN
        elif isinstance(part, Constant) and isinstance(part.value, tuple):
            length = _length(dim, part.value)
            if length is None:
                return UNKNOWN
            shape.append(length)
        elif not isinstance(part, Size):
            return UNKNOWN
    return Array((*shape, *rest), owner.boolean)


def _item(owner: Items, index: Value) -> Value:
    if isinstance(index, Size) and index.dim.number is not None:
        number = index.dim.number
        if not -len(owner.items) <= number < len(owner.items):
            raise ShapeError("tuple index out of range")
        return owner.items[number]
    if isinstance(index, Constant) and isinstance(index.value, tuple):
        bounds = [None if bound is None else bound.number for bound in index.value]
        return Items(owner.items[slice(*bounds)])
    return UNKNOWN


# No dimension with a symbol is smaller than this.
_LEAST = 4


def _length(dim: Dim, bounds: tuple[Dim | None, ...]) -> Dim | None:
    """Returns how many of `dim` entries a slice takes, if it surely lies inside."""
    lower, upper, step = bounds
    if step is not None:
        return None
    start = Dim.of(0) if lower is None else lower
    end = dim if upper is None else upper
    if start.number is not None and start.number < 0:
        start += dim
    if end.number is not None and end.number < 0:
        end += dim
    inside = (end - start, dim - end, start)
    if any(part.at(dict.fromkeys(part.symbols, _LEAST)) < 0 for part in inside):
        return None
    return end - start


# Methods of arrays that are functions of jnp under the same name.
_METHODS = ("max", "min", "sum", "mean", "prod", "std", "var", "any", "all", "squeeze", "clip")


def method(owner: Array, name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """Returns what a method of an array returns."""
    if name in _METHODS or name in ("swapaxes", "repeat", "dot"):
        return rules.call(f"jnp.{name}", [owner, *args], kwargs)
    if name in ("reshape", "transpose"):
        spread = args and not isinstance(args[0], Items)
        packed: list[Value] = [Items(tuple(args))] if spread else args
        return rules.call(f"jnp.{name}", [owner, *packed], kwargs)
    return owner if name in ("astype", "copy") else UNKNOWN


def builtin(name: str, args: list[Value]) -> Value:
    """Returns what `len`, `int`, `tuple` or `list` returns."""
    if len(args) != 1:
        return UNKNOWN
    value = args[0]
    if name == "len" and isinstance(value, Items):
        return Size(Dim.of(len(value.items)))
    if name == "int" and isinstance(value, Size):
        return value
    if name in ("tuple", "list") and isinstance(value, Items):
        return value
    return UNKNOWN


BUILTINS = ("len", "int", "tuple", "list")
