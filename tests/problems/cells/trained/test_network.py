"""The network around a cell: its operations, its size, and what its statistics do in training."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs import spaces
from evo_clrs.problems.cells import cell_costs
from evo_clrs.problems.cells.nasbench201 import DESIGNS
from evo_clrs.problems.cells.trained import network, protocol
from evo_clrs.problems.cells.trained.network import Shape
from evo_clrs.randomness import generator

CELL = spaces.CELL
KEY = jax.random.PRNGKey(0)
DEAD = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|avg_pool_3x3~2|"
LIVE = "|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|avg_pool_3x3~2|"


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def apply(operation, x, width=3):
    """Returns parameters and result of an operation in training, and its result with them."""
    made = hk.transform(lambda x: network.apply_operation(operation, x, width, True))
    parameters = jax.jit(made.init)(KEY, x)
    return parameters, np.asarray(jax.jit(made.apply)(parameters, None, x))


def convolved(x, kernel, stride=1):
    """Convolution with as many zeros on each side as keep the size at stride 1, by its sum."""
    margin, (batch, height, width, _) = kernel.shape[0] // 2, x.shape
    wide = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    result = np.zeros((batch, height // stride, width // stride, kernel.shape[-1]))
    for row in range(result.shape[1]):
        for column in range(result.shape[2]):
            top, left = row * stride, column * stride
            window = wide[:, top : top + kernel.shape[0], left : left + kernel.shape[1]]
            result[:, row, column] = np.einsum("bhwi,hwio->bo", window, kernel)
    return result


def normalised(x):
    return (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)


def shapes(choices, shape, side=32, channels=3):
    built = network.build(choices, shape)
    return jax.eval_shape(built.init, KEY, jax.ShapeDtypeStruct((1, side, side, channels), float))


def start(choices, shape, side=8, channels=1):
    built = network.build(choices, shape)
    return built, built.init(KEY, jnp.zeros((1, side, side, channels)))


def position_of(module):
    """Returns Haiku's number of a module, from names such as conv2_d, conv2_d_1."""
    return int("0" + module.rpartition("_")[2].strip("dnorm"))


def modules(parameters, kind):
    """Returns the parameters of the modules of a kind, in order of use."""
    return [
        parameters[name] for name in sorted((n for n in parameters if kind in n), key=position_of)
    ]


