"""Artefacts that are not of what was asked for are refused, each with a line that says why."""

import dataclasses
import random
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax._src import effects
from jax._src.interpreters import mlir as jax_mlir
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

from evo_clrs.errors import Rejected
from evo_clrs.gates import artefacts, operations
from evo_clrs.jail.jail import Jail
from evo_clrs.jail.limits import Limits
from evo_clrs.records import Graph, Parameter, SizedGraph, for_seeds, make_size
from evo_clrs.slots import Slot, Tensor

B, H = 2, 3
SLOT = Slot(
    name="test",
    kind="function",
    definition="layer",
    base=None,
    constants=(),
    call_constants=(),
    inputs=(Tensor("x", ("B", "H"), "features"),),
    outputs=(Tensor("y", ("B", "H"), "features"),),
    properties=(),
    opening="def layer(",
    about="A layer.",
)
PLATFORMS = artefacts.PLATFORMS
KEY = jax.ShapeDtypeStruct((2,), jnp.uint32)


def spec(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def init(key):
    return (jax.random.normal(key, (H, H)),)


def apply(parameters, key, inputs):
    return (jnp.tanh(inputs[0] @ parameters[0]),)


def exported(function, *arguments, order=1, platforms=PLATFORMS, **options):
    made = export.export(jax.jit(function, **options), platforms=platforms)(*arguments)
    return bytes(made.serialize(vjp_order=order))


def graph(init_artefact=None, apply_artefact=None):
    """A graph of `SLOT` with a parameter of shape [H, H]; what is not given is honest."""
    entry = SizedGraph(
        make_size(B=B, H=H),
        init_artefact or exported(init, KEY, order=0),
        apply_artefact or applied(apply),
        ((B, H),),
    )
    return Graph("test", (Parameter("w", (H, H), "float32"),), (entry,), {})


def applied(function, weights=((H, H),), inputs=((B, H),), key=KEY, dtype=jnp.float32, **options):
    """The export of a function by apply's calling convention."""
    weights = tuple(spec(*shape) for shape in weights)
    inputs = tuple(spec(*shape, dtype=dtype) for shape in inputs)
    return exported(function, weights, key, inputs, **options)


def refusal(forged: Graph) -> str:
    with pytest.raises(Rejected) as caught:
        check(forged)
    assert caught.value.stage == "trace"
    return caught.value.reason


def check(graph_: Graph) -> Graph:
    """As the jail does."""
    written, modules = artefacts.unpack(graph_, SLOT)
    for module in modules:
        artefacts.verify(module)
    return written


def test_an_honest_graph_comes_out_as_it_went_in():
    honest = graph()
    assert check(honest) == honest


def test_three_modules_are_verified():
    _, modules = artefacts.unpack(graph(), SLOT)
    assert [module.what for module in modules] == [
        "init at B=2, H=3",
        "apply at B=2, H=3",
        "VJP of apply at B=2, H=3",
    ]
    assert modules[0].results == ("tensor<3x3xf32>",)
    # Neither apply nor its VJP reads the key, so it is not among their arguments.
    assert modules[1].arguments == ("tensor<i32>", "tensor<3x3xf32>", "tensor<2x3xf32>")


S = 4


def seeds_together(function, key=(S, 2), weights=((S, H, H),), inputs=((S, B, H),)):
    """A graph whose only size is for seeds together, with this function mapped over them."""
    key = jax.ShapeDtypeStruct(key, jnp.uint32)
    honest = graph(apply_artefact=applied(function, weights, inputs, key))
    size = for_seeds(honest.sizes[0].size, S)
    return dataclasses.replace(honest, sizes=(dataclasses.replace(honest.sizes[0], size=size),))


def test_seeds_together_have_an_axis_of_their_own():
    honest = seeds_together(jax.vmap(apply))
    assert check(honest) == honest
    _, modules = artefacts.unpack(honest, SLOT)
    assert modules[0].results == ("tensor<3x3xf32>",)  # init is for one of them
    assert modules[1].arguments == ("tensor<i32>", "tensor<4x3x3xf32>", "tensor<4x2x3xf32>")
    assert modules[1].results == ("tensor<4x2x3xf32>",)


SHARED = (None, None, 0)


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        (lambda: graph(apply_artefact=applied(apply)), "argument 0 as float32[4,3,3]"),
        (
            lambda: seeds_together(jax.vmap(apply), (3, 2), ((3, H, H),), ((3, B, H),)),
            "argument 0 as float32[4,3,3]",
        ),
        (
            lambda: seeds_together(jax.vmap(apply, SHARED), (S, 2), ((H, H),)),
            "argument 0 as float32[4,3,3]",
        ),
        (lambda: seeds_together(jax.vmap(apply, (0, None, 0)), (2,)), "argument 1 as uint32[4,2]"),
        (
            lambda: seeds_together(lambda p, k, x: (jax.vmap(apply)(p, k, x)[0][0],)),
            "result 0 as float32[4,2,3]",
        ),
    ],
    ids=["none", "another number", "shared parameters", "one key", "one output"],
)
def test_another_axis_than_that_of_the_seeds_is_refused(forged, reason):
    found = forged()
    size = for_seeds(make_size(B=B, H=H), S)
    found = dataclasses.replace(found, sizes=(dataclasses.replace(found.sizes[0], size=size),))
    assert refusal(found) == f"apply at B=2, H=3, S=4 is not exported with {reason}"


