"""Programs as plain data flow: values, operations and regions, with nothing of MLIR left."""

import dataclasses
import re
from collections.abc import Iterator

# It hands on what it gets, each array at its place, but a compiler must have all of them first.
BARRIER = "stablehlo.optimization_barrier"
CUSTOM_CALL = "custom_call "  # before the name of what is called, in `Program.mentions`

_BITS = {"i1": 8, "pred": 8, "index": 64}


@dataclasses.dataclass(frozen=True)
class Type:
    """Type of a value.

    Attributes:
      shape: its dimensions; `()` for scalars and for what is no tensor.
      dtype: element type in MLIR's words, e.g. `f32`, `i1`, `ui32`.
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of elements."""
        elements = 1
        for dimension in self.shape:
            elements *= dimension
        return elements

    @property
    def bytes(self) -> int:
        """Bytes it takes in memory."""
        digits = re.search(r"\d+", self.dtype)
        bits = _BITS.get(self.dtype) or (int(digits.group()) if digits else 0)
        return self.size * max(bits // 8, 1) * (2 if "complex" in self.dtype else 1)

    def __str__(self) -> str:
        return "x".join([*map(str, self.shape), self.dtype])


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Value:
    """One array in a program; two values are the same only if they are the same object."""

    type: Type


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Operation:
    """One operation.

    Attributes:
      name: e.g. `stablehlo.add`.
      attributes: (name, text) pairs in order of name, without locations.
      operands: values it reads.
      results: values it makes.
      regions: nested regions, e.g. condition and body of a loop.
    """

    name: str
    attributes: tuple[tuple[str, str], ...]
    operands: tuple[Value, ...]
    results: tuple[Value, ...]
    regions: tuple["Region", ...] = ()

    def attribute(self, name: str) -> str:
        """Returns the text of an attribute, empty if it has none of that name."""
        return dict(self.attributes).get(name, "")


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Region:
    """Operations in order, between the arguments they get and the values they return.

    A region may read values of the regions around it.
    """

    arguments: tuple[Value, ...]
    operations: tuple[Operation, ...]
    results: tuple[Value, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A whole module on one platform, calls inlined.

    Attributes:
      body: what it computes; its arguments are those the module kept.
      positions: for each argument of `body`, its position among all arguments of the function
        (exports drop unused ones).
      arguments: number of arguments of the function, the dropped ones included.
      mentions: names of all operations in the module, dead code and the code for other platforms
        included; for a custom call, `CUSTOM_CALL` and the name of what is called.
      elsewhere: the same module on the other platforms, where it does something else there.
    """

    body: Region
    positions: tuple[int, ...]
    arguments: int
    mentions: frozenset[str] = frozenset()
    elsewhere: tuple["Program", ...] = ()


def walk(region: Region) -> Iterator[Operation]:
    """Yields all operations of a region and of the regions within it."""
    for operation in region.operations:
        yield operation
        for inner in operation.regions:
            yield from walk(inner)
