"""Pools hold what the library's own samplers give, and batches of them vary as they should."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy import stats

from evo_clrs.clrs_library import clrs
from evo_clrs.errors import UserError
from evo_clrs.problems.clrs.data import (
    Pool,
    draw_batch,
    feedback,
    fit_hints,
    make_pool,
    randomise_positions,
    sort_by_length,
    take,
)
from evo_clrs.problems.clrs.tasks import CLRS30, TASKS, Protocol, sampler_options, task

PLAIN = Protocol(random_positions=False, max_needle=1, string_length=5)


def library_feedback(name: str, length: int, count: int, seed: int, **options):
    """Samples as the library's example makes them, positions not randomised."""
    sampler, spec = clrs.build_sampler(name, count, length=length, seed=seed, **options)
    samples = iter([sampler.next()])
    if task(name).spec.get("pred", (None,))[0] == "input":
        spec, samples = clrs.process_pred_as_input(spec, samples)
    spec, samples = clrs.process_permutations(spec, samples, enforce_permutations=True)
    return next(samples), spec


def assert_same(ours, theirs):
    assert [(p.name, p.location, p.type_) for p in ours] == [
        (p.name, p.location, p.type_) for p in theirs
    ]
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(
            our.data, np.asarray(their.data).astype(our.data.dtype), err_msg=our.name
        )


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("name", TASKS)
def test_samples_equal_the_library(name, split):
    pool = make_pool(task(name, PLAIN), PLAIN, split, length=5, count=2, seed=3)
    ours = feedback(task(name, PLAIN), pool)
    options = sampler_options(task(name), PLAIN, split)
    theirs, spec = library_feedback(name, 5, 2, 3, **options)
    assert task(name).spec == spec
    assert_same(ours.features.inputs, theirs.features.inputs)
    assert_same(ours.features.hints, theirs.features.hints)
    assert_same(ours.outputs, theirs.outputs)
    np.testing.assert_array_equal(ours.features.lengths, theirs.features.lengths)


def test_test_data_is_the_released_test_split():
    # The released split is drawn with these four numbers and the library's defaults.
    released = clrs.CLRS30["test"]
    sampler, _ = clrs.build_sampler("bfs", **released)
    pool = make_pool(task("bfs"), CLRS30, "test", length=64, count=32, seed=3)
    assert_same(feedback(task("bfs"), pool).features.inputs, sampler.next().features.inputs)


def test_needles_at_test_have_twelve_of_sixty_four_characters():
    pool = make_pool(task("kmp_matcher"), CLRS30, "test", length=64, count=4, seed=3)
    assert pool.nodes == 64
    np.testing.assert_array_equal(pool.inputs["string"].sum(axis=1), 12)


def test_needles_in_training_have_one_to_eight_of_twenty_characters():
    pool = make_pool(task("naive_string_matcher"), CLRS30, "train", length=20, count=200, seed=1)
    assert pool.nodes == 20
    assert set(pool.inputs["string"].sum(axis=1)) == set(range(1, 9))


@pytest.mark.parametrize("name", TASKS)
def test_pool_has_the_shapes_and_types_it_promises(name):
    chosen = task(name)
    length = 20 if chosen.matches_strings else 4
    pool = make_pool(chosen, CLRS30, "train", length, count=2, seed=0)
    nodes, steps = chosen.nodes(length), pool.hint_steps
    assert (pool.count, pool.nodes, pool.steps) == (2, nodes, max(1, steps - 1))
    assert pool.lengths.dtype == np.int32 and pool.lengths.max() == steps
    by_location = {"node": (nodes,), "edge": (nodes, nodes), "graph": ()}
    for features, arrays, leading in (
        (chosen.inputs, pool.inputs, (2,)),
        (chosen.hints, pool.hints, (steps, 2)),
        (chosen.outputs, pool.outputs, (2,)),
    ):
        assert set(arrays) == {feature.name for feature in features}
        for feature in features:
            array = arrays[feature.name]
            shape = leading + by_location[feature.location]
            assert array.shape[: len(shape)] == shape
            one_hot = feature.type in ("categorical", "permutation_pointer")
            assert array.ndim == len(shape) + one_hot
            assert array.dtype == (np.int32 if feature.type == "pointer" else np.float32)