@pytest.mark.parametrize(("name", "size"), [("nor_conv_1x1", 1), ("nor_conv_3x3", 3)])
def test_a_convolution_comes_after_relu_and_before_normalisation(name, size):
    x = draw(2, 5, 4, 3)
    parameters, result = apply(name, x)
    kernel = np.asarray(parameters["conv2_d"]["w"])
    assert kernel.shape == (size, size, 3, 3)
    expected = normalised(convolved(np.maximum(x, 0), kernel))
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_pooling_takes_means_over_what_lies_inside():
    x = draw(1, 4, 4, 2)
    _, result = apply("avg_pool_3x3", x)
    np.testing.assert_allclose(result[0, 0, 0], x[0, :2, :2].mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(result[0, 1, 3], x[0, :3, 2:].mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(result[0, 2, 1], x[0, 1:, :3].mean((0, 1)), rtol=1e-5)


def test_skip_is_the_identity_and_none_is_zero():
    x = draw(2, 4, 4, 2)
    np.testing.assert_array_equal(apply("skip_connect", x)[1], x)
    np.testing.assert_array_equal(apply("none", x)[1], np.zeros_like(x))


def test_between_stages_a_residual_block_halves_the_image():
    x = draw(2, 6, 4, 2)
    made = hk.transform(lambda x: network._reduction(x, 4, True))
    parameters = jax.jit(made.init)(KEY, x)
    kernels = [np.asarray(p["w"]) for p in parameters.values() if "w" in p]
    first, second, short = kernels
    inner = normalised(convolved(np.maximum(x, 0), first, stride=2))
    inner = normalised(convolved(np.maximum(inner, 0), second))
    pooled = x.reshape(2, 3, 2, 2, 2, 2).mean((2, 4))
    expected = inner + convolved(pooled, short)
    np.testing.assert_allclose(jax.jit(made.apply)(parameters, None, x), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("arch", "millions", "mega_flops"),
    [
        (
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+"
            "|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
            0.129306,
            15.64737,
        ),
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+"
            "|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
            0.802426,
            113.95137,
        ),
        (
            "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|",
            0.101306,
            11.71521,
        ),
    ],
    ids=["number 0", "number 11", "number 284"],
)
def test_the_full_network_has_the_published_size(arch, millions, mega_flops):
    """As the official NATS-Bench files record them for cifar10-valid."""
    choices = CELL.from_arch(arch)
    assert network.count(shapes(choices, Shape())) == round(millions * 1e6)
    assert network.multiply_adds(choices, Shape(), 32, 3) == round(mega_flops * 1e6)


@pytest.mark.parametrize("name", DESIGNS)
def test_the_network_agrees_with_the_closed_form(name):
    choices = CELL.from_arch(DESIGNS[name])
    parameters = shapes(choices, Shape())
    assert network.count(parameters) == cell_costs.parameters(choices, "cifar10")
    assert network.multiply_adds(choices, Shape(), 32, 3) == cell_costs.flops(choices, "cifar10")
    matrices = [leaf for leaf in jax.tree.leaves(parameters) if leaf.ndim > 1]
    assert network.layers(choices, Shape()) == len(matrices)


def test_a_cell_without_its_dead_edges_is_the_same_function():
    dead, live = CELL.from_arch(DEAD), CELL.from_arch(LIVE)
    assert network.live(dead) == live and network.live(live) == live
    shape = Shape(width=2, cells=1, classes=3)
    whole, parameters = start(dead, shape)
    rest, names = start(live, shape)
    # Those of the 3x3 convolution in each stage's cell: among all of their kind, in order of use.
    left_out = {"conv2_d": (1, 6, 11), "batch_norm": (1, 5, 9)}
    shared = {"linear": parameters["linear"]}
    for kind, positions in left_out.items():
        values = [
            v for position, v in enumerate(modules(parameters, kind)) if position not in positions
        ]
        shared |= dict(
            zip(sorted((n for n in names if kind in n), key=position_of), values, strict=True)
        )
    x = draw(2, 8, 8, 1)
    np.testing.assert_allclose(
        jax.jit(rest.predict)(shared, x), jax.jit(whole.predict)(parameters, x), rtol=1e-5
    )


def test_what_live_keeps_is_what_a_path_uses():
    draws = generator(0, "cells")
    for _ in range(200):
        choices = tuple(draws.randrange(5) for _ in CELL.edges)
        kept = {edge for edge, c in zip(CELL.edges, network.live(choices), strict=True) if c != 0}
        there = {edge for edge, c in zip(CELL.edges, choices, strict=True) if c != 0}
        paths = [[(0, 3)], [(0, 1), (1, 3)], [(0, 2), (2, 3)], [(0, 1), (1, 2), (2, 3)]]
        assert kept == {edge for path in paths if set(path) <= there for edge in path}


def test_running_averages_follow_the_batches():
    """They take a tenth of each batch's mean and unbiased variance, as the benchmark's do."""
    made = hk.transform(lambda x, training: network.BatchNorm()(x, training))
    batches = [draw(3, 2, 2, 2), 5 + 2 * draw(3, 2, 2, 2)]
    parameters = made.init(KEY, batches[0], True)
    descent = protocol.transformation(protocol.Descent(steps=2))
    state = descent.init(parameters)
    mean, variance = np.zeros(2), np.ones(2)
    for batch in batches:
        loss = jax.grad(lambda p, b=batch: made.apply(p, None, b, True).sum() ** 2)
        updates, state = descent.update(loss(parameters), state, parameters)
        parameters = jax.tree.map(jnp.add, parameters, updates)
        mean = 0.9 * mean + 0.1 * batch.mean((0, 1, 2))
        variance = 0.9 * variance + 0.1 * batch.var((0, 1, 2), ddof=1)
    leaves = parameters["batch_norm"]
    np.testing.assert_allclose(leaves["running_mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(leaves["running_variance"], variance, rtol=1e-5)
    told = made.apply(parameters, None, batches[0], False)
    expected = (batches[0] - mean) / np.sqrt(variance + 1e-5) * leaves["scale"] + leaves["offset"]
    np.testing.assert_allclose(told, expected, rtol=1e-4, atol=1e-5)


def test_weights_start_uniform_within_the_root_of_the_fan_in():
    _, parameters = start(CELL.from_arch(DESIGNS["conv3x3"]), Shape(width=8, cells=1))
    for leaves in parameters.values():
        if "w" in leaves:
            bound = 1 / np.sqrt(np.prod(leaves["w"].shape[:-1]))
            assert np.abs(leaves["w"]).max() <= bound
            if leaves["w"].size > 500:
                assert np.std(leaves["w"]) == pytest.approx(bound / np.sqrt(3), rel=0.1)
        else:
            np.testing.assert_array_equal(leaves["scale"], 1)
            np.testing.assert_array_equal(leaves["offset"], 0)
