"""Questions to a traced function before it is exported."""

from collections.abc import Iterator, Sequence
from typing import Any

from jax.extend import core


def called_back(jaxpr: core.Jaxpr) -> str | None:
    """Returns the first primitive that reaches out of the graph, into Python or a stream."""
    for equation in equations(jaxpr):
        name = equation.primitive.name
        if any(word in name for word in ("callback", "print", "infeed", "outfeed")):
            return name
    return None


def equations(jaxpr: core.Jaxpr) -> Iterator[Any]:
    """Yields all equations, those of inner functions included."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in _inner(equation):
            yield from equations(_jaxpr(inner))


def listing(closed: core.ClosedJaxpr) -> str | None:
    """Returns a text that is equal for functions that are the same once dead code is dropped.

    None where text cannot tell, with array constants. Functions among the parameters print as
    addresses, so texts can be compared only while both functions are alive.
    """
    jaxpr = closed.jaxpr
    live, _ = _live(jaxpr, jaxpr.outvars)
    if closed.consts or any(_holds_constants(equation) for equation in live):
        return None
    names: dict[int, str] = {}

    def name(variable: Any) -> str:
        if isinstance(variable, core.Literal):
            return f"{variable.val!r}:{variable.aval}"
        return names.setdefault(id(variable), f"v{len(names)}:{variable.aval}")

    lines = [" ".join(map(name, jaxpr.invars))]
    for equation in reversed(live):
        given = " ".join(map(name, equation.invars))
        made = " ".join(map(name, equation.outvars))
        lines.append(f"{made} = {equation.primitive} {equation.params} {given}")
    return "\n".join([*lines, " ".join(map(name, jaxpr.outvars))])


def depends(jaxpr: core.Jaxpr, last: int) -> bool:
    """Returns whether other results are computed from one of the last ones."""
    _, needed = _live(jaxpr, jaxpr.outvars[:-last])
    return not needed.isdisjoint(map(id, jaxpr.outvars[-last:]))


def _live(jaxpr: core.Jaxpr, wanted: Sequence[Any]) -> tuple[list[Any], set[int]]:
    """Returns the equations that variables need, last first, and identities of what they read."""
    needed = set(map(id, wanted))
    live = []
    for equation in reversed(jaxpr.eqns):
        if needed.intersection(map(id, equation.outvars)):
            live.append(equation)
            needed.update(map(id, equation.invars))
    return live, needed


def _holds_constants(equation: Any) -> bool:
    return any(
        getattr(part, "consts", ()) or any(_holds_constants(e) for e in _jaxpr(part).eqns)
        for part in _inner(equation)
    )


def _jaxpr(part: core.ClosedJaxpr | core.Jaxpr) -> core.Jaxpr:
    return part.jaxpr if isinstance(part, core.ClosedJaxpr) else part


def _inner(equation: Any) -> list[Any]:
    """Returns the functions among an equation's parameters."""
    found = []
    for value in equation.params.values():
        parts = value if isinstance(value, tuple | list) else (value,)
        found += [part for part in parts if isinstance(part, core.ClosedJaxpr | core.Jaxpr)]
    return found
