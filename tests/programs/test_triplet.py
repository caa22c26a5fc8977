"""The triplet functions against the published counts, the library and their closed forms."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.clrs_library import clrs
from evo_clrs.slots import TRIPLET
from tests.programs.guest import SMALL, count, guest, in_order, inputs, small_params

# Change in parameters against v1 at width 128 with 8 triplet features, from the paper's counts.
PUBLISHED_CHANGES = {
    "v1_standard": 0,
    "v2_output_mlp": 16_512,
    "v3_sum": 0,
    "v4_node_mlps": 216,
    "v5_edge_mlps": 216,
    "v6_graph_mlp": 72,
    "v7_no_graph": -1_032,
    "v8_tiled_linear": 21_448,
    "v9_bilinear": 226_424,
    "quad_node_min_max": -3_224,
    "concat_rep": 44_056,
    "tanh_expand_triplets": 0,
    "div2_mean": -1_032,
    "max_mean": -1_032,
}


@pytest.mark.parametrize("name, change", PUBLISHED_CHANGES.items())
def test_parameter_changes_against_v1_are_the_published_ones(name, change):
    assert count("triplet", "v1_standard") == 11_448
    assert count("triplet", name) == 11_448 + change


@pytest.mark.parametrize(
    "task, with_v1, edge_decoders, published",
    [
        ("articulation_points", 531_913, 2, 497_969),
        ("quickselect", 395_714, 1, 377_130),
        ("naive_string_matcher", 262_588, 0, 259_364),
    ],
)
def test_quad_node_min_max_makes_whole_models_as_small_as_published(
    task, with_v1, edge_decoders, published
):
    """Each decoder that reads edges has a linear layer of 128 from their width, 8 for 128."""
    saved_by_decoders = edge_decoders * (128 - 8) * 128
    change = count("triplet", "quad_node_min_max") - count("triplet", "v1_standard")
    assert with_v1 + change - saved_by_decoders == published


def messages(name, params=None, arguments=None):
    arguments = inputs(TRIPLET, SMALL) if arguments is None else arguments
    params = small_params("triplet", name) if params is None else params
    (output,) = guest("triplet", name).at(SMALL).apply(params, None, *arguments)
    return np.asarray(output)


def test_v1_is_the_triplet_function_of_the_library():
    dimensions = dict(SMALL)

    def library(*arguments):
        triplets = clrs.processors.get_triplet_msgs(*arguments, dimensions["K"])
        return hk.Linear(dimensions["H"])(jnp.max(triplets, axis=1))

    arguments = inputs(TRIPLET, SMALL)
    transformed = hk.transform(library)
    structure = transformed.init(jax.random.key(0), *arguments)
    ours = iter(in_order(small_params("triplet", "v1_standard")))
    params = {module: {n: next(ours) for n in arrays} for module, arrays in structure.items()}
    expected = transformed.apply(params, None, *arguments)
    np.testing.assert_allclose(messages("v1_standard"), expected, rtol=1e-5, atol=1e-5)


def triplets_by_loops(projections, graph_times, node_factor=1.0):
    """Returns [B, N, N, N, K] from pairs (w, b) in the order nodes, edges, graph."""
    z, edge_fts, graph_fts = inputs(TRIPLET, SMALL)
    nodes = [node_factor * z @ w + b for w, b in projections[:3]]
    edges = [edge_fts @ w + b for w, b in projections[3:6]]
    batch, n, width = nodes[0].shape
    triplets = np.zeros((batch, n, n, n, width), np.float32)
    for i in range(n):
        for j in range(n):
            for k in range(n):
                triplets[:, i, j, k] = nodes[0][:, i] + nodes[1][:, j] + nodes[2][:, k]
                triplets[:, i, j, k] += edges[0][:, i, j] + edges[1][:, i, k] + edges[2][:, j, k]
    if graph_times:
        w, b = projections[6]
        triplets += graph_times * (graph_fts @ w + b)[:, None, None, None]
    return triplets


@pytest.mark.parametrize(
    "name, graph_times, node_factor, reduce",
    [
        ("v1_standard", 1, 1.0, lambda t: t.max(axis=1)),
        ("v3_sum", 1, 1.0, lambda t: t.sum(axis=1)),
        ("v7_no_graph", 0, 1.0, lambda t: t.max(axis=1)),
        ("tanh_expand_triplets", 3, 1.0, lambda t: np.tanh(t.max(axis=1))),
        ("div2_mean", 0, 0.5, lambda t: t.mean(axis=1)),
        ("max_mean", 0, 1.0, lambda t: np.maximum(t, -100).mean(axis=1)),
    ],
)
def test_linear_triplet_functions_equal_loops_over_triplets(name, graph_times, node_factor, reduce):
    arrays = in_order(small_params("triplet", name))
    *projections, (w, b) = zip(arrays[0::2], arrays[1::2], strict=True)
    expected = reduce(triplets_by_loops(projections, graph_times, node_factor)) @ w + b
    np.testing.assert_allclose(messages(name), expected, rtol=1e-4, atol=1e-4)


def test_max_mean_clamps_at_minus_100():
    params = {
        module: {name: np.zeros_like(value) for name, value in arrays.items()}
        for module, arrays in small_params("triplet", "max_mean").items()
    }
    params["linear"]["b"] -= 1000
    params["linear_6"]["w"] += 1
    np.testing.assert_allclose(messages("max_mean", params), -100.0 * dict(SMALL)["K"])


def test_quad_node_min_max_is_the_range_of_one_projection():
    z, _, _ = inputs(TRIPLET, SMALL)
    w = small_params("triplet", "quad_node_min_max")["linear_2"]["w"]
    expected = np.ptp(z @ w, axis=1)[:, None, None, :]  # [B, 1, 1, K]
    output = messages("quad_node_min_max")
    np.testing.assert_allclose(output, np.broadcast_to(expected, output.shape), atol=1e-5)


def test_v8_is_one_linear_layer_of_the_second_node():
    z, _, _ = inputs(TRIPLET, SMALL)
    w, b = in_order(small_params("triplet", "v8_tiled_linear"))
    output = messages("v8_tiled_linear")
    expected = np.broadcast_to((z @ w + b)[:, None], output.shape)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name, inputs_of_mlps",
    [
        ("v4_node_mlps", [32, 32, 32]),
        ("v5_edge_mlps", [16, 16, 16]),
        ("v6_graph_mlp", [16]),
    ],
)
def test_seeds_with_mlps_have_a_second_layer_after_each_of_those_projections(name, inputs_of_mlps):
    weights = [a.shape for a in in_order(small_params("triplet", name)) if a.ndim == 2]
    found = [
        first[0] for first, second in zip(weights, weights[1:], strict=False) if second == (8, 8)
    ]
    assert found == inputs_of_mlps


def test_v9_is_a_product_and_vanishes_with_either_factor():
    params = small_params("triplet", "v9_bilinear")
    for factor in ("linear_7", "mlp_7/~/linear_1"):
        closed = {name: np.zeros_like(value) for name, value in params[factor].items()}
        np.testing.assert_array_equal(messages("v9_bilinear", {**params, factor: closed}), 0)
