"""Linear layers on factored features give what they give on the dense array."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.linear import Factored, inputs_of, through_channels
from evo_clrs.slots import PROCESSOR

KEY = jax.random.PRNGKey(0)


def factored(others: int = 0) -> Factored:
    random = np.random.default_rng(0)
    shapes = [(2, 4, 4, 3), (3, 6), (2, 4, 4, others)]
    channels, vectors, more = (jnp.asarray(random.normal(size=s), jnp.float32) for s in shapes)
    return Factored(channels, vectors, more if others else None)


def layer(x, **options):
    return hk.Linear(5, **options)(x)


@pytest.mark.parametrize("others", [0, 7])
@pytest.mark.parametrize("options", [{}, {"with_bias": False}])
def test_a_layer_on_factored_features_equals_the_layer_on_the_product(others, options):
    x = factored(others)
    plain = hk.transform(lambda: layer(x.dense(), **options))

    def short():
        with through_channels():
            return layer(x, **options)

    short = hk.transform(short)
    parameters = plain.init(KEY)
    made = short.init(KEY)
    jax.tree.map(np.testing.assert_array_equal, made, parameters)  # the same draws, too
    parameters = jax.tree.map(lambda a: a + 0.5, parameters)
    expected = plain.apply(parameters, KEY)
    np.testing.assert_allclose(short.apply(parameters, KEY), expected, rtol=1e-5, atol=1e-5)


def test_the_dense_array_itself_takes_the_short_way_and_what_is_made_of_it_does_not():
    x = factored()

    def products(make):
        """Tells whether the graph has a matrix product with the edges as rows."""

        def call(channels, vectors):
            known = Factored(channels, vectors)
            dense = known.dense()
            with through_channels([(dense, known)]):
                return make(dense)

        function = hk.transform(call)
        parameters = function.init(KEY, x.channels, x.vectors)
        applied = jax.jit(lambda *arrays: function.apply(parameters, KEY, *arrays))
        text = applied.lower(x.channels, x.vectors).as_text()
        return "(tensor<32x6xf32>, tensor<6x5xf32>)" in text

    assert not products(layer)
    assert products(lambda dense: layer(dense * 2))


def test_layers_on_several_axes_and_other_modules_are_as_before():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4)), jnp.float32)

    def call():
        return hk.LayerNorm(-1, True, True)(hk.nets.MLP([5, 6])(x))

    def within():
        with through_channels():
            return call()

    plain, other = hk.transform(call), hk.transform(within)
    parameters = plain.init(KEY)
    np.testing.assert_allclose(
        other.apply(parameters, KEY), plain.apply(parameters, KEY), rtol=1e-5, atol=1e-6
    )


def test_a_layer_that_a_program_changed_is_left_as_it_is():
    class Doubled(hk.Linear):
        def __call__(self, x):
            assert x.ndim == 3
            return 2 * super().__call__(x)

    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4)), jnp.float32)

    def within():
        with through_channels():
            return Doubled(5)(x)

    plain, other = hk.transform(lambda: Doubled(5)(x)), hk.transform(within)
    parameters = plain.init(KEY)
    np.testing.assert_allclose(
        other.apply(parameters, KEY), plain.apply(parameters, KEY), rtol=1e-6
    )


def test_a_slot_sees_the_product():
    size = (("B", 2), ("H", 6), ("N", 4), ("R", 3))
    arguments = [jnp.ones(tensor.at(size)) for tensor in PROCESSOR.arguments]
    inputs, known = inputs_of(PROCESSOR, arguments)
    assert [x.shape for x in inputs] == [tensor.at(size) for tensor in PROCESSOR.inputs]
    np.testing.assert_array_equal(inputs[1], np.full((2, 4, 4, 6), 3.0))
    assert [array is inputs[1] for array, _ in known] == [True]
