"""The processors against the library's, and against closed forms where it has none."""

import jax
import numpy as np
import pytest

from evo_clrs.slots import PROCESSOR
from tests.programs.guest import (
    SMALL,
    count,
    guest,
    in_order,
    inputs,
    library_processor,
    randomised,
    small_params,
)

# Our name, and the library's.
TWINS = [
    ("triplet_gmpnn", "triplet_gmpnn"),
    ("gmpnn", "gmpnn"),
    ("pgn", "pgn"),
    ("mpnn", "mpnn"),
    ("deep_sets", "deepsets"),
    ("gat", "gat"),
    ("gat_full", "gat_full"),
    ("gatv2_full", "gatv2_full"),
]


@pytest.mark.parametrize("name, kind", TWINS)
def test_equal_keys_give_the_initial_weights_of_the_library(name, kind):
    arguments = inputs(PROCESSOR, SMALL)
    ours = guest("processor", name).at(SMALL).init(jax.random.key(7), *arguments)
    theirs = library_processor(kind).init(jax.random.key(7), *arguments)
    for our_array, their_array in zip(in_order(ours), in_order(theirs), strict=True):
        np.testing.assert_array_equal(our_array, their_array)


@pytest.mark.parametrize("name, kind", TWINS)
def test_equal_weights_give_the_outputs_and_gradients_of_the_library(name, kind):
    arguments = inputs(PROCESSOR, SMALL)
    transformed = library_processor(kind)
    theirs = randomised(transformed.init(jax.random.key(0), *arguments))
    arrays = iter(in_order(theirs))
    structure = small_params("processor", name)
    ours = {module: {n: next(arrays) for n in values} for module, values in structure.items()}

    def run(apply, params, node_fts, edge_fts, hidden):
        _, _, graph_fts, adj_mat, _ = arguments
        return apply(params, None, node_fts, edge_fts, graph_fts, adj_mat, hidden)

    node_fts, edge_fts, _, _, hidden = arguments
    our_apply = guest("processor", name).at(SMALL).apply
    our_outputs, our_pull = jax.vjp(lambda *a: run(our_apply, ours, *a), node_fts, edge_fts, hidden)
    their_outputs, their_pull = jax.vjp(
        lambda *a: run(transformed.apply, theirs, *a), node_fts, edge_fts, hidden
    )
    assert (our_outputs[1] is None) == (their_outputs[1] is None)
    rng = np.random.default_rng(2)
    weights = jax.tree.map(lambda o: rng.normal(size=o.shape).astype(np.float32), our_outputs)
    close = {"rtol": 1e-4, "atol": 2e-5}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **close), our_outputs, their_outputs)
    for our_gradient, their_gradient in zip(our_pull(weights), their_pull(weights), strict=True):
        np.testing.assert_allclose(our_gradient, their_gradient, **close)


def test_parameter_counts_at_width_128_by_arithmetic():
    h = 128
    nodes, edges, linear = 2 * h * h + h, h * h + h, h * h + h
    messages = 2 * nodes + edges + linear + 2 * linear
    mpnn = messages + nodes + linear + 2 * h
    gate = nodes + 2 * linear
    assert count("processor", "mpnn") == mpnn
    assert count("processor", "gmpnn") == mpnn + gate
    assert count("processor", "triplet_gmpnn") == mpnn + gate + count("triplet", "v1_standard")
    assert count("processor", "gru_mpnn") == messages + 3 * (3 * h * h + h)
    pairs = 2 * (2 * h + 1) * 32 + 2 * (h + 1) * 32 + (h + 1) * 4 + 33 * h
    assert count("processor", "pairwise_products") == mpnn + gate + pairs


def outputs(name, *arguments, **changes):
    """Runs a program with some modules' weights set to zero and their biases to a number."""
    params = small_params("processor", name)
    for module, bias in changes.items():
        path = f"{name}_clrs_processor/{module}"
        values = {"w": np.zeros_like(params[path]["w"]), "b": np.full_like(params[path]["b"], bias)}
        params = {**params, path: values}
    return guest("processor", name).at(SMALL).apply(params, None, *arguments)


def test_gru_mpnn_keeps_its_state_where_the_update_gate_is_closed():
    arguments = inputs(PROCESSOR, SMALL)
    node, _ = outputs("gru_mpnn", *arguments, linear_4=-100)
    np.testing.assert_array_equal(node, arguments[-1])


def test_gru_mpnn_with_an_open_update_gate_forgets_all_but_the_candidate():
    arguments = inputs(PROCESSOR, SMALL)
    node, _ = outputs("gru_mpnn", *arguments, linear_4=100, linear_6=0.3)
    np.testing.assert_allclose(node, np.tanh(0.3), rtol=1e-6)


def test_pairwise_products_keeps_its_state_where_the_node_gate_is_closed():
    arguments = inputs(PROCESSOR, SMALL)
    node, _ = outputs("pairwise_products", *arguments, linear_14=-100)
    np.testing.assert_array_equal(node, arguments[-1])


def test_pairwise_products_has_constant_edges_where_the_head_gate_is_closed():
    arguments = inputs(PROCESSOR, SMALL)
    _, edge = outputs("pairwise_products", *arguments, linear_8=-100)
    bias = small_params("processor", "pairwise_products")[
        "pairwise_products_clrs_processor/linear_9"
    ]["b"]
    np.testing.assert_allclose(edge, np.broadcast_to(np.maximum(bias, 0), edge.shape), atol=1e-6)


def test_pairwise_products_multiplies_its_two_nodes():
    """With one factor 0 a pair no longer sees its nodes; edge and graph are still added."""
    node_fts, edge_fts, graph_fts, adj_mat, hidden = inputs(PROCESSOR, SMALL)
    for factor in ("linear_4", "linear_5"):
        seen = [
            np.asarray(
                outputs(
                    "pairwise_products", nodes, edge_fts, graph_fts, adj_mat, hidden, **{factor: 0}
                )[1]
            )
            for nodes in (node_fts, 2 * node_fts)
        ]
        np.testing.assert_array_equal(seen[0], seen[1])
    _, one = outputs("pairwise_products", node_fts, edge_fts, graph_fts, adj_mat, hidden)
    _, other = outputs("pairwise_products", 2 * node_fts, edge_fts, graph_fts, adj_mat, hidden)
    assert not np.allclose(one, other)


def test_pgn_and_gat_hear_neighbours_only_and_mpnn_everybody():
    """Node 0 changes; node 1 has no edge from or to it."""
    node_fts, edge_fts, graph_fts, _, hidden = inputs(PROCESSOR, SMALL)
    n = node_fts.shape[1]
    adj_mat = np.broadcast_to(np.eye(n, dtype=np.float32), (len(node_fts), n, n))
    changed = node_fts.copy()
    changed[:, 0] += 10
    for name, hears in (("pgn", False), ("gat", False), ("deep_sets", False), ("mpnn", True)):
        before, _ = outputs(name, node_fts, edge_fts, graph_fts, adj_mat, hidden)
        after, _ = outputs(name, changed, edge_fts, graph_fts, adj_mat, hidden)
        assert np.allclose(before[:, 1], after[:, 1]) != hears, name
