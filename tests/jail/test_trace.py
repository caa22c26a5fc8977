"""What a good program becomes: the same function, exported."""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from evo_clrs.records import Initialiser, for_seeds, make_size
from evo_clrs.slots import PROCESSOR
from evo_clrs.slots import TRIPLET as TRIPLET_SLOT
from tests.jail.guests import MPNN, SIZES, TRIPLET, processor

ZEROS = Initialiser("constant", (0.0,))


def _direct(slot, source, size):
    """The program's function without jail and export, transformed by Haiku."""
    namespace = {"__name__": "program"}
    exec(compile(source, "<program>", "exec"), namespace)
    definition, dimensions = namespace[slot.definition], dict(size)
    constants = {name: dimensions[symbol] for name, symbol in slot.constants}
    call_constants = {name: dimensions[symbol] for name, symbol in slot.call_constants}

    def forward(*inputs):
        if slot.kind == "class":
            return definition(**constants)(*inputs, **call_constants)
        return (definition(*inputs, **constants),)

    return hk.transform(forward)


def _arguments(slot, size):
    draws = np.random.default_rng(0)
    arrays = [draws.normal(size=tensor.at(size)).astype(np.float32) for tensor in slot.arguments]
    named = dict(zip((tensor.name for tensor in slot.arguments), arrays, strict=True))
    if "adj_mat" in named:
        named["adj_mat"] = (named["adj_mat"] > 0).astype(np.float32)
    return tuple(named.values())


def _inputs(slot, arguments):
    """Returns what the program sees: channels times vectors in one array."""
    left = iter(arguments)
    return tuple(next(left) @ next(left) if t.factored else next(left) for t in slot.inputs)


