"""What is drawn by description has Haiku's distributions."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from haiku._src import initializers
from scipy import stats

from evo_clrs.initialisers import describe
from evo_clrs.problems import draws
from evo_clrs.records import Initialiser, Parameter

KEY = jax.random.PRNGKey(3)
SHAPE = (40, 500)

DISTRIBUTIONS = {
    "normal": (Initialiser("normal", (0.5, 3.0)), stats.norm(3.0, 0.5)),
    "uniform": (Initialiser("uniform", (-0.25, 0.75)), stats.uniform(-0.25, 1.0)),
    "cut at two": (
        Initialiser("truncated_normal", (0.1, 0.0, -2.0, 2.0)),
        stats.truncnorm(-2.0, 2.0, scale=0.1),
    ),
    "cut on one side": (
        Initialiser("truncated_normal", (2.0, 1.0, 0.5, 1000.0)),
        stats.truncnorm(0.5, 1000.0, loc=1.0, scale=2.0),
    ),
    "far above": (
        Initialiser("truncated_normal", (1.0, 0.0, 9.0, 10.0)),
        stats.truncnorm(9.0, 10.0),
    ),
    "far below": (
        Initialiser("truncated_normal", (1.0, 0.0, -10.0, -9.0)),
        stats.truncnorm(-10.0, -9.0),
    ),
}

HAIKU = {
    "truncated normal": hk.initializers.TruncatedNormal(0.3, 0.1, -1.0, 2.5),
    "random normal": hk.initializers.RandomNormal(0.2, -1.0),
    "random uniform": hk.initializers.RandomUniform(-0.2, 0.1),
    "uniform scaling": hk.initializers.UniformScaling(0.7),
    "negative": hk.initializers.TruncatedNormal(-0.3, 0.0, -1.0, 2.0),
} | {
    f"{mode} {distribution}": hk.initializers.VarianceScaling(2.0, mode, distribution)
    for mode in ("fan_in", "fan_out", "fan_avg")
    for distribution in ("normal", "truncated_normal", "uniform")
}


def drawn(initialiser, shape=SHAPE, key=KEY):
    (array,) = draws.draw([Parameter("w", shape, "float32", initialiser)], key)
    assert (array.shape, array.dtype) == (shape, jnp.float32)
    return np.asarray(array, np.float64).ravel()


@pytest.mark.parametrize(
    "initialiser, expected", DISTRIBUTIONS.values(), ids=[name for name in DISTRIBUTIONS]
)
def test_distributions(initialiser, expected):
    numbers = drawn(initialiser)
    assert stats.kstest(numbers, expected.cdf).pvalue > 1e-3
    low, high = expected.support()
    assert numbers.min() >= low - 1e-6 and numbers.max() <= high + 1e-6
    error = expected.std() / np.sqrt(numbers.size)
    assert abs(numbers.mean() - expected.mean()) < 4 * error
    assert numbers.std() == pytest.approx(expected.std(), rel=0.03)


@pytest.mark.parametrize("init", HAIKU.values(), ids=[*HAIKU])
def test_a_described_initialiser_is_distributed_as_in_haiku(init):
    made = hk.transform(lambda: hk.get_parameter("w", SHAPE, init=init)).init(KEY)
    theirs = np.asarray(made["~"]["w"]).ravel()
    described = describe(init, SHAPE)
    assert stats.ks_2samp(drawn(described), theirs).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4), (2, 2, 3, 5)])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
def test_scales_are_haikus_for_any_shape(shape, mode):
    init = hk.initializers.VarianceScaling(3.0, mode, "uniform")
    found = {}

    def uniform(minval, maxval):
        found["numbers"] = (minval, maxval)
        return lambda shape, dtype: jnp.zeros(shape, dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initializers, "RandomUniform", uniform)
        init(shape, jnp.float32)
    np.testing.assert_allclose(describe(init, shape).numbers, found["numbers"], rtol=1e-6)


@pytest.mark.parametrize(
    "init, value",
    [
        (jnp.zeros, 0.0),
        (jnp.ones, 1.0),
        (hk.initializers.Constant(-3), -3.0),
        (hk.initializers.Constant(np.float32(0.1)), float(np.float32(0.1))),
        (hk.initializers.Constant(np.array(2)), 2.0),
        (hk.initializers.Constant(True), 1.0),
    ],
)
def test_constants(init, value):
    assert describe(init, (3,)) == Initialiser("constant", (value,))
    np.testing.assert_array_equal(drawn(Initialiser("constant", (value,)), (3,)), [value] * 3)


@pytest.mark.parametrize(
    "init", [hk.initializers.Identity(), hk.initializers.Constant(1j), np.zeros, lambda s, d: 0]
)
def test_other_initialisers_have_no_description(init):
    assert describe(init, (3, 3)) is None


NORMAL = Initialiser("normal", (1.0, 0.0))


def test_a_draw_depends_on_key_position_and_purpose_alone():
    def some(shapes, key=KEY, purpose=0):
        parameters = [Parameter("w", s, "float32", NORMAL) if s else None for s in shapes]
        return [np.asarray(array) for array in draws.draw(parameters, key, purpose)]

    first, second = some([(4,), (4,)])
    assert np.unique([first, second]).size == 8
    for other in (some([(9, 9), (4,)]), some([None, (4,)])):
        np.testing.assert_array_equal(other[-1], second)
    for other in (some([(4,)], jax.random.PRNGKey(4)), some([(4,)], purpose=1)):
        assert np.unique([first, *other]).size == 8


def test_traced_keys_give_the_same_numbers():
    parameters = [
        Parameter("w", (5,), "float32", NORMAL),
        Parameter("v", (2, 3), "float32", NORMAL),
    ]
    keys = jax.random.split(KEY, 3)
    each = [draws.draw(parameters, key) for key in keys]
    together = jax.jit(jax.vmap(lambda key: draws.draw(parameters, key)))(keys)
    for i, alone in enumerate(each):
        jax.tree.map(np.testing.assert_array_equal, alone, tuple(array[i] for array in together))


def test_shapes_are_known_without_drawing():
    large = Parameter("w", (1 << 20, 1 << 20), "float32", NORMAL)
    (shape,) = jax.eval_shape(lambda key: draws.draw([large], key), KEY)
    assert shape.shape == large.shape