def two_outputs(parameters, key, inputs):
    return apply(parameters, key, inputs) * 2


DECLARED = {
    "other shape of the output": (
        lambda: applied(lambda p, k, x: (apply(p, k, x)[0][:1],)),
        "with result 0 as float32[2,3]",
    ),
    "other dtype of the output": (
        lambda: applied(lambda p, k, x: (apply(p, k, x)[0].astype(jnp.float16),)),
        "with result 0 as float32[2,3]",
    ),
    "other shape of the input": (
        lambda: applied(apply, inputs=[(B + 1, H)]),
        "with argument 2 as float32[2,3]",
    ),
    "other dtype of the input": (
        lambda: applied(apply, dtype=jnp.bfloat16),
        "with argument 2 as float32[2,3]",
    ),
    "other parameters": (
        lambda: applied(apply, weights=[(H, H), (H,)]),
        "with 3 arguments",
    ),
    "more outputs": (lambda: applied(two_outputs), "with 1 results"),
    "no output": (lambda: applied(lambda p, k, x: ()), "with 1 results"),
    "no VJP": (lambda: applied(apply, order=0), "with its orders of VJP"),
    "a VJP of a VJP": (lambda: applied(apply, order=2), "with its orders of VJP"),
    "one platform": (
        lambda: applied(apply, platforms=["cpu"]),
        "with the platforms cpu, cuda, tpu",
    ),
    "platforms in another order": (
        lambda: applied(apply, platforms=["cuda", "cpu", "tpu"]),
        "with the platforms cpu, cuda, tpu",
    ),
    "shape that is left open": (
        lambda: exported(
            apply,
            (spec(H, H),),
            KEY,
            (jax.ShapeDtypeStruct(export.symbolic_shape("b, 3"), jnp.float32),),
        ),
        "with argument 2 as float32[2,3]",
    ),
    "checks left out": (
        lambda: bytes(
            export.export(
                jax.jit(apply),
                platforms=PLATFORMS,
                disabled_checks=[export.DisabledSafetyCheck.custom_call("anything")],
            )((spec(H, H),), KEY, (spec(B, H),)).serialize(vjp_order=1)
        ),
        "with all safety checks",
    ),
}


@pytest.mark.parametrize("name", DECLARED)
def test_what_an_export_declares_must_be_what_was_asked_for(name):
    forge, reason = DECLARED[name]
    found = refusal(graph(apply_artefact=forge()))
    assert "apply at B=2, H=3 is not exported " in found and found.endswith(reason), found


def test_init_and_apply_cannot_change_places():
    honest = graph().sizes[0]
    found = refusal(graph(init_artefact=honest.apply, apply_artefact=honest.init))
    assert found == "init at B=2, H=3 is not exported with its orders of VJP"
    found = refusal(
        graph(init_artefact=exported(apply, (spec(H, H),), KEY, (spec(B, H),), order=0))
    )
    assert found == "init at B=2, H=3 is not exported with 1 arguments"


def reexport(artefact: bytes, vjp=None, **changes) -> bytes:
    """An export with some of what it says replaced, as one who writes the bytes himself can."""
    made = export.deserialize(bytearray(artefact))
    derived = vjp or made.vjp()
    changed = dataclasses.replace(made, **changes, _get_vjp=lambda _: derived)
    return bytes(changed.serialize(vjp_order=1))


