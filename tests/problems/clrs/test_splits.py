"""Search, selection and test data are different data, and test data is read on the record only."""

import numpy as np
import pytest

from evo_clrs.errors import UserError
from evo_clrs.problems.clrs.splits import Splits
from evo_clrs.problems.clrs.tasks import CLRS30, SPLITS, Protocol, task

SMALL = Protocol(train_lengths=(4, 16), test_length=16, train_count=4)


def test_training_has_one_pool_for_each_length():
    pools = Splits(task("bfs"), SMALL).pools("train")
    assert [(pool.nodes, pool.count) for pool in pools] == [(4, 4), (16, 4)]


def test_splits_and_parts_are_different_data():
    splits = Splits(task("minimum"), SMALL, record_test=lambda recipe: None)
    keys = [splits.pools(split, count=8)[-1].inputs["key"] for split in SPLITS]
    keys += [splits.pools("train", count=8, part=1)[-1].inputs["key"]]
    values = np.concatenate([array.ravel() for array in keys])
    assert values.shape == (5 * 8 * 16,)
    assert len(np.unique(values)) == values.size


def test_counts_follow_the_protocol():
    splits = Splits(task("segments_intersect"), CLRS30)
    assert splits.recipes("validation")[0].count == 32 * 64
    (pool,) = splits.pools("selection", count=3)
    assert (pool.count, pool.nodes) == (3, 4)


def test_test_data_is_closed_within_a_search():
    with pytest.raises(UserError, match="test data is for the final comparison only"):
        Splits(task("bfs"), SMALL).pools("test")


def test_every_reading_of_test_data_is_recorded(tmp_path):
    readings = []
    splits = Splits(task("bfs"), SMALL, cache=tmp_path, record_test=readings.append)
    splits.pools("validation")
    assert not readings
    splits.pools("test")
    splits.pools("test")
    assert readings == [*splits.recipes("test"), *splits.recipes("test")]
    assert (readings[0].task, readings[0].length, readings[0].seed) == ("bfs", 16, 3)


def test_nothing_is_read_where_the_record_fails(tmp_path):
    def fail(recipe):
        raise OSError("the run folder is full")

    with pytest.raises(OSError, match="run folder"):
        Splits(task("bfs"), SMALL, cache=tmp_path, record_test=fail).pools("test")
    assert not list(tmp_path.iterdir())


def test_unknown_split_and_empty_count_are_told():
    with pytest.raises(UserError, match="unknown split 'val'.*train, validation, selection, test"):
        Splits(task("bfs"), SMALL).pools("val")
    with pytest.raises(UserError, match="count: expected 1 or more for bfs, got 0"):
        Splits(task("bfs"), SMALL).pools("train", count=0)
