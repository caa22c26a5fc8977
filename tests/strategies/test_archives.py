"""CVT archives: what a niche keeps, and how descriptors without bounds get there."""

import numpy as np
import pytest

from evo_clrs.strategies import archives
from evo_clrs.strategies.archives import Archive, ScaledArchive, scaled

every_scaling = pytest.mark.parametrize("scaling", archives.SCALINGS)


def points(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(count, 2))


def test_centroids_are_the_same_in_every_process_and_share_the_square_out():
    first = archives.centroids(100, 2)
    archives.centroids.cache_clear()
    assert np.array_equal(first, archives.centroids(100, 2))
    nearest = np.linalg.norm(points(20_000)[:, None] - first[None], axis=-1).argmin(axis=-1)
    share = np.bincount(nearest, minlength=100) / 20_000
    assert share.min() > 0.004 and share.max() < 0.02  # 0.01 each, if all were equally large


def test_a_niche_keeps_the_better_and_of_equals_the_earlier():
    archive = Archive(100, 2)
    here = (0.5, 0.5)
    assert archive.add(0, 0.7, here)
    assert not archive.add(1, 0.6, here)
    assert not archive.add(2, 0.7, here)
    assert list(archive.elites().values()) == [0]
    assert archive.add(3, 0.8, here)
    assert archive.add(4, 0.1, (0.0, 1.0))
    assert sorted(archive.elites().values()) == [3, 4]
    assert len(archive) == 2


def test_filling_anew_is_adding_one_after_the_other():
    positions = points(500)
    objectives = (np.arange(500) % 7 / 7).tolist()  # many of a niche are equal
    rebuilt, one_by_one = Archive(30, 2), Archive(30, 2)
    rebuilt.add(7, 2.0, (0.5, 0.5))  # forgotten
    rebuilt.rebuild(objectives, positions)
    for number, position in enumerate(positions):
        one_by_one.add(number, objectives[number], position)
    assert rebuilt.elites() == one_by_one.elites()
    assert len(rebuilt) == 30
    rebuilt.rebuild([], np.zeros((0, 2)))
    assert rebuilt.elites() == {}


def test_ranks_are_shares_of_what_is_known_with_equals_counted_by_half():
    known = np.array([[1.0], [2.0], [2.0], [1e12]])
    assert scaled(known, known, "rank").ravel().tolist() == [1 / 8, 1 / 2, 1 / 2, 7 / 8]
    assert scaled(np.array([[0.0], [1e13]]), known, "rank").ravel().tolist() == [0.0, 1.0]


def test_logarithms_put_equal_ratios_at_equal_distances():
    known = np.array([[1e3, 5.0], [1e5, 5.0], [1e7, 5.0]])
    positions = scaled(known, known, "log")
    assert positions[:, 0] == pytest.approx([0.0, 0.5, 1.0], abs=1e-6)
    assert positions[:, 1].tolist() == [0.0, 0.0, 0.0]
    beyond = np.array([[0.0, 5.0], [1e9, 5.0]])
    assert scaled(beyond, known, "log").tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_residuals_tell_what_the_descriptor_before_does_not():
    sizes = np.array([1e3, 1e4, 1e5, 1e6])
    known = np.stack([sizes, 100 * sizes], axis=1)  # FLOPs follow from parameters
    positions = scaled(known, known, "residual")
    assert positions[:, 0].tolist() == [1 / 8, 3 / 8, 5 / 8, 7 / 8]
    assert positions[:, 1].tolist() == [1 / 2] * 4
    thrifty, greedy = np.array([[1e4, 5e5]]), np.array([[1e4, 2e6]])
    assert scaled(thrifty, known, "residual").tolist() == [[3 / 8, 0.0]]
    assert scaled(greedy, known, "residual").tolist() == [[3 / 8, 1.0]]


def test_descriptors_that_rise_together_fill_the_square_by_residuals_alone():
    # Logarithms of parameters and FLOPs with a correlation of 0.98.
    draws = np.random.default_rng(0).standard_normal((1000, 2))
    values = np.exp(np.stack([draws[:, 0], draws[:, 0] + 0.2 * draws[:, 1]], axis=1) + 9)
    filled = {}
    for scaling in archives.SCALINGS:
        archive = ScaledArchive(100, 2, scaling)
        archive.extend(values.tolist(), [0.5] * 1000)
        filled[scaling] = len(archive)
    assert filled["residual"] >= 95 and filled["rank"] < 50 and filled["log"] < 50


# Parameters and FLOPs of networks as they come.
NETWORKS = [(1e3, 4e6), (5e3, 9e7), (2e4, 1e6), (1e5, 5e8), (7e5, 3e7), (3e6, 2e9)]


def test_unscaled_all_networks_fall_into_one_niche():
    archive = Archive(100, 2)
    entered = [archive.add(i, 0.5, network) for i, network in enumerate(NETWORKS)]
    assert entered == [True, False, False, False, False, False]


@every_scaling
def test_scaled_every_network_has_a_niche_of_its_own(scaling):
    archive = ScaledArchive(100, 2, scaling)
    assert archive.extend(NETWORKS, [0.5] * 6) == [True] * 6
    assert sorted(archive.elites()) == list(range(6))


@every_scaling
def test_what_is_kept_does_not_depend_on_how_it_was_portioned(scaling):
    values, objectives = 10 ** (6 * points(200)), points(200, seed=1)[:, 0].tolist()
    at_once, in_portions = ScaledArchive(50, 2, scaling), ScaledArchive(50, 2, scaling)
    at_once.extend(values.tolist(), objectives)
    for start in range(0, 200, 20):
        in_portions.extend(values[start : start + 20].tolist(), objectives[start : start + 20])
    assert in_portions.extend([], []) == []
    assert in_portions.elites() == at_once.elites()
    assert len(at_once) > 40


def test_a_better_network_takes_the_niche_of_an_equal_one():
    archive = ScaledArchive(100, 2, "rank")
    archive.extend(NETWORKS, [0.5] * 6)
    assert archive.extend([NETWORKS[2]] * 3, [0.4, 0.6, 0.6]) == [False, True, False]
    assert 7 in archive.elites() and 2 not in archive.elites()
