"""Shapes read from the text equal those that the gallery states and those that JAX computes."""

import ast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs import slots
from evo_clrs.proposers.grammar.layout import dimension
from evo_clrs.proposers.grammar.shapes import infer
from evo_clrs.proposers.grammar.values import UNKNOWN, Array, ShapeError
from tests.proposers.grammar.gallery import FREE_STYLE, PROGRAMS

SIZES = {"B": 2, "N": 5, "H": 16, "K": 8, "S": 5}


@pytest.mark.parametrize("slot_name, name, source", PROGRAMS)
def test_shapes_equal_the_margin_comments(slot_name, name, source):
    shapes = infer(ast.parse(source), slots.SLOTS[slot_name])
    lines = source.splitlines()
    compared = 0
    for statement in shapes.main.body:
        comment = lines[statement.end_lineno - 1].partition("  # ")[2]
        if isinstance(statement, (ast.Assign, ast.Return)) and comment.startswith("["):
            value = shapes.of(statement.value)
            assert isinstance(value, Array), ast.unparse(statement)
            assert f"[{', '.join(map(dimension, value.shape))}]" == comment
            compared += 1
    assert compared >= 3
    assert shapes.fits(slots.SLOTS[slot_name])


def triplet(body: str):
    """Returns the shapes of a triplet program with this body."""
    signature = "def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):"
    return infer(ast.parse(f"{signature}\n    {body}\n"), slots.TRIPLET)


EXPRESSIONS = """
edge_fts + graph_fts[:, None, None]
jnp.max(edge_fts, axis=1) + z[..., :out_size]
edge_fts.sum(axis=(1, 2), keepdims=True)
edge_fts.reshape(z.shape[0], -1, out_size).mean(1)
jnp.reshape(z, (*z.shape[:-1], 4, out_size // 2))
jnp.transpose(edge_fts, (0, 3, 1, 2))
jnp.swapaxes(edge_fts, 1, 3)
jnp.concatenate([z, z, z], axis=-1)
jnp.stack([z, z], axis=1)
jnp.split(z, 2, axis=-1)[0]
jnp.tile(z, (1, 1, 3))
jnp.repeat(graph_fts, 3, axis=-1)
jnp.expand_dims(z, axis=(1, 3))
jnp.squeeze(jnp.expand_dims(z, 1), axis=1)
jnp.broadcast_to(graph_fts[:, None, None], edge_fts.shape)
jnp.einsum('bijh,bjf->bihf', edge_fts, z)
jnp.matmul(edge_fts, jnp.swapaxes(edge_fts, -1, -2))
z @ z.transpose(0, 2, 1)
jax.nn.softmax(edge_fts, axis=2)
jax.nn.logsumexp(edge_fts, axis=2)
jnp.where(edge_fts > 0, edge_fts, -1e6)
jnp.mean(jnp.sort(edge_fts, axis=1)[:, -2:], axis=1)
jnp.sort(z, axis=1)
jax.lax.top_k(graph_fts, 3)[0]
z[..., -3:]
z[:, :, 1:4]
edge_fts[..., 0]
jnp.eye(z.shape[1]) + edge_fts[..., 0]
jnp.zeros((z.shape[0], 3))
jnp.ones_like(z) * 2.0 / out_size
jax.nn.one_hot(z[..., 0], 7)
jnp.maximum(z, 0.0) ** 2
-z if True else graph_fts
[z, graph_fts][1]
"""


@pytest.mark.parametrize("expression", EXPRESSIONS.strip().splitlines())
def test_shapes_equal_those_that_jax_computes(expression):
    inputs = [np.zeros([SIZES["B"], SIZES["N"], 2 * SIZES["H"]], np.float32)]
    inputs.append(np.zeros([SIZES["B"], SIZES["N"], SIZES["N"], SIZES["H"]], np.float32))
    inputs.append(np.zeros([SIZES["B"], SIZES["H"]], np.float32))
    names = {"jax": jax, "jnp": jnp, "out_size": SIZES["H"]}

    def function(z, edge_fts, graph_fts):
        arguments = {"z": z, "edge_fts": edge_fts, "graph_fts": graph_fts}
        return eval(expression, names | arguments)

    value = triplet(f"return {expression}").output
    assert isinstance(value, Array)
    got = tuple(int(dim.at(SIZES)) for dim in value.shape)
    assert got == jax.eval_shape(function, *inputs).shape


@pytest.mark.parametrize(
    "expression",
    [
        "z + edge_fts",
        "jnp.einsum('bnh,bmf->bhf', z, edge_fts)",
        "jnp.reshape(z, (*z.shape[:-1], out_size))",
        "jnp.concatenate([z, graph_fts], axis=-1)",
        "jnp.squeeze(z, axis=1)",
        "jnp.max(z, axis=3)",
        "z[0, 0, 0, 0]",
    ],
)
def test_what_is_sure_to_fail_is_an_error(expression):
    with pytest.raises(ShapeError):
        triplet(f"return {expression}")


@pytest.mark.parametrize(
    "expression",
    [
        "hk.Linear(3)(jnp.swapaxes(z, 1, 2))",
        "hk.get_parameter('w', (z.shape[1],))",
        "hk.LayerNorm(axis=1, create_scale=True, create_offset=True)(z)",
        "hk.Linear(3)(jnp.swapaxes(jnp.sort(z, axis=1), 1, 2))",
    ],
)
def test_parameters_may_not_depend_on_the_number_of_nodes(expression):
    with pytest.raises(ShapeError):
        triplet(f"return {expression}")


@pytest.mark.parametrize(
    "expression",
    ["z[:, 0]", "z[:, 1:]", "jnp.arange(z.shape[1])", "jnp.cumsum(z, axis=1)", "z + nowhere"],
)
def test_what_treats_nodes_by_position_is_unknown(expression):
    assert triplet(f"return {expression}").output == UNKNOWN


def test_helpers_classes_loops_and_branches_are_read():
    shapes = infer(ast.parse(FREE_STYLE), slots.PROCESSOR)
    assert shapes.fits(slots.PROCESSOR)


def test_wrong_outputs_do_not_fit():
    assert triplet("return edge_fts").fits(slots.TRIPLET)
    assert not triplet("return z").fits(slots.TRIPLET)
    assert not triplet("return edge_fts, None").fits(slots.TRIPLET)


def test_a_missing_definition_is_an_error():
    with pytest.raises(ShapeError, match="get_triplet_msgs"):
        infer(ast.parse("x = 1"), slots.TRIPLET)
