"""MNIST-1D by split: the published set, made here, and what is kept apart."""

import random

import numpy as np
import pytest

from evo_clrs.errors import UserError
from evo_clrs.problems.mnist1d import data
from evo_clrs.problems.mnist1d.data import SPLITS, Splits

COUNTS = {"train": 3500, "validation": 500, "selection": 5000, "test": 1000}


def rows(samples):
    return {signal.tobytes() for signal in samples.signals}


def test_splits_have_the_published_counts_and_shapes():
    splits = Splits(record_test=lambda count: None)
    for split, count in COUNTS.items():
        samples = splits.samples(split)
        assert samples.count == count
        assert samples.signals.shape == (count, 40) and samples.signals.dtype == np.float32
        assert samples.classes.shape == (count,) and samples.classes.dtype == np.int32
        assert set(samples.classes) == set(range(10))


def test_the_published_set_is_normalised_over_all_its_signals():
    splits = Splits(held_out=0, record_test=lambda count: None)
    training, test = splits.samples("train"), splits.samples("test")
    signals = np.concatenate([training.signals, test.signals]).astype(np.float64)
    assert signals.shape == (5000, 40)
    assert abs(signals.mean()) < 1e-6 and abs(signals.std() - 1) < 1e-6
    assert np.bincount(np.concatenate([training.classes, test.classes])).tolist() == [500] * 10


def test_the_first_training_signal_is_that_of_the_authors_package():
    from mnist1d.data import get_dataset_args, make_dataset

    state = np.random.get_state(), random.getstate()
    theirs = make_dataset(get_dataset_args())
    np.random.set_state(state[0])
    random.setstate(state[1])
    ours = Splits(held_out=0).samples("train")
    np.testing.assert_array_equal(ours.signals, theirs["x"].astype(np.float32))
    np.testing.assert_array_equal(ours.classes, theirs["y"])


def test_no_signal_is_in_two_splits():
    splits = Splits(record_test=lambda count: None)
    found = [rows(splits.samples(split)) for split in SPLITS]
    assert len(set.union(*found)) == sum(map(len, found)) == sum(COUNTS.values())


def test_held_out_signals_are_the_same_in_every_process_and_part_of_the_training_signals():
    everything = Splits(held_out=0).samples("train")
    parts = [Splits().samples("train"), Splits().samples("validation")]
    assert rows(parts[0]) | rows(parts[1]) == rows(everything)
    again = Splits().samples("validation")
    np.testing.assert_array_equal(parts[1].signals, again.signals)


def test_making_the_data_leaves_the_global_generators_alone():
    data._made.cache_clear()
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.rand()
    random.seed(5)
    np.random.seed(5)
    Splits().samples("train")
    Splits().samples("selection")
    assert (random.random(), np.random.rand()) == expected


def test_test_data_are_closed_within_a_search():
    with pytest.raises(UserError, match="test data is for the final comparison only"):
        Splits().samples("test")


def test_every_reading_of_test_data_is_recorded():
    readings = []
    splits = Splits(record_test=readings.append)
    splits.samples("validation")
    assert not readings
    splits.samples("test")
    splits.samples("test")
    assert readings == [1000, 1000]


def test_nothing_is_read_where_the_record_fails():
    def fail(count):
        raise OSError("the run folder is full")

    with pytest.raises(OSError, match="run folder"):
        Splits(record_test=fail).samples("test")


def test_an_unknown_split_is_told():
    with pytest.raises(UserError, match="unknown split 'val'.*train, validation, selection, test"):
        Splits().samples("val")