@pytest.mark.parametrize(
    ("function", "weights", "inputs", "reason"),
    [
        (lambda p, k, x: (x[0][:1],), (H, H), (B, H), "main has 2 arguments, not 3"),
        (
            lambda p, k, x: (x[0][:1] @ p[0],),
            (H, H),
            (B, H),
            "main has result 0 of tensor<1x3xf32>, not tensor<2x3xf32>",
        ),
        (
            lambda p, k, x: (x[0] @ p[0],),
            (4, H),
            (B, 4),
            "main has argument 1 of tensor<4x3xf32>, not tensor<3x3xf32>",
        ),
        (two_outputs, (H, H), (B, H), "main has 2 results, not 1"),
    ],
)
def test_another_module_behind_the_same_declaration_is_refused(function, weights, inputs, reason):
    other = export.export(jax.jit(function), platforms=PLATFORMS)(
        (spec(*weights),), KEY, (spec(*inputs),)
    )
    forged = reexport(graph().sizes[0].apply, mlir_module_serialized=other.mlir_module_serialized)
    assert refusal(graph(apply_artefact=forged)) == f"apply at B=2, H=3: {reason}"


def test_another_function_behind_the_vjp_is_refused():
    honest = export.deserialize(bytearray(graph().sizes[0].apply))
    forged = reexport(honest.serialize(vjp_order=1), vjp=honest)
    found = refusal(graph(apply_artefact=forged))
    assert found == "VJP of apply at B=2, H=3 is not exported with 4 arguments"
    vjp = dataclasses.replace(honest.vjp(), mlir_module_serialized=honest.mlir_module_serialized)
    found = refusal(graph(apply_artefact=reexport(honest.serialize(vjp_order=1), vjp=vjp)))
    assert found.startswith("VJP of apply at B=2, H=3: main has 3 arguments, not ")


def test_module_of_one_platform_is_refused():
    single = export.export(jax.jit(apply), platforms=["cpu"])((spec(H, H),), KEY, (spec(B, H),))
    forged = reexport(graph().sizes[0].apply, mlir_module_serialized=single.mlir_module_serialized)
    found = refusal(graph(apply_artefact=forged))
    assert found == "apply at B=2, H=3: main has 2 arguments, not 3"


@dataclasses.dataclass(frozen=True)
class Printing(effects.Effect):
    """An effect that can be written down, as those of `jax.debug.print` cannot."""


@pytest.mark.parametrize("kind", ["ordered_effects", "unordered_effects"])
def test_effects_are_refused(kind):
    found = refusal(graph(apply_artefact=reexport(graph().sizes[0].apply, **{kind: (Printing(),)})))
    assert found == "apply at B=2, H=3 is not exported with no effects"


def test_more_devices_than_one_are_refused():
    found = refusal(graph(apply_artefact=reexport(graph().sizes[0].apply, nr_devices=2)))
    assert found == "apply at B=2, H=3 is not exported with one device"
    mesh = jax.sharding.AbstractMesh((1,), ("batch",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))
    forged = reexport(graph().sizes[0].apply, _out_named_shardings=(sharding,))
    found = refusal(graph(apply_artefact=forged))
    assert found == "apply at B=2, H=3 is not exported with one device"


def test_another_calling_convention_is_refused():
    found = refusal(
        graph(apply_artefact=reexport(graph().sizes[0].apply, calling_convention_version=9))
    )
    assert found == "apply at B=2, H=3 is not exported with calling convention 10"


def module_of(text: str) -> bytes:
    """The bytes of a module, whatever is in it."""
    with jax_mlir.make_ir_context(), ir.Location.unknown():
        parsed = ir.Module.parse(text)
        return stablehlo.serialize_portable_artifact(parsed, stablehlo.get_current_version())


MAIN = """
module @m ATTRIBUTES {
  func.func public @main(%i: tensor<i32> {jax.global_constant = "_platform_index"},
                         %x: tensor<4xf32>MARK) -> tensor<4xf32> {
    BODY
    return %y : tensor<4xf32>
  }
  MORE
}
"""
ADD = "%y = stablehlo.add %x, %x : tensor<4xf32>"


