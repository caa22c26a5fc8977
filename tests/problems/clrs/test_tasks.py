"""Names, features and protocol of the 30 tasks, against the library and the published protocol."""

import dataclasses

import pytest

from evo_clrs.clrs_library import clrs
from evo_clrs.errors import UserError
from evo_clrs.problems.clrs.tasks import (
    CLRS30,
    SPLITS,
    TASKS,
    Feature,
    Protocol,
    sampler_options,
    split_count,
    split_lengths,
    split_seed,
    task,
)


def test_tasks_are_the_thirty_of_the_library():
    assert len(TASKS) == 30
    assert set(TASKS) == set(clrs.CLRS_30_ALGS_SETTINGS)


def test_unknown_task_names_close_ones():
    with pytest.raises(UserError, match="unknown task 'dijkstras'.*: dijkstra"):
        task("dijkstras")
    with pytest.raises(UserError, match="bfs, .*topological_sort"):
        task("?")


def test_constant_predecessor_becomes_an_input_of_the_published_tasks():
    moved = {name for name in TASKS if "pred" in {f.name for f in task(name).inputs}}
    assert moved == {
        "activity_selector",
        "binary_search",
        "find_maximum_subarray_kadane",
        "jarvis_march",
        "kmp_matcher",
        "lcs_length",
        "matrix_chain_order",
        "minimum",
        "naive_string_matcher",
        "optimal_bst",
        "task_scheduling",
    }
    assert all("pred_h" not in {f.name for f in task(name).hints} for name in moved)
    kept = task("minimum", Protocol(predecessor_as_input=False))
    assert kept.spec == clrs.SPECS["minimum"]


def test_sorting_predicts_permutations_unless_told_otherwise():
    assert task("insertion_sort").outputs == (
        Feature("pred", "output", "node", "permutation_pointer"),
        Feature("pred_mask", "output", "node", "mask_one"),
    )
    plain = task("insertion_sort", Protocol(permutations=False))
    assert plain.outputs == (Feature("pred", "output", "node", "pointer"),)


def test_features_keep_the_order_of_the_library():
    bfs = task("bfs")
    assert [f.name for f in bfs.inputs] == ["pos", "s", "A", "adj"]
    assert [f.name for f in bfs.hints] == ["reach_h", "pi_h"]
    assert [f.name for f in bfs.outputs] == ["pi"]
    assert bfs.spec == clrs.SPECS["bfs"]


def test_lengths_of_each_split():
    lengths = {split: split_lengths(task("bfs"), CLRS30, split) for split in SPLITS}
    assert lengths == {
        "train": (4, 7, 11, 13, 16),
        "validation": (16,),
        "selection": (16,),
        "test": (64,),
    }


def test_string_matchers_have_one_total_length_except_at_test():
    for name in ("naive_string_matcher", "kmp_matcher"):
        lengths = [split_lengths(task(name), CLRS30, split) for split in SPLITS]
        assert lengths == [(20,), (20,), (20,), (64,)]
        assert sampler_options(task(name), CLRS30, "validation") == {"length_needle": -8}
        assert sampler_options(task(name), CLRS30, "test") == {}
        assert sampler_options(task(name), Protocol(max_needle=0), "train") == {}
    assert split_lengths(task("lcs_length"), CLRS30, "validation") == (16,)


def test_edge_probabilities_are_halved_for_the_published_tasks():
    halved = set()
    for name in TASKS:
        options = sampler_options(task(name), CLRS30, "train")
        assert ("p" in options) == task(name).on_graphs
        if options.get("p", (0.1,))[0] == pytest.approx(0.05):
            halved.add(name)
            assert options["p"] == pytest.approx([0.05 * i for i in range(1, 10)])
        assert "p" not in sampler_options(task(name), CLRS30, "test")
    assert halved == {"articulation_points", "bridges", "mst_kruskal"}
    assert sampler_options(task("bfs"), CLRS30, "selection")["p"] == pytest.approx(
        [0.1 * i for i in range(1, 10)]
    )


def test_counts_are_multiplied_for_tasks_with_few_outputs():
    multiplied = {name: split_count(task(name), CLRS30, "test") for name in TASKS}
    assert multiplied.pop("find_maximum_subarray_kadane") == 32 * 32
    for name in (
        "quickselect",
        "minimum",
        "binary_search",
        "naive_string_matcher",
        "kmp_matcher",
        "segments_intersect",
    ):
        assert multiplied.pop(name) == 32 * 64
    assert set(multiplied.values()) == {32}
    assert split_count(task("minimum"), Protocol(multiply_counts=False), "validation") == 32
    assert split_count(task("minimum"), CLRS30, "train") == 1000


def test_seeds_of_the_splits():
    assert split_seed(CLRS30, "validation", 16) == clrs.CLRS30["val"]["seed"] == 2
    assert split_seed(CLRS30, "test", 64) == clrs.CLRS30["test"]["seed"] == 3
    drawn = {
        split_seed(CLRS30, split, length, part)
        for split in SPLITS
        for length in (4, 16)
        for part in (1, 2)
    }
    assert len(drawn) == 16


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("train_lengths", ()),
        ("train_lengths", (4, 0)),
        ("validation_length", -16),
        ("test_length", 1),
        ("string_length", 16),
        ("max_needle", -1),
        ("edge_probabilities", ()),
        ("edge_probabilities", (0.5, 1.5)),
        ("sparse_factor", 0.0),
        ("train_count", 0),
        ("validation_count", -1),
        ("selection_count", 2.5),
        ("test_count", True),
        ("train_seed", -1),
        ("test_seed", 2**32),
    ],
)
def test_an_option_out_of_range_is_named(field, value):
    with pytest.raises(UserError, match=f"^{field}: expected .*, got "):
        Protocol(**{field: value})


def test_two_splits_cannot_share_a_seed():
    with pytest.raises(UserError, match="seeds: expected another one for each split"):
        Protocol(selection_seed=2)


def test_protocol_and_task_are_frozen_and_hashable():
    assert hash(task("bfs")) == hash(task("bfs"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        CLRS30.test_seed = 5
