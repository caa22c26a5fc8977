"""What can influence what: dead code, live parameters, and programs that cannot matter.

Everything here is reachability in one graph, "to know this value one needs those". Loops are exact
in the carries: a carry that no result and no condition reads is dead. Values that cancel (`x - x`,
`0 * x`) count as read, so an argument reported dead is dead for certain.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from evo_clrs.gates import mlir
from evo_clrs.gates.dataflow import BARRIER, Operation, Program, Region, Value, walk
from evo_clrs.gates.mlir import GraphPrograms
from evo_clrs.records import Graph

Needs = Mapping[Value, tuple[Value, ...]]


def needs(program: Program) -> Needs:
    """Returns, for each value that an operation makes, the values needed to know it."""
    table: dict[Value, tuple[Value, ...]] = {}
    for operation in walk(program.body):
        if operation.name == "stablehlo.while":
            _needs_of_loop(operation, table)
        elif operation.name == BARRIER:
            pairs = zip(operation.results, operation.operands, strict=True)
            table.update({result: (operand,) for result, operand in pairs})
        elif operation.name in ("stablehlo.case", "stablehlo.if"):
            for position, result in enumerate(operation.results):
                branches = (region.results[position] for region in operation.regions)
                table[result] = (operation.operands[0], *branches)
        else:
            returned = [value for region in operation.regions for value in region.results]
            first, others = operation.results[:1], operation.results[1:]
            table.update(dict.fromkeys(first, (*operation.operands, *returned)))
            table.update(dict.fromkeys(others, first))  # all of them need the same
    return table


def _needs_of_loop(operation: Operation, table: dict[Value, tuple[Value, ...]]) -> None:
    condition, body = operation.regions
    for position, result in enumerate(operation.results):
        start = operation.operands[position]
        carried = (start, body.results[position])
        table[condition.arguments[position]] = carried
        table[body.arguments[position]] = carried
        unchanged = body.results[position] is body.arguments[position]
        table[result] = (start,) if unchanged else (*carried, *condition.results)


def reachable(table: Needs, roots: Iterable[Value]) -> set[Value]:
    """Returns the roots and all values that they need, directly or not."""
    waiting = list(roots)
    found = set(waiting)
    while waiting:
        for value in table.get(waiting.pop(), ()):
            if value not in found:
                found.add(value)
                waiting.append(value)
    return found


def without_dead_code(program: Program) -> Program:
    """Returns the same function without operations, loop carries and branches' results unused."""
    live = reachable(needs(program), program.body.results)
    return dataclasses.replace(program, body=_alive(program.body, live))


def _alive(region: Region, live: Collection[Value]) -> Region:
    operations = tuple(
        _alive_operation(operation, live)
        for operation in region.operations
        if any(_is_live(operation, position, live) for position in range(len(operation.results)))
    )
    return Region(region.arguments, operations, region.results)


def _is_live(operation: Operation, position: int, live: Collection[Value]) -> bool:
    """Whether a result is read; a loop's result also where the loop itself reads its carry."""
    if operation.results[position] in live:
        return True
    return operation.name == "stablehlo.while" and any(
        region.arguments[position] in live for region in operation.regions
    )


def _alive_operation(operation: Operation, live: Collection[Value]) -> Operation:
    regions = tuple(_alive(region, live) for region in operation.regions)
    operands, results = operation.operands, operation.results
    kept = [i for i in range(len(results)) if _is_live(operation, i, live)]

    def keep(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(values[i] for i in kept)

    if operation.name == "stablehlo.while":
        condition, body = regions
        operands, results = keep(operands), keep(results)
        regions = (
            Region(keep(condition.arguments), condition.operations, condition.results),
            Region(keep(body.arguments), body.operations, keep(body.results)),
        )
    elif operation.name == BARRIER:
        operands, results = keep(operands), keep(results)
    elif operation.name in ("stablehlo.case", "stablehlo.if"):
        results = keep(results)
        regions = tuple(
            Region(region.arguments, region.operations, keep(region.results)) for region in regions
        )
    return Operation(operation.name, operation.attributes, operands, results, regions)


def output_dependencies(module: bytes | str | Program) -> tuple[frozenset[int], ...]:
    """Returns, for each result of a module, the positions of the arguments that can influence it.

    Args:
      module: a serialised `jax.export` artefact, StableHLO text, or a program already read.
        Positions are those of the flat arguments of the exported function; in text, those of
        `main`, the platform index left out.

    Raises:
      Rejected: as `mlir.read`.
    """
    program = module if isinstance(module, Program) else mlir.read(module)
    table = needs(program)
    by_result: dict[Value, frozenset[int]] = {}
    for result in program.body.results:
        if result not in by_result:
            by_result[result] = _arguments_in(program, reachable(table, [result]))
    return tuple(by_result[result] for result in program.body.results)


def live_arguments(module: bytes | str | Program) -> frozenset[int]:
    """Returns the positions of the arguments that can influence any result of a module.

    Arguments and errors as in `output_dependencies`.
    """
    program = module if isinstance(module, Program) else mlir.read(module)
    return _arguments_in(program, reachable(needs(program), program.body.results))


def _arguments_in(program: Program, values: Collection[Value]) -> frozenset[int]:
    pairs = zip(program.positions, program.body.arguments, strict=True)
    return frozenset(position for position, argument in pairs if argument in values)


def live_slot_outputs(module: bytes | str | Program, probes: Iterable[int]) -> frozenset[int]:
    """Returns which of the slot's outputs reach a prediction of the task.

    Args:
      module: the task's predictions with a probe in the slot: a slot whose outputs are arguments
        of the module.
      probes: positions of those arguments, in the order of the slot's outputs.
    """
    live = live_arguments(module)
    return frozenset(output for output, probe in enumerate(probes) if probe in live)


def inert(graph: Graph | GraphPrograms, live_outputs: Collection[int]) -> bool:
    """Whether a program cannot change a prediction of the task.

    So it is if no output of it that predictions read depends on a parameter or an input: then
    training the slot, or leaving it out, makes no difference that the rest of the model could
    not make itself.

    Args:
      graph: the program's graph; inert means inert at every size, for one seed alone.
      live_outputs: outputs of the slot that predictions read, by position in the slot (absent
        optional outputs counted), as `live_slot_outputs` finds them.

    Raises:
      Rejected: as `mlir.read`.
    """
    programs = graph if isinstance(graph, GraphPrograms) else mlir.read_graph(graph)
    programs = programs.for_seeds(None)
    for sized, program in zip(programs.graph.sizes, programs.forward, strict=True):
        present = [i for i, shape in enumerate(sized.outputs) if shape is not None]
        dependencies = output_dependencies(program)
        if any(
            output in live_outputs and dependencies[index] for index, output in enumerate(present)
        ):
            return False
    return True