def verify(body=ADD, attributes="", mark="", more=""):
    text = MAIN.replace("BODY", body).replace("MARK", mark).replace("MORE", more)
    text = text.replace("ATTRIBUTES", f"attributes {{{attributes}}}" if attributes else "")
    wanted = ("tensor<i32>", "tensor<4xf32>"), ("tensor<4xf32>",)
    artefacts.verify(artefacts.Module("f", module_of(text), *wanted))


CUSTOM_CALL = "%y = stablehlo.custom_call @f(%x) MARKS : (tensor<4xf32>) -> tensor<4xf32>"
SUM = """({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %s = stablehlo.add %a, %b : tensor<f32>
      stablehlo.return %s : tensor<f32>
    })"""

FORGED = {
    "infeed": (
        {
            "body": '%t = "stablehlo.create_token"() : () -> !stablehlo.token\n'
            '%y, %u = "stablehlo.infeed"(%t) {infeed_config = ""} : '
            "(!stablehlo.token) -> (tensor<4xf32>, !stablehlo.token)"
        },
        "f: operation stablehlo.create_token is not allowed",
    ),
    "other devices": (
        {
            "body": f'%y = "stablehlo.all_reduce"(%x) {SUM} '
            "{replica_groups = dense<0> : tensor<1x1xi64>} : (tensor<4xf32>) -> tensor<4xf32>"
        },
        "f: operation stablehlo.all_reduce is not allowed",
    ),
    "hidden state": (
        {
            "body": "%a = stablehlo.constant dense<0.0> : tensor<f32>\n"
            "%s = stablehlo.constant dense<4> : tensor<1xi64>\n"
            "%y = stablehlo.rng %a, %a, %s, distribution = UNIFORM : "
            "(tensor<f32>, tensor<f32>, tensor<1xi64>) -> tensor<4xf32>"
        },
        "f: operation stablehlo.rng is not allowed",
    ),
    "a composite that a compiler may know": (
        {
            "body": '%y = stablehlo.composite "cudnn.attention" %x {decomposition = @g} : '
            "(tensor<4xf32>) -> tensor<4xf32>",
            "more": "func.func private @g(%x: tensor<4xf32>) -> tensor<4xf32> "
            "{ return %x : tensor<4xf32> }",
        },
        "f: composite cudnn.attention is not allowed",
    ),
    "a sharded operation": (
        {"body": ADD.replace(" :", ' {mhlo.sharding = "{replicated}"} :')},
        "f: attribute mhlo.sharding is not allowed",
    ),
    "a hint to the compiler": (
        {"body": ADD.replace(" :", ' {mhlo.frontend_attributes = {_xla_compute_type = "host"}} :')},
        "f: attribute mhlo.frontend_attributes is not allowed",
    ),
    "a donated argument": (
        {"mark": " {jax.buffer_donor = true}"},
        "f: attribute jax.buffer_donor is not allowed",
    ),
    "an aliased argument": (
        {"mark": " {tf.aliasing_output = 0 : i32}"},
        "f: attribute tf.aliasing_output is not allowed",
    ),
    "two devices": (
        {"attributes": "mhlo.num_partitions = 2 : i32"},
        "f: attribute mhlo.num_partitions is not allowed",
    ),
    "a quantised array": (
        {
            "body": "%q = stablehlo.convert %x : (tensor<4xf32>) -> tensor<4xf8E4M3FN>\n"
            "%y = stablehlo.convert %q : (tensor<4xf8E4M3FN>) -> tensor<4xf32>"
        },
        "f: arrays of type tensor<4xf8E4M3FN> are not allowed",
    ),
    "an open shape": (
        {
            "body": "%q = stablehlo.convert %x : (tensor<4xf32>) -> tensor<?xf32>\n"
            "%y = stablehlo.convert %q : (tensor<?xf32>) -> tensor<4xf32>"
        },
        "f: arrays of type tensor<?xf32> are not allowed",
    ),
    "an array of petabytes": (
        {
            "body": "%q = stablehlo.broadcast_in_dim %x, dims = [1] : "
            "(tensor<4xf32>) -> tensor<1099511627776x4xf32>\n"
            "%z = stablehlo.slice %q [0:1, 0:4] : "
            "(tensor<1099511627776x4xf32>) -> tensor<1x4xf32>\n"
            "%y = stablehlo.reshape %z : (tensor<1x4xf32>) -> tensor<4xf32>"
        },
        "f: an array of type tensor<1099511627776x4xf32> is too large",
    ),
}


