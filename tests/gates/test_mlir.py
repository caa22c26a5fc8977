"""Modules become plain data flow: calls inlined, one platform, no names."""

import jax
import jax.numpy as jnp
import pytest
from jax import export

from evo_clrs import records
from evo_clrs.errors import Rejected
from evo_clrs.gates import inline, mlir
from evo_clrs.gates.dataflow import Type, walk
from evo_clrs.gates.liveness import without_dead_code

X = jax.ShapeDtypeStruct((2, 3), jnp.float32)
KEY = jax.ShapeDtypeStruct((2,), jnp.uint32)
TYPE = "tensor<2x3xf32>"


def text_of(function, *arguments):
    return jax.jit(function, keep_unused=True).lower(*arguments).as_text()


def exported(function, *arguments, vjp_order=1):
    made = export.export(jax.jit(function), platforms=("cpu", "cuda", "tpu"))(*arguments)
    return bytes(made.serialize(vjp_order=vjp_order))


def names(program):
    return [operation.name.removeprefix("stablehlo.") for operation in walk(program.body)]


def test_calls_are_inlined():
    twice = jax.jit(lambda x: jnp.sin(x))
    program = mlir.read(text_of(lambda x: twice(twice(x)), X))
    assert names(program) == ["sine", "sine"]
    first, second = program.body.operations
    assert first.operands == program.body.arguments
    assert second.operands == first.results
    assert program.body.results == second.results


def test_types_and_attributes():
    program = mlir.read(text_of(lambda x: jnp.transpose(x), X))
    (operation,) = program.body.operations
    assert operation.results[0].type == Type((3, 2), "f32")
    assert operation.results[0].type.bytes == 24
    assert operation.attributes == (("permutation", "array<i64: 1, 0>"),)
    assert Type((), "i1").bytes == 1
    assert Type((5,), "complex<f32>").bytes == 40
    assert Type((5, 2), "bf16").bytes == 20


def test_one_platform_is_chosen():
    def by_platform(x):
        return jax.lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos)

    program = mlir.read(exported(by_platform, X))
    assert names(without_dead_code(program)) == ["sine"]
    assert program.positions == (0,)
    assert "stablehlo.cosine" in program.mentions


def test_random_numbers_have_one_platform_too():
    program = mlir.read(exported(lambda key: jax.random.normal(key, (4,)), KEY, vjp_order=0))
    assert "case" not in names(program)


def test_dropped_arguments_keep_their_positions():
    program = mlir.read(exported(lambda x, y, z: x * z, X, X, X))
    assert program.positions == (0, 2)
    assert program.arguments == 3


def test_identities_are_dropped():
    text = f"""func.func public @main(%x: {TYPE}) -> {TYPE} {{
        %0 = stablehlo.convert %x : ({TYPE}) -> {TYPE}
        %1 = stablehlo.reshape %0 : ({TYPE}) -> {TYPE}
        %2 = stablehlo.negate %1 : {TYPE}
        return %2 : {TYPE} }}"""
    assert names(mlir.read(text)) == ["negate"]


def test_calls_that_stand_for_too_many_operations_are_rejected(monkeypatch):
    def twice(function):
        return jax.jit(lambda x: function(function(x)))

    function = jnp.sin
    for _ in range(6):
        function = twice(function)
    text = text_of(function, X)
    assert names(mlir.read(text)) == ["sine"] * 64
    monkeypatch.setattr(inline, "MAX_OPERATIONS", 60)
    with pytest.raises(Rejected, match="more than 60 operations") as caught:
        mlir.read(text)
    assert caught.value.stage == "over_budget"


def test_bytes_that_are_no_export_are_rejected():
    entry = records.SizedGraph(records.make_size(N=3), b"noise" * 20, b"noise" * 20, ((2, 3),))
    with pytest.raises(Rejected, match="cannot be read") as caught:
        mlir.read_graph(records.Graph("test", (), (entry,), {}))
    assert caught.value.stage == "trace"


def test_exports_of_another_function_are_rejected():
    apply, init = exported(lambda x: x + 1, X), exported(lambda key: key * 1, KEY, vjp_order=0)
    entry = records.SizedGraph(records.make_size(N=3), init, apply, ((2, 3), (2, 3)))
    with pytest.raises(Rejected, match="arguments and results"):
        mlir.read_graph(records.Graph("test", (), (entry,), {}))
