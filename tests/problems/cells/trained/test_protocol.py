"""Drawing, descent and scoring of cells that are trained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs import spaces
from evo_clrs.errors import Rejected
from evo_clrs.problems.cells.trained import network, protocol
from evo_clrs.problems.cells.trained.images import KINDS, Images, Source

DIGITS, CIFAR10 = KINDS["digits"], KINDS["cifar10"]
SKIP = spaces.CELL.from_arch("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")


def numbered(count, side, channels):
    """Returns images without a zero, all different, each labelled with its number."""
    pixels = np.random.default_rng(0).integers(1, 256, (count, side, side, channels), np.uint8)
    return Images(pixels, np.arange(count, dtype=np.int32))


def moved(image, down, right, margin):
    wide = np.pad(image, ((margin, margin), (margin, margin), (0, 0)))
    return wide[down : down + image.shape[0], right : right + image.shape[1]]


def test_a_batch_without_augmentation_is_of_the_pool():
    pool = numbered(5, 8, 1)
    batch = jax.jit(protocol.make_draw(DIGITS, False), static_argnums=2)(
        jax.random.PRNGKey(0), pool, 64
    )
    np.testing.assert_array_equal(batch.pixels, pool.pixels[np.asarray(batch.labels)])
    assert set(batch.labels.tolist()) == set(range(5))


@pytest.mark.parametrize(
    ("kind", "margin", "views"), [(DIGITS, 1, 9), (CIFAR10, 4, 162)], ids=["digits", "cifar10"]
)
def test_augmented_images_are_cut_from_a_margin_and_mirrored_where_that_is_allowed(
    kind, margin, views
):
    pool = numbered(1, kind.side, kind.channels)
    draw = jax.jit(protocol.make_draw(kind, True), static_argnums=2)
    places = range(2 * margin + 1)
    crops = [moved(pool.pixels[0], down, right, margin) for down in places for right in places]
    allowed = {bytes(np.ascontiguousarray(crop)) for crop in crops}
    if kind.flips:
        allowed |= {bytes(np.ascontiguousarray(crop[:, ::-1])) for crop in crops}
    assert len(allowed) == views
    drawn = {bytes(image) for image in np.asarray(draw(jax.random.PRNGKey(1), pool, 2000).pixels)}
    assert drawn == allowed


def test_the_descent_is_sgd_with_nesterov_momentum_weight_decay_and_a_cosine():
    """By the update rules of torch.optim.SGD, which the benchmark used; w starts at 2."""
    descent = protocol.transformation(protocol.Descent(4, 0.1, 0.9, 5e-4))
    parameters = {"layer": {"w": jnp.array([2.0]), "running_mean": jnp.array([2.0])}}
    gradients = {"layer": {"w": jnp.array([0.5]), "running_mean": jnp.array([0.5])}}
    state = descent.init(parameters)
    weight, average, momentum = 2.0, 2.0, 0.0
    for step in range(4):
        updates, state = descent.update(gradients, state, parameters)
        parameters = jax.tree.map(jnp.add, parameters, updates)
        gradient = 0.5 + 5e-4 * weight
        momentum = 0.9 * momentum + gradient
        rate = 0.05 * (1 + np.cos(np.pi * step / 4))
        weight -= rate * (gradient + 0.9 * momentum)
        average -= 0.1 * 0.5  # neither decays nor gathers momentum
    assert parameters["layer"]["w"] == pytest.approx(weight, rel=1e-5)
    assert parameters["layer"]["running_mean"] == pytest.approx(average, rel=1e-5)


def test_stored_pixels_are_normalised_by_channel():
    pixels = jnp.asarray([[[[188, 185, 181]]], [[[0, 123, 0]]]], jnp.uint8)
    told = protocol.normalise(CIFAR10, pixels)
    expected = [[62.7 / 63, 62 / 62.1, 67.1 / 66.7], [-125.3 / 63, 0, -113.9 / 66.7]]
    np.testing.assert_allclose(told[:, 0, 0], expected, atol=1e-6)
    assert told.dtype == jnp.float32


@pytest.fixture(scope="module")
def started():
    built = network.build(SKIP, network.Shape(width=2, cells=1))
    return built, built.init(jax.random.PRNGKey(0), jnp.zeros((1, 8, 8, 1)))


def test_a_score_is_the_fraction_predicted_rightly_whatever_fills_the_last_batch(started):
    built, parameters = started
    pool = Source("digits").read("validation")
    logits = built.predict(parameters, protocol.normalise(DIGITS, jnp.asarray(pool.pixels)))
    expected = np.mean(np.argmax(np.asarray(logits), -1) == pool.labels)
    scorer = protocol.make_scorer(built, DIGITS, pool, 70)  # 300 images: the last batch has 20
    assert scorer(parameters)["score"] == pytest.approx(expected, abs=1e-9)


def test_a_prediction_that_is_not_finite_rejects_the_cell(started):
    built, parameters = started
    broken = {**parameters, "linear": jax.tree.map(lambda x: x * jnp.nan, parameters["linear"])}
    pool = Source("digits").read("validation")
    with pytest.raises(Rejected, match="a prediction is not finite"):
        protocol.make_scorer(built, DIGITS, pool, 300)(broken)