@pytest.mark.parametrize(
    ("slot", "source"), [(PROCESSOR, MPNN), (TRIPLET_SLOT, TRIPLET)], ids=["processor", "triplet"]
)
def test_graph_computes_what_the_program_computes(jail, slot, source):
    graph = jail.trace(slot, source, SIZES)
    key = jnp.array([0, 7], jnp.uint32)
    assert [entry.size for entry in graph.sizes] == list(SIZES)
    for entry in graph.sizes[1:]:
        apply = export.deserialize(bytearray(entry.apply))
        assert apply.platforms == ("cpu", "cuda", "tpu")
        direct, arguments = _direct(slot, source, entry.size), _arguments(slot, entry.size)

        def loss(outputs):
            return sum(jnp.sum(jnp.sin(output)) for output in outputs if output is not None)

        @jax.jit
        def both(key, arguments, direct=direct, apply=apply):
            """Parameters, loss and its gradients, from the program itself and from its graph."""
            tree = direct.init(key, *_inputs(slot, arguments))
            parameters = tuple(jax.tree_util.tree_leaves(tree))

            def plain(p, x):
                return loss(direct.apply(p, key, *_inputs(slot, x)))

            by_program = jax.value_and_grad(plain, (0, 1))
            by_graph = jax.value_and_grad(lambda p, x: loss(apply.call(p, key, x)), (0, 1))
            return (
                (tree, *by_program(tree, arguments)),
                (parameters, *by_graph(parameters, arguments)),
            )

        expected, actual = map(jax.tree_util.tree_leaves, both(key, arguments))
        for theirs, mine in zip(expected, actual, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
        for theirs, known in zip(expected, graph.parameters, strict=False):
            assert (known.shape, known.dtype) == (theirs.shape, "float32")


def test_same_program_gives_the_same_bytes(jail):
    first, second = (jail.trace(PROCESSOR, MPNN, SIZES) for _ in range(2))
    assert dataclasses.replace(first, trace_seconds=0) == dataclasses.replace(
        second, trace_seconds=0
    )


def test_graph_tells_nothing_of_the_machine(jail):
    for entry in jail.trace(PROCESSOR, MPNN, SIZES).sizes:
        for artefact in (entry.init, entry.apply):
            assert b".py" not in artefact and b"site-packages" not in artefact


def test_child_is_ready_soon(jail):
    ready = []
    for _ in range(3):
        jail.trace(PROCESSOR, processor("return node_fts, None"), SIZES[:1])
        ready.append(jail.last["ready_seconds"])
    assert min(ready) < 0.2  # about 0.02 s when the machine is idle


@pytest.mark.parametrize(
    ("init", "shared"),
    [("hk.initializers.Identity()", True), ("lambda s, d: jnp.full(s, n, d)", False)],
)
def test_equal_initialisers_are_exported_once(jail, init, shared):
    body = f"n = float(node_fts.shape[1])\nreturn hk.Linear(4, w_init={init})(node_fts), None"
    graph = jail.trace(PROCESSOR, processor(body), SIZES)
    assert (graph.sizes[0].init == graph.sizes[1].init) is shared
    assert [p.initialiser for p in graph.parameters] == [ZEROS, None]
    for entry, n in zip(graph.sizes, (3, 5), strict=True):
        init = export.deserialize(bytearray(entry.init))
        (w,) = init.call(jnp.array([0, 7], jnp.uint32))
        assert shared or np.all(np.asarray(w) == n)


def described(jail, body, sizes=SIZES[:1]):
    """Returns the initialisers of a program by the last part of their names, and its artefact."""
    graph = jail.trace(PROCESSOR, processor(f"{body}\nreturn node_fts + w, None"), sizes)
    found = {p.name.rsplit("/", 1)[-1]: p.initialiser for p in graph.parameters}
    return found, graph.sizes[0].init


def test_what_haiku_initialises_by_itself_is_described(jail):
    body = "h = hk.LayerNorm(-1, True, True)(hk.Linear(9)(node_fts))\nw = hk.Linear(4)(h)"
    graph = jail.trace(PROCESSOR, processor(f"{body}\nreturn node_fts + w, None"), SIZES)
    third = float(np.float32(1 / 3))
    assert [p.initialiser for p in graph.parameters] == [
        Initialiser("constant", (0.0,)),  # LayerNorm's offset and scale
        Initialiser("constant", (1.0,)),
        Initialiser("constant", (0.0,)),  # bias and weights of the first layer, with 4 inputs
        Initialiser("truncated_normal", (0.5, 0.0, -2.0, 2.0)),
        Initialiser("constant", (0.0,)),
        Initialiser("truncated_normal", (third, 0.0, -2.0, 2.0)),
    ]
    assert [entry.init for entry in graph.sizes] == [b"", b""]


# A class of its own, functions, a number that is traced, and numbers out of bounds.
CODED = [
    "type('T', (hk.initializers.TruncatedNormal,), {'__call__': lambda s, *a: jnp.ones(*a)})()",
    "lambda shape, dtype: jnp.zeros(shape, dtype)",
    "hk.initializers.TruncatedNormal(stddev=1 / jnp.sqrt(node_fts.shape[1]))",
    "hk.initializers.RandomNormal(1e7)",
    "hk.initializers.RandomUniform(-jnp.inf, 0.0)",
    "hk.initializers.TruncatedNormal(lower=2.0, upper=-2.0)",
    "hk.initializers.Constant(jnp.arange(4.0))",
    "hk.initializers.Constant(float('nan'))",
]


@pytest.mark.parametrize("init", CODED)
def test_other_initialisers_stay_code(jail, init):
    body = f"w = hk.get_parameter('w', (4,), init={init})"
    found, artefact = described(jail, body)
    assert found == {"w": None}
    assert export.deserialize(bytearray(artefact)).out_avals[0].shape == (4,)


def test_parameters_that_another_creator_changes_stay_code(jail):
    found, artefact = described(
        jail,
        "with hk.custom_creator(lambda make, *a: 2 * make(*a[:3])):\n"
        "    w = hk.get_parameter('w', (4,), init=jnp.ones)",
    )
    assert found == {"w": None}
    (w,) = export.deserialize(bytearray(artefact)).call(jnp.zeros(2, jnp.uint32))
    np.testing.assert_array_equal(w, np.full(4, 2.0))


def test_nothing_is_described_where_an_initialiser_reads_another_parameter(jail):
    found, artefact = described(
        jail,
        "v = hk.get_parameter('v', (4,), init=hk.initializers.Constant(3.0))\n"
        "w = hk.get_parameter('w', (4,), init=lambda shape, dtype: 2 * v)",
    )
    assert found == {"v": None, "w": None}
    values = export.deserialize(bytearray(artefact)).call(jnp.zeros(2, jnp.uint32))
    np.testing.assert_array_equal(values, [np.full(4, 3.0), np.full(4, 6.0)])


def test_initialisers_that_depend_on_the_size_stay_code(jail):
    body = (
        "n = node_fts.shape[1]\nw = hk.get_parameter('w', (4,), init=hk.initializers.Constant(n))"
    )
    assert described(jail, body, SIZES)[0] == {"w": None}
    assert described(jail, body)[0] == {"w": Initialiser("constant", (3.0,))}


def test_graph_names_outputs_and_properties(jail):
    source = processor("edge = hk.Linear(7)(edge_fts)\nreturn node_fts, edge").replace(
        "    def __call__",
        "    @property\n    def inf_bias(self):\n        return True\n\n    def __call__",
    )
    graph = jail.trace(PROCESSOR, source, SIZES[:1])
    assert graph.sizes[0].outputs == ((2, 3, 4), (2, 3, 3, 7))
    assert graph.properties == {"inf_bias": True, "inf_bias_edge": False}
    assert [(p.name, p.shape) for p in graph.parameters] == [
        ("test_clrs_processor/linear/b", (7,)),
        ("test_clrs_processor/linear/w", (4, 7)),
    ]
    assert graph.trace_seconds > 0


def test_program_may_draw_and_compute_at_import(jail):
    source = processor(
        "noise = jax.random.normal(hk.next_rng_key(), node_fts.shape)\n"
        "return node_fts + noise + S, None"
    ).replace("class Processor", "S = float(jnp.sum(jnp.ones(3)))\n\n\nclass Processor")
    graph = jail.trace(PROCESSOR, source, SIZES[:1])
    apply = export.deserialize(bytearray(graph.sizes[0].apply))
    arguments = _arguments(PROCESSOR, SIZES[0])
    outputs = [apply.call((), jnp.array([0, i], jnp.uint32), arguments)[0] for i in (1, 1, 2)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.abs(outputs[0] - outputs[2]).max() > 0.1


def test_a_graph_for_seeds_together_computes_what_each_computes_alone(jail):
    """Random draws of the program included: each seed has its own key."""
    source = processor(
        "noise = jax.random.normal(hk.next_rng_key(), node_fts.shape)\n"
        "return hk.Linear(4)(node_fts) * (1 + noise), None"
    )
    graph = jail.trace(PROCESSOR, source, [SIZES[0], for_seeds(SIZES[0], 3)])
    alone, three = (export.deserialize(bytearray(entry.apply)) for entry in graph.sizes)
    assert graph.sizes[0].init == graph.sizes[1].init
    assert graph.sizes[0].outputs == graph.sizes[1].outputs == ((2, 3, 4), None)
    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    random = np.random.default_rng(0)
    parameters = [
        tuple(random.normal(size=p.shape).astype(np.float32) for p in graph.parameters)
        for _ in keys
    ]
    arguments = [
        tuple(array + seed for array in _arguments(PROCESSOR, SIZES[0])) for seed in range(3)
    ]
    stacked = [jax.tree.map(lambda *leaves: np.stack(leaves), *a) for a in (parameters, arguments)]

    def loss(called, p, key, x):
        return jnp.sum(jnp.sin(called.call(p, key, x)[0]))

    found = jax.grad(loss, (1, 3))(three, stacked[0], keys, stacked[1])
    (outputs,) = three.call(stacked[0], keys, stacked[1])
    for seed, (p, key, x) in enumerate(zip(parameters, keys, arguments, strict=True)):
        np.testing.assert_allclose(outputs[seed], alone.call(p, key, x)[0], rtol=1e-5, atol=1e-6)
        expected = jax.tree.leaves(jax.grad(loss, (1, 3))(alone, p, key, x))
        for mine, theirs in zip(jax.tree.leaves(found), expected, strict=True):
            np.testing.assert_allclose(mine[seed], theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "sizes", [(), (make_size(B=2, N=3),), (make_size(B=2, N=0, H=4),)], ids=["none", "H", "zero"]
)
def test_sizes_must_be_whole(jail, sizes):
    with pytest.raises(ValueError, match="size"):
        jail.trace(PROCESSOR, MPNN, sizes)
