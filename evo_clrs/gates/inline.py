"""Inlining: every call replaced by what it calls, and one platform chosen."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

from evo_clrs.errors import Rejected
from evo_clrs.gates.dataflow import Operation, Region, Type, Value

# A few lines of nested `jax.jit` can stand for millions of operations.
MAX_OPERATIONS = 400_000  # of all modules of a graph together
MAX_DEPTH = 40  # calls and regions within each other
MAX_VALUES = 10 * MAX_OPERATIONS  # read and made by them; one operation may take thousands

# These change nothing where they do not change the type.
_IDENTITIES = ("stablehlo.convert", "stablehlo.reshape")


@dataclasses.dataclass(frozen=True)
class Inlined:
    """What `inline` found.

    Attributes:
      body: the region with calls inlined.
      differs: whether another platform would do something else.
    """

    body: Region
    differs: bool


class Tally:
    """Counts what inlining comes to, so that no module takes its reader's time or memory."""

    def __init__(self) -> None:
        self._operations = 0
        self._values = 0

    def add(self, operations: int, values: int) -> None:
        """Counts operations, and values that are read or made.

        Raises:
          Rejected: at stage `over_budget` when there are too many.
        """
        self._operations += operations
        self._values += values
        if self._operations > MAX_OPERATIONS:
            raise Rejected("over_budget", f"more than {MAX_OPERATIONS} operations")
        if self._values > MAX_VALUES:
            raise Rejected("over_budget", f"operations read and make more than {MAX_VALUES} arrays")

    def add_operation(self, operation: Operation) -> None:
        """Counts one operation, its regions left out; raises Rejected as `add`."""
        self.add(1, len(operation.operands) + len(operation.results))


def inline(
    functions: Mapping[str, Region],
    main: Region,
    known: Mapping[Value, int],
    tally: Tally | None = None,
) -> Inlined:
    """Returns a region with calls inlined, choices by a known index made, identities dropped.

    Args:
      functions: what calls may call, by name.
      main: the region.
      known: arguments of it whose number is known, that of the platform; they stay among its
        arguments.
      tally: what was counted before and is to count with it.

    Raises:
      Rejected: at stage `over_budget` when that makes too many operations.
    """
    inliner = _Inliner(functions, known, tally or Tally())
    return Inlined(inliner.inline(main, {}), inliner.differs)


def alike(
    one: Region,
    other: Region,
    same: Mapping[Value, Value] | None = None,
    tally: Tally | None = None,
) -> bool:
    """Whether two regions hold the same operations in the same order.

    Args:
      one: a region.
      other: another one.
      same: values of `other` that stand for values of `one`; any other stands for itself.
      tally: counts what is compared.
    """
    tally = tally or Tally()
    stands_for = dict(same or {})
    stands_for.update(zip(other.arguments, one.arguments, strict=False))

    def matched(values: Sequence[Value], others: Sequence[Value]) -> bool:
        return tuple(values) == tuple(stands_for.get(value, value) for value in others)

    if len(one.operations) != len(other.operations):
        return False
    for a, b in zip(one.operations, other.operations, strict=True):
        tally.add_operation(a)
        if (a.name, a.attributes, len(a.regions)) != (b.name, b.attributes, len(b.regions)):
            return False
        if not matched(a.operands, b.operands):
            return False
        if [result.type for result in a.results] != [result.type for result in b.results]:
            return False
        pairs = zip(a.regions, b.regions, strict=True)
        if not all(alike(x, y, stands_for, tally) for x, y in pairs):
            return False
        stands_for.update(zip(b.results, a.results, strict=True))
    return matched(one.results, other.results)


class _Inliner:
    """Copies a region with calls inlined, choices by a known index made, identities dropped."""

    def __init__(self, functions: Mapping[str, Region], known: Mapping[Value, int], tally: Tally):
        self._functions = functions
        self._known = dict(known)
        self.differs = False
        self._tally = tally
        self._depth = 0

    def inline(self, region: Region, env: dict[Value, Value]) -> Region:
        """Returns a copy of the region; `env` maps values of the original to those of the copy."""
        arguments = tuple(env.setdefault(argument, argument) for argument in region.arguments)
        out: list[Operation] = []
        results = self._copy(region, env, out)
        return Region(arguments, tuple(out), results)

    def _copy(
        self, region: Region, env: dict[Value, Value], out: list[Operation]
    ) -> tuple[Value, ...]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Rejected("over_budget", f"calls and loops nested more than {MAX_DEPTH} deep")
        self._tally.add(0, len(region.arguments) + len(region.results))
        for operation in region.operations:
            self._tally.add_operation(operation)
            operands = tuple(env[operand] for operand in operation.operands)
            replaced = self._replace(operation, operands, env, out)
            if replaced is None:
                replaced = self._emit(operation, operands, env, out)
            env.update(zip(operation.results, replaced, strict=True))
        self._depth -= 1
        return tuple(env[result] for result in region.results)

    def _replace(
        self,
        operation: Operation,
        operands: tuple[Value, ...],
        env: dict[Value, Value],
        out: list[Operation],
    ) -> tuple[Value, ...] | None:
        """Returns the values that stand for the operation's results if it need not stay."""
        if operation.name in _IDENTITIES and all(
            operand.type == result.type
            for operand, result in zip(operands, operation.results, strict=True)
        ):
            return operands
        callee = None
        if operation.name in ("func.call", "call"):
            callee = operation.attribute("callee")
        elif operation.name == "stablehlo.composite":
            callee = operation.attribute("decomposition")
        if callee is not None:
            function = self._functions[callee.removeprefix("@").strip('"')]
            return self._copy(function, dict(zip(function.arguments, operands, strict=True)), out)
        if operation.name == "stablehlo.case" and operands[0] in self._known:
            last = len(operation.regions) - 1
            index = self._known[operands[0]]
            chosen = operation.regions[index if 0 <= index <= last else last]
            self.differs |= not self._same_everywhere(operation, chosen, env)
            return self._copy(chosen, env, out)
        return None

    def _same_everywhere(
        self, choice: Operation, chosen: Region, env: Mapping[Value, Value]
    ) -> bool:
        """Whether all branches are alike, or only number the platforms in another way."""
        regions = choice.regions
        self._tally.add(0, sum(1 + len(region.results) for region in regions))
        if not any(region.operations for region in regions):
            numbers = (env.get(value) for region in regions for value in region.results)
            if all(number in self._known for number in numbers):
                return True
        return all(
            region is chosen or alike(chosen, region, tally=self._tally) for region in regions
        )

    def _emit(
        self,
        operation: Operation,
        operands: tuple[Value, ...],
        env: dict[Value, Value],
        out: list[Operation],
    ) -> tuple[Value, ...]:
        results = tuple(Value(result.type) for result in operation.results)
        if operation.name == "stablehlo.constant" and results[0].type == Type((), "i32"):
            number = re.match(r"dense<(-?\d+)>", operation.attribute("value"))
            if number:
                self._known[results[0]] = int(number.group(1))
        regions = []
        for region in operation.regions:
            inner = {argument: Value(argument.type) for argument in region.arguments}
            regions.append(self.inline(region, _Scope(env, inner)))
        out.append(
            Operation(operation.name, operation.attributes, operands, results, tuple(regions))
        )
        return results


class _Scope(dict[Value, Value]):
    """A dictionary that falls back on that of the scope around it."""

    def __init__(self, outer: Mapping[Value, Value], own: Mapping[Value, Value]):
        super().__init__(own)
        self._outer = outer

    def __missing__(self, value: Value) -> Value:
        return self._outer[value]
