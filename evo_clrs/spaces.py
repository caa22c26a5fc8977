"""Design spaces: finite spaces of architectures, whose programs are read and never run.

A design takes one option at each place of its space. As code it is a short function of calls, one
for each place; as its field writes it, an arch string. Both are read strictly: what belongs to
another space is refused with the line and the reason.

References: Dong and Yang, "NAS-Bench-201", ICLR 2020, https://arxiv.org/abs/2001.00326 (cells);
Su et al., "Prioritized Architecture Sampling with Monte-Carlo Tree Search" (NAS-Bench-Macro),
CVPR 2021, https://arxiv.org/abs/2103.11922; Dong et al., "NATS-Bench", TPAMI 2021,
https://arxiv.org/abs/2009.00437 (sizes).
"""

import ast
import dataclasses
import functools
import hashlib
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from evo_clrs import program

Choices = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a design has a choice.

    Attributes:
      name: what it is called, e.g. `edge 0 to 1`.
      options: what may stand there, in the order that numbers them.
    """

    name: str
    options: tuple[str, ...]


class Space(Protocol):
    """A finite space of designs with its two ways of writing one down.

    Attributes:
      name: the space's name.
      definition: name of the function that a program defines.
      opening: its first line.
      places: where a design has a choice, in the order of `choices`.
      about: the space in words, for prompts.
    """

    name: str
    definition: str
    opening: str
    places: tuple[Place, ...]
    about: str

    def __hash__(self) -> int: ...

    def read(self, source: str) -> Choices:
        """Returns the design of a program, without running it.

        Raises:
          ValueError: it is not a design of this space; the message names the line.
        """
        ...

    def write(self, choices: Choices) -> str:
        """Returns a design as a program."""
        ...

    def arch(self, choices: Choices) -> str:
        """Returns a design's arch string."""
        ...

    def from_arch(self, arch: str) -> Choices:
        """Returns the design of an arch string.

        Raises:
          ValueError: the string is damaged or belongs to another space.
        """
        ...


def identity(space: Space, choices: Choices) -> str:
    """Returns the identity of a design's program, 16 hexadecimal digits: same design, same one."""
    return hashlib.sha256(f"{space.name}:{space.arch(choices)}".encode()).hexdigest()[:16]


def check(space: Space, choices: Choices) -> None:
    """Raises ValueError unless there is one number of an option for each place."""
    fits = len(choices) == len(space.places) and all(
        0 <= choice < len(place.options)
        for choice, place in zip(choices, space.places, strict=True)
    )
    if not fits:
        raise ValueError(
            f"expected one option for each of {len(space.places)} places of {space.name}"
        )


class CellSpace:
    """NAS-Bench-201: a cell of four nodes; each is the sum of operations on the earlier ones.

    Places are the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, in the order of the arch string.
    """

    name = "nasbench201"
    definition = "build_cell"
    opening = "def build_cell(x0):\n"
    operations = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    edges = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    about = (
        "A cell of NAS-Bench-201: node x0 is the input; x1, x2 and x3 are each a sum of one "
        "operation on every earlier node, in order; x3 is the output. Operations: none (zero), "
        "skip_connect (identity), nor_conv_1x1 and nor_conv_3x3 (ReLU, convolution, batch "
        "normalisation), avg_pool_3x3. The network stacks 15 such cells in three stages."
    )

    def __init__(self) -> None:
        self.places = tuple(
            Place(f"edge {start} to {end}", self.operations) for start, end in self.edges
        )

    def read(self, source: str) -> Choices:
        """Returns the design of a program, see `Space.read`. An edge left out is `none`."""
        return _cached_read(self, source)

    def _read(self, source: str) -> Choices:
        parameter, body = _function(source, self.definition, self.operations)
        nodes = [parameter]
        found: dict[tuple[int, int], int] = {}
        for statement in body[:-1]:
            target, value = _assignment(statement)
            end = len(nodes)
            if end > 3 or target in nodes or target in self.operations:
                raise _fault(statement, "expected three new nodes, each assigned once")
            for term in _terms(value):
                operation, node = _call(term)
                edge = (self._node(nodes, node, term), end)
                if edge in found:
                    raise _fault(term, f"two operations from {_name(node)} to {_name(target)}")
                found[edge] = _number(self.operations, operation, term)
            nodes.append(target)
        if len(nodes) != 4:
            raise _fault(body[-1], f"expected three new nodes, got {len(nodes) - 1}")
        _check_return(body[-1], nodes[-1])
        return tuple(found.get(edge, 0) for edge in self.edges)

    def write(self, choices: Choices) -> str:
        """Returns a design as a program."""
        check(self, choices)
        terms: dict[int, list[str]] = {1: [], 2: [], 3: []}
        for (start, end), choice in zip(self.edges, choices, strict=True):
            terms[end].append(f"{self.operations[choice]}(x{start})")
        lines = [f"    x{end} = {' + '.join(parts)}\n" for end, parts in terms.items()]
        return self.opening + "".join(lines) + "    return x3\n"

    def arch(self, choices: Choices) -> str:
        """Returns a design's arch string, `|e01~0|+|e02~0|e12~1|+|e03~0|e13~1|e23~2|`."""
        names = [self.operations[choice] for choice in choices]
        a, b, c, d, e, f = names
        return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"

    def from_arch(self, arch: str) -> Choices:
        """Returns the design of an arch string, see `Space.from_arch`."""
        found = re.fullmatch(_CELL_ARCH, arch)
        if found is None:
            raise ValueError(f"not an arch string of NAS-Bench-201: {_short(arch)}")
        for name in found.groups():
            if name not in self.operations:
                raise ValueError(f"unknown operation {name!r} in arch string {_short(arch)}")
        return tuple(self.operations.index(name) for name in found.groups())

    def _node(self, nodes: Sequence[str], name: str, place: ast.AST) -> int:
        if name not in nodes:
            raise _fault(place, f"{_name(name)} is not a node yet")
        return nodes.index(name)


