"""No module within the jail's size limits takes the gates' time or memory."""

import time

import jax
import jax.numpy as jnp
import pytest

from evo_clrs.errors import Rejected
from evo_clrs.gates import mlir, terms
from evo_clrs.gates.cost import program_cost
from evo_clrs.gates.liveness import live_arguments, needs
from evo_clrs.gates.terms import Terms

SHORT = 20.0  # seconds of CPU time; each of these took minutes, or more memory than there is
T, P = "tensor<f32>", "tensor<i32>"


def module(*functions: str) -> str:
    return f"module {{\n{chr(10).join(functions)}\n}}"


def doubled(count: int, results: int) -> list[str]:
    """Functions that call `f0` 2^count times, each handing on what it returns."""
    types = ", ".join([T] * results)
    functions = []
    for number in range(1, count + 1):
        calls = "\n".join(
            f"%{name}:{results} = func.call @f{number - 1}(%p) : ({P}) -> ({types})"
            for name in "ab"
        )
        returned = ", ".join(f"%b#{i}" for i in range(results))
        functions.append(
            f"func.func private @f{number}(%p: {P}) -> ({types}) {{\n{calls}\n"
            f"return {returned} : {types}}}"
        )
    main = f"%a:{results} = func.call @f{count}(%p) : ({P}) -> ({types})\nreturn %a#0 : {T}"
    platform = f'%p: {P} {{jax.global_constant = "_platform_index"}}'
    return [*functions, f"func.func public @main({platform}) -> {T} {{\n{main}\n}}"]


def quickly(function, *arguments):
    started = time.process_time()
    try:
        return function(*arguments)
    finally:
        assert time.process_time() - started < SHORT


def test_calls_that_return_thousands_of_arrays_are_counted_by_those():
    types = ", ".join([T] * 2000)
    returned = ", ".join(["%c"] * 2000)
    first = (
        f"func.func private @f0(%p: {P}) -> ({types}) {{\n"
        f"%c = stablehlo.constant dense<1.0> : {T}\nreturn {returned} : {types}}}"
    )
    with pytest.raises(Rejected, match="read and make more than") as caught:
        quickly(mlir.read, module(first, *doubled(17, 2000)))
    assert caught.value.stage == "over_budget"


def test_comparing_what_each_platform_does_is_counted():
    branches = ", ".join(
        f"{{ %{i} = stablehlo.sine %x : {T}\nstablehlo.return %{i} : {T} }}" for i in range(3000)
    )
    first = (
        f"func.func private @f0(%p: {P}) -> {T} {{\n%x = stablehlo.constant dense<1.0> : {T}\n"
        f'%y = "stablehlo.case"(%p) ({branches}) : (tensor<i32>) -> {T}\nreturn %y : {T}}}'
    )
    with pytest.raises(Rejected, match="more than") as caught:
        quickly(mlir.read, module(first, *doubled(15, 1)))
    assert caught.value.stage == "over_budget"


def test_a_large_constant_that_many_operations_share_is_printed_once():
    numbers = ", ".join(map(str, range(100_000)))
    lines = "\n".join(
        f"%{i + 1} = stablehlo.add %{i}, %{i} {{mark = #mark}} : {T}" for i in range(2000)
    )
    text = f"func.func public @main(%0: {T}) -> {T} {{\n{lines}\nreturn %2000 : {T}}}"
    alias = f"#mark = dense<[{numbers}]> : tensor<100000xi32>\n"
    program = quickly(mlir.read, alias + module(text))
    assert len(program.body.operations) == 2000


def test_an_operation_with_thousands_of_operands_and_results():
    text = jax.jit(lambda *xs: jax.lax.sort(xs)).lower(*[jnp.ones(3)] * 1500).as_text()
    program = mlir.read(text)
    table = needs(program)
    assert sum(map(len, table.values())) < 20 * 1500
    assert live_arguments(program) == frozenset(range(1500))


def loop(count: int, body, start: float) -> mlir.Program:
    def run(x):
        first = (x, *[jnp.float32(start)] * (count - 1))
        return jax.lax.fori_loop(0, 3, body, first)[-1]

    return mlir.read(jax.jit(run).lower(jnp.float32(1)).as_text())


def shift(_, carries):
    return (jnp.sin(carries[-1]), *carries[:-1])


def test_a_loop_with_many_carries_is_costed_at_once():
    program = loop(800, shift, 1.0)
    started = time.process_time()
    assert program_cost(program).peak_bytes > 4 * 800
    assert time.process_time() - started < 0.8  # it took 2 s, and four times that for twice as many


def test_telling_carries_apart_has_a_budget(monkeypatch):
    program = loop(60, shift, 1.0)
    whole = Terms()
    whole.evaluate(program.body, [whole.leaf("x")])
    monkeypatch.setattr(terms, "MAX_STEPS", 1000)
    short = Terms()
    with pytest.raises(Rejected, match="too long to tell from others") as caught:
        short.evaluate(program.body, [short.leaf("x")])
    assert caught.value.stage == "over_budget"
