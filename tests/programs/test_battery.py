"""What holds for every program that comes with the package, whatever its slot."""

import ast

import jax
import numpy as np
import pytest

from evo_clrs import programs
from evo_clrs.records import make_size
from evo_clrs.slots import NETWORK, PROCESSOR, SLOTS, TRIPLET
from tests.programs.guest import SMALL, guest, in_order, inputs, shapes_of_params, small_params

ON_GRAPHS = [
    (slot.name, name) for slot in (PROCESSOR, TRIPLET) for name in programs.load(slot.name)
]
ON_SIGNALS = [(NETWORK.name, name) for name in programs.load(NETWORK.name)]
EVERY_PROGRAM_ON_GRAPHS = pytest.mark.parametrize("slot_name, name", ON_GRAPHS)
EVERY_PROGRAM = pytest.mark.parametrize("slot_name, name", ON_GRAPHS + ON_SIGNALS)

# Parameters that can never change an output, by position among those of the program.
DEAD = {
    # All that does not depend on the third node cancels in a range; node_3 is 4 (w) and 5 (b).
    "quad_node_min_max": {0, 1, 2, 3, 5, 6, 7},
    # A softmax does not see what is added to all logits of a head: the biases of the four.
    "gatv2_full": {11, 13, 15, 17},
}


def apply(slot_name, name, arguments):
    return guest(slot_name, name).at(SMALL).apply(small_params(slot_name, name), None, *arguments)


@EVERY_PROGRAM
def test_text_has_a_docstring_and_only_allowed_imports(slot_name, name):
    slot = SLOTS[slot_name]
    tree = ast.parse(programs.load(slot_name)[name])
    docstring = ast.get_docstring(tree)
    assert "Shapes: " in docstring and "Source: " in docstring
    for node in ast.walk(tree):
        assert not isinstance(node, ast.ImportFrom)
        if isinstance(node, ast.Import):
            for module in node.names:
                assert slot.imports[module.name] == (module.asname or module.name)


@EVERY_PROGRAM
def test_text_is_one_straight_line_of_assignments(slot_name, name):
    """The grammar operator and small language models rely on this plain dialect."""
    tree = ast.parse(programs.load(slot_name)[name])
    definition = "__call__" if SLOTS[slot_name].kind == "class" else SLOTS[slot_name].definition
    (function,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == definition
    )
    *body, last = function.body
    assert all(isinstance(statement, ast.Assign) for statement in body)
    assert isinstance(last, ast.Return)
    stored = [
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id != "_"
    ]
    assert len(stored) == len(set(stored)), "every intermediate has a name of its own"


@EVERY_PROGRAM
def test_outputs_have_the_shapes_of_the_slot_and_are_finite(slot_name, name):
    slot = SLOTS[slot_name]
    outputs = apply(slot_name, name, inputs(slot, SMALL))
    assert len(outputs) == len(slot.outputs)
    for output, tensor in zip(outputs, slot.outputs, strict=True):
        if output is None:
            assert tensor.optional
            continue
        expected = tensor.at(SMALL)
        assert len(output.shape) == len(expected)
        assert all(want in (-1, got) for want, got in zip(expected, output.shape, strict=True))
        assert output.dtype == np.float32
        assert np.isfinite(output).all()


@EVERY_PROGRAM
def test_outputs_are_finite_for_an_empty_first_step(slot_name, name):
    """Features and hidden embeddings of zero, and a graph with self-loops alone."""
    arguments = [
        np.broadcast_to(np.eye(array.shape[-1], dtype=np.float32), array.shape)
        if tensor.name == "adj_mat"
        else np.zeros_like(array)
        for tensor, array in zip(
            SLOTS[slot_name].inputs, inputs(SLOTS[slot_name], SMALL), strict=True
        )
    ]
    for output in apply(slot_name, name, arguments):
        assert output is None or np.isfinite(output).all()


def relabelled(array, shape, order):
    """Returns the array with the nodes in another order, along each axis that is of nodes."""
    for axis, symbol in enumerate(shape):
        if symbol == "N":
            array = np.take(array, order, axis=axis)
    return array


@EVERY_PROGRAM_ON_GRAPHS
def test_relabelling_the_nodes_relabels_the_outputs(slot_name, name):
    slot = SLOTS[slot_name]
    order = np.array([3, 0, 4, 2, 1])
    arguments = inputs(slot, SMALL)
    permuted = [relabelled(a, t.shape, order) for a, t in zip(arguments, slot.inputs, strict=True)]
    outputs = apply(slot_name, name, arguments)
    permuted_outputs = apply(slot_name, name, permuted)
    for tensor, output, permuted_output in zip(
        slot.outputs, outputs, permuted_outputs, strict=True
    ):
        if output is not None:
            expected = relabelled(np.asarray(output), tensor.shape, order)
            np.testing.assert_allclose(permuted_output, expected, rtol=1e-4, atol=1e-5)


@EVERY_PROGRAM
def test_parameters_do_not_depend_on_batch_or_nodes(slot_name, name):
    shapes = [
        shapes_of_params(slot_name, name, make_size(B=batch, N=nodes, H=16, K=8, L=40, C=10))
        for batch, nodes in ((2, 5), (1, 5), (2, 9))
    ]
    assert shapes[0] == shapes[1] == shapes[2]


@EVERY_PROGRAM
def test_the_key_decides_the_parameters(slot_name, name):
    slot = SLOTS[slot_name]
    init = guest(slot_name, name).at(SMALL).init
    first, again, other = (
        in_order(init(jax.random.key(seed), *inputs(slot, SMALL))) for seed in (0, 0, 1)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@EVERY_PROGRAM
def test_every_parameter_but_the_known_dead_ones_moves_an_output(slot_name, name):
    slot = SLOTS[slot_name]
    rng = np.random.default_rng(1)
    transformed = guest(slot_name, name).at(SMALL)
    arguments = inputs(slot, SMALL)

    def projection(params):
        outputs = transformed.apply(params, None, *arguments)
        return [output for output in outputs if output is not None]

    outputs, pull = jax.vjp(projection, small_params(slot_name, name))
    (gradients,) = pull([rng.normal(size=o.shape).astype(np.float32) for o in outputs])
    ordered = {
        module: {parameter: gradients[module][parameter] for parameter in arrays}
        for module, arrays in small_params(slot_name, name).items()
    }
    dead = {
        index for index, gradient in enumerate(in_order(ordered)) if np.abs(gradient).max() < 1e-5
    }
    assert dead == DEAD.get(name, set())