_CELL_ARCH = r"\|([^|~]+)~0\|\+\|([^|~]+)~0\|([^|~]+)~1\|\+\|([^|~]+)~0\|([^|~]+)~1\|([^|~]+)~2\|"


class ChainSpace:
    """A chain of layers, each with one of the same options, applied to one value `x` in turn."""

    definition = "build_network"
    opening = "def build_network(x):\n"

    def __init__(
        self,
        name: str,
        layers: Sequence[str],
        options: Sequence[str],
        symbols: Sequence[str],
        separator: str,
        about: str,
    ):
        """Makes the space.

        Args:
          name: the space's name.
          layers: name of each layer.
          options: what a layer may be, as functions called in programs.
          symbols: how an arch string writes each option.
          separator: what stands between symbols.
          about: the space in words.
        """
        self.name = name
        self.about = about
        self.places = tuple(Place(layer, tuple(options)) for layer in layers)
        self._options = tuple(options)
        self._symbols = tuple(symbols)
        self._separator = separator

    def read(self, source: str) -> Choices:
        """Returns the design of a program, see `Space.read`."""
        return _cached_read(self, source)

    def _read(self, source: str) -> Choices:
        value, body = _function(source, self.definition, self._options)
        choices = []
        for statement in body[:-1]:
            target, call = _assignment(statement)
            operation, argument = _call(call)
            if argument != value:
                raise _fault(
                    statement, f"expected a call on {_name(value)}, got one on {_name(argument)}"
                )
            choices.append(_number(self._options, operation, statement))
            if target in self._options:
                raise _fault(statement, f"{target} is the name of an operation")
            value = target
        _check_return(body[-1], value)
        if len(choices) != len(self.places):
            raise _fault(body[-1], f"expected {len(self.places)} layers, got {len(choices)}")
        return tuple(choices)

    def write(self, choices: Choices) -> str:
        """Returns a design as a program."""
        check(self, choices)
        lines = [f"    x = {self._options[choice]}(x)\n" for choice in choices]
        return self.opening + "".join(lines) + "    return x\n"

    def arch(self, choices: Choices) -> str:
        """Returns a design's arch string, e.g. `02012100` or `8:16:64:8:8`."""
        return self._separator.join(self._symbols[choice] for choice in choices)

    def from_arch(self, arch: str) -> Choices:
        """Returns the design of an arch string, see `Space.from_arch`."""
        parts = arch.split(self._separator) if self._separator else list(arch)
        if len(parts) != len(self.places) or not set(parts) <= set(self._symbols):
            raise ValueError(f"not an arch string of {self.name}: {_short(arch)}")
        return tuple(self._symbols.index(part) for part in parts)


CELL = CellSpace()

MACRO = ChainSpace(
    name="nasbench_macro",
    layers=[f"layer {number}" for number in range(1, 9)],
    options=("identity", "mb3_k3", "mb6_k5"),
    symbols=("0", "1", "2"),
    separator="",
    about=(
        "A network of NAS-Bench-Macro: eight layers in a chain, each one of identity, mb3_k3 "
        "(inverted bottleneck, expansion 3, kernel 3) and mb6_k5 (expansion 6, kernel 5)."
    ),
)