def test_hints_are_zero_after_the_length_of_a_sample():
    pool = make_pool(task("bfs"), CLRS30, "train", length=11, count=30, seed=0)
    after = np.arange(pool.hint_steps)[:, None] >= pool.lengths
    assert after.any()
    assert not pool.hints["reach_h"][after].any()


def test_predecessor_input_is_the_hint_that_never_changed():
    hinted = Protocol(predecessor_as_input=False)
    pool = make_pool(task("minimum"), CLRS30, "train", length=7, count=3, seed=0)
    before = make_pool(task("minimum", hinted), hinted, "train", length=7, count=3, seed=0)
    np.testing.assert_array_equal(pool.inputs["pred"], before.hints["pred_h"][0])
    assert "pred_h" not in pool.hints and "pred" not in before.inputs


@pytest.mark.parametrize("name", ["bfs", "lcs_length", "kmp_matcher"])
def test_random_positions_are_sorted_in_each_string_and_differ_between_samples(name):
    pool = make_pool(task(name), CLRS30, "train", length=20, count=400, seed=5)
    drawn = jax.random.uniform(jax.random.key(0), pool.inputs["pos"].shape)
    redrawn = jax.jit(randomise_positions)(drawn, pool)
    for positions in (pool.inputs["pos"], np.asarray(redrawn.inputs["pos"])):
        assert positions.dtype == np.float32
        assert positions.min() >= 0 and positions.max() <= 1
        assert len(np.unique(positions[:, 3])) > 390
        strings = pool.inputs.get("string", np.zeros_like(positions))
        falls = np.diff(positions, axis=1) < 0
        assert not falls[np.diff(strings, axis=1) == 0].any()
        # The first of n sorted uniform numbers is 1 / (n + 1) on average.
        first_size = (strings == 0).sum(axis=1)
        assert positions[:, 0].mean() == pytest.approx((1 / (first_size + 1)).mean(), abs=0.01)
        last_size = np.where(strings[:, -1] == 1, strings.sum(axis=1), first_size)
        expected = (last_size / (last_size + 1)).mean()
        assert positions[:, -1].mean() == pytest.approx(expected, abs=0.03)
    assert not np.array_equal(redrawn.inputs["pos"], pool.inputs["pos"])
    for key in set(pool.inputs) - {"pos"}:
        np.testing.assert_array_equal(redrawn.inputs[key], pool.inputs[key])


def test_positions_at_test_are_evenly_spaced():
    pool = make_pool(task("bfs"), CLRS30, "test", length=8, count=2, seed=3)
    np.testing.assert_array_equal(pool.inputs["pos"], [np.arange(8) / 8] * 2)


def test_equal_seeds_give_equal_pools_and_others_differ():
    def positions(seed: int) -> np.ndarray:
        return make_pool(task("minimum"), CLRS30, "train", 7, 3, seed).inputs["key"]

    np.testing.assert_array_equal(positions(1), positions(1))
    assert not np.array_equal(positions(1), positions(2))


def test_take_gathers_a_batch_on_the_device():
    pool = make_pool(task("heapsort"), CLRS30, "train", length=5, count=6, seed=0)
    indices = np.array([4, 0, 4])
    batch = jax.jit(take)(jax.device_put(pool), indices)
    assert isinstance(batch, Pool) and batch.count == 3
    np.testing.assert_array_equal(batch.inputs["key"], pool.inputs["key"][indices])
    np.testing.assert_array_equal(batch.hints["parent"], pool.hints["parent"][:, indices])
    np.testing.assert_array_equal(batch.outputs["pred"], pool.outputs["pred"][indices])
    np.testing.assert_array_equal(batch.lengths, pool.lengths[indices])
    chosen = feedback(task("heapsort"), pool, indices)
    np.testing.assert_array_equal(chosen.features.inputs[1].data, batch.inputs["key"])