def test_what_is_verified_here_is_fine_as_it_stands():
    verify()
    verify(CUSTOM_CALL.replace("MARKS", ""))  # named by the graph gate


@pytest.mark.parametrize("name", FORGED)
def test_a_module_may_hold_pure_functions_of_arrays_only(name):
    parts, reason = FORGED[name]
    with pytest.raises(Rejected) as caught:
        verify(**parts)
    assert (caught.value.stage, caught.value.reason) == ("trace", reason)


def test_the_index_of_the_platform_comes_first():
    text = MAIN.replace("BODY", ADD).replace("MARK", "").replace("MORE", "")
    text = text.replace("ATTRIBUTES", "").replace('{jax.global_constant = "_platform_index"}', "")
    wanted = ("tensor<i32>", "tensor<4xf32>"), ("tensor<4xf32>",)
    with pytest.raises(Rejected, match="f: main does not take the index of the platform first"):
        artefacts.verify(artefacts.Module("f", module_of(text), *wanted))


def test_bytes_that_are_no_module_are_refused():
    for code in (b"", b"ML\xefR", b"module {}", np.random.default_rng(0).bytes(1000)):
        with pytest.raises(Rejected, match="^trace: f( is no StableHLO |: )"):
            artefacts.verify(artefacts.Module("f", code, (), ()))


def test_no_operation_beyond_the_program_is_allowed():
    words = re.compile("feed|send|recv|token|all_|collective|replica|partition|async|dynamic_r")
    assert [name for name in sorted(operations.ALLOWED) if words.search(name)] == []
    assert "stablehlo.custom_call" not in operations.ALLOWED


def test_truncated_and_flipped_artefacts_are_refused_or_mean_the_same():
    """Nothing but a rejection comes out of damaged bytes, and what is let through is as asked."""
    honest = graph()
    artefact = honest.sizes[0].apply
    choose = random.Random(7)
    damaged = [artefact[:length] for length in (0, 1, 3, 4, 8, 64, len(artefact) // 2)]
    outside = list(range(len(artefact)))
    for module in artefacts.unpack(honest, SLOT)[1][1:]:  # what is in modules is for `verify`
        start = artefact.index(module.code)
        outside = [i for i in outside if not start <= i < start + len(module.code)]
    for _ in range(300):
        flipped = bytearray(artefact)
        flipped[choose.choice(outside)] ^= 1 << choose.randrange(8)
        damaged.append(bytes(flipped))
    expected = export.deserialize(bytearray(artefact))
    outcomes = {"refused": 0, "passed": 0}
    for forged in damaged:
        try:
            written, _ = artefacts.unpack(graph(honest.sizes[0].init, forged or b"\0"), SLOT)
        except Rejected as rejection:
            assert rejection.stage == "trace" and rejection.reason.isprintable()
            outcomes["refused"] += 1
            continue
        read = export.deserialize(bytearray(written.sizes[0].apply))
        for one, other in ((expected, read), (expected.vjp(), read.vjp())):
            assert (one.in_avals, one.out_avals) == (other.in_avals, other.out_avals)
            assert (one.in_tree, one.out_tree) == (other.in_tree, other.out_tree)
            assert (one.platforms, one.nr_devices) == (other.platforms, other.nr_devices)
        outcomes["passed"] += 1
    assert outcomes["refused"] > 100 and outcomes["passed"] > 0


def test_the_jail_outlives_modules_that_break_the_parser():
    """Damaged bytecode makes MLIR's parser crash or hang now and then: in a child of the jail."""
    choose, honest = random.Random(3), graph()
    made = export.deserialize(bytearray(honest.sizes[0].apply))
    refused = 0
    with Jail(Limits(cpu_seconds=5, wall_seconds=20)) as jail:
        for _ in range(20):
            code = bytearray(made.mlir_module_serialized)
            for _ in range(4):
                code[choose.randrange(len(code))] = choose.randrange(256)
            forged = reexport(honest.sizes[0].apply, mlir_module_serialized=bytes(code))
            try:
                jail._verified(graph(honest.sizes[0].init, forged), SLOT)
            except Rejected as rejection:
                assert rejection.reason.startswith("its graph is refused: ")
                refused += 1
        assert jail._verified(honest, SLOT) == honest
    assert refused > 10