_WIDTHS = tuple(range(8, 65, 8))

SIZES = ChainSpace(
    name="nats_sizes",
    layers=("stem", "stage 1", "residual block 1", "stage 2", "residual block 2"),
    options=[f"channels_{width}" for width in _WIDTHS],
    symbols=[str(width) for width in _WIDTHS],
    separator=":",
    about=(
        "A size of NATS-Bench: how many channels each of five groups of layers puts out, from 8 to "
        "64 in steps of 8: the stem, the first stage of cells, the first residual block, the "
        "second stage, and the second residual block with the third stage; the cell is the same "
        "everywhere."
    ),
)

SPACES: Mapping[str, Space] = {space.name: space for space in (CELL, MACRO, SIZES)}


@functools.lru_cache(maxsize=1024)
def _cached_read(space: CellSpace | ChainSpace, source: str) -> Choices:
    """The same text is read by several rooms on its way.

    Text as `write` gives it, which is most of it, is read without parsing: ten times faster.
    """
    found = _plain_form(space).fullmatch(source)
    if found is not None and all(map(operator.contains, _options(space), found.groups())):
        return tuple(map(tuple.index, _options(space), found.groups()))
    try:
        return space._read(source)
    except RecursionError:
        raise ValueError("nested too deeply") from None


@functools.lru_cache
def _plain_form(space: CellSpace | ChainSpace) -> re.Pattern[str]:
    """Returns what text as `write` gives it looks like, with a group for each place."""
    first = re.escape(f"{space.places[0].options[0]}(")
    text = re.escape(space.write((0,) * len(space.places)))
    return re.compile(text.replace(first, r"(\w+)\("))


@functools.lru_cache
def _options(space: CellSpace | ChainSpace) -> tuple[tuple[str, ...], ...]:
    return tuple(place.options for place in space.places)


def _function(
    source: str, definition: str, operations: Sequence[str]
) -> tuple[str, list[ast.stmt]]:
    """Returns the one parameter and the statements of a program's only function."""
    tree = program.parse(source)
    body = [node for node in tree.body if not _is_text(node)]
    if len(body) != 1 or not isinstance(body[0], ast.FunctionDef):
        raise ValueError(f"expected one function {definition} and nothing else")
    function = body[0]
    if function.name != definition:
        raise _fault(function, f"expected a function {definition}, got {_name(function.name)}")
    arguments = function.args
    plain = len(arguments.args) == 1 and ast.unparse(arguments) == arguments.args[0].arg
    if not plain or function.decorator_list:
        raise _fault(function, f"expected {definition} to take one argument, and no decorator")
    if arguments.args[0].arg in operations:
        raise _fault(function, f"{arguments.args[0].arg} is the name of an operation")
    statements = [node for node in function.body if not _is_text(node)]
    if not statements:
        raise _fault(function, "the function is empty")
    if not isinstance(statements[-1], ast.Return):
        raise _fault(statements[-1], "expected a return at the end")
    return arguments.args[0].arg, statements


def _is_text(node: ast.stmt) -> bool:
    """Whether it is a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _assignment(statement: ast.stmt) -> tuple[str, ast.expr]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value
    raise _fault(statement, "expected an assignment to one name")


def _terms(value: ast.expr) -> Iterator[ast.expr]:
    """Yields the terms of a sum, left to right."""
    match value:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _terms(left)
            yield from _terms(right)
        case _:
            yield value


def _call(value: ast.expr) -> tuple[str, str]:
    """Returns operation and argument of `operation(argument)`."""
    match value:
        case ast.Call(func=ast.Name(id=operation), args=[ast.Name(id=argument)], keywords=[]):
            return operation, argument
    raise _fault(value, "expected operation(node)")


def _number(options: Sequence[str], name: str, place: ast.AST) -> int:
    if name not in options:
        raise _fault(place, f"unknown operation {_name(name)}: choose one of {', '.join(options)}")
    return options.index(name)


def _check_return(statement: ast.stmt, name: str) -> None:
    match statement:
        case ast.Return(value=ast.Name(id=returned)) if returned == name:
            return
    raise _fault(statement, f"expected `return {_name(name)}` at the end")


def _fault(place: ast.AST, reason: str) -> ValueError:
    return ValueError(f"line {getattr(place, 'lineno', 1)}: {reason}")


def _name(name: str) -> str:
    """Returns a name as a message shows it: a program may hold very long ones."""
    return name if len(name) <= 40 else name[:37] + "..."


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