def test_hints_are_padded_and_cut_but_no_sample_is_shortened():
    pool = make_pool(task("bfs"), CLRS30, "train", length=7, count=4, seed=0)
    longest = pool.hint_steps
    padded = fit_hints(pool, longest + 3)
    assert padded.hint_steps == longest + 3
    assert not padded.hints["reach_h"][longest:].any()
    np.testing.assert_array_equal(fit_hints(padded, longest).hints["pi_h"], pool.hints["pi_h"])
    with pytest.raises(ValueError, match=f"hint_steps: expected {longest} or more, got 1"):
        fit_hints(pool, 1)


def test_masked_outputs_survive():
    pool = make_pool(task("lcs_length"), CLRS30, "train", length=6, count=2, seed=0)
    assert (pool.outputs["b"] == clrs.OutputClass.MASKED).any()


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("bfs", {"length": 1}, "length: expected 2 or more for bfs, got 1"),
        ("strongly_connected_components", {"length": 3}, "length: expected 4 or more"),
        ("kmp_matcher", {"length": 16}, "length: expected 17 or more for kmp_matcher, got 16"),
        ("bfs", {"count": 0}, "count: expected 1 or more for bfs, got 0"),
        ("bfs", {"seed": -1}, "seed: expected 0 or more for bfs, got -1"),
    ],
)
def test_a_size_out_of_range_is_named(name, change, told):
    arguments = {"length": 8, "count": 1, "seed": 0} | change
    with pytest.raises(UserError, match=told):
        make_pool(task(name), CLRS30, "train", **arguments)


def test_a_pool_is_frozen():
    pool = make_pool(task("bfs"), CLRS30, "train", length=4, count=1, seed=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        pool.lengths = np.zeros(1)


def test_buckets_hold_samples_of_similar_length_and_leave_none_out():
    pool = sort_by_length(make_pool(task("bfs"), CLRS30, "train", 16, 40, 1))
    assert np.all(np.diff(pool.lengths) >= 0)
    marked = dataclasses.replace(pool, lengths=np.arange(40, dtype=np.int32))
    drawn = [
        np.asarray(draw_batch(jax.random.PRNGKey(i), marked, 8, 4, False).lengths)
        for i in range(60)
    ]
    assert {tuple(np.unique(batch // 10)) for batch in drawn} == {(0,), (1,), (2,), (3,)}
    assert set(np.concatenate(drawn)) == set(range(40))


def test_one_bucket_is_the_whole_pool():
    pool = make_pool(task("bfs"), CLRS30, "train", 8, 20, 1)
    marked = dataclasses.replace(pool, lengths=np.arange(20, dtype=np.int32))
    batch = draw_batch(jax.random.PRNGKey(3), marked, 2000, 1, False)
    counts = np.bincount(batch.lengths, minlength=20)
    assert stats.chisquare(counts).pvalue > 0.01
    np.testing.assert_array_equal(batch.inputs["adj"], pool.inputs["adj"][batch.lengths])


def test_samples_and_positions_of_a_batch_are_drawn_apart():
    pool = make_pool(task("bfs"), CLRS30, "train", 8, 2, 1)
    marked = dataclasses.replace(pool, lengths=np.arange(2, dtype=np.int32))
    batch = draw_batch(jax.random.PRNGKey(3), marked, 2000, 1, True)
    positions = np.asarray(batch.inputs["pos"])
    # Uniform numbers on the whole, and none of them the same twice.
    assert len(np.unique(positions)) > 15_900
    assert stats.kstest(positions.ravel(), "uniform").pvalue > 0.01
    first, second = (positions[np.asarray(batch.lengths) == i].mean() for i in (0, 1))
    assert first == pytest.approx(second, abs=0.02)
