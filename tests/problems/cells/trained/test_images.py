"""Image sets: which image belongs where, CIFAR-10's binary form, and what is told of bad ones."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from evo_clrs.errors import UserError
from evo_clrs.problems.cells.trained import images
from evo_clrs.problems.cells.trained.images import SPLITS, Source
from tests.problems.cells.trained import folder as cifar10

CLOSED = "test data is for the final comparison only"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    yield cifar10.write(tmp_path_factory.mktemp("cifar-10-batches-bin"))
    images._cifar10_train.cache_clear()


def test_each_digit_is_in_one_split():
    source = Source("digits", record_test=lambda name: None)
    parts = [source.read(split) for split in SPLITS]
    assert tuple(part.number for part in parts) == source.kind.counts
    together = np.concatenate([part.pixels for part in parts])[..., 0]
    assert sorted(map(bytes, together)) == sorted(map(bytes, load_digits().images.astype(np.uint8)))


def test_digits_keep_their_labels_and_no_split_is_one_sided():
    known = {
        bytes(i.astype(np.uint8)): t for i, t in zip(*load_digits(return_X_y=True), strict=True)
    }
    source = Source("digits")
    for split in ("train", "validation", "selection"):
        part = source.read(split)
        assert [known[bytes(pixels)] for pixels in part.pixels] == part.labels.tolist()
        assert np.bincount(part.labels, minlength=10).min() >= part.number / 20
    assert source.read("train").labels.tolist() == Source("digits").read("train").labels.tolist()


def test_cifar10_is_read_from_its_binary_form(folder):
    source = Source("cifar10", str(folder), record_test=lambda name: None)
    for number, split in enumerate(SPLITS):
        assert source.read(split).pixels.shape == (source.kind.counts[number], 32, 32, 3)
    test = source.read("test")
    assert test.labels[7] == 5 and test.labels.sum() == 5
    np.testing.assert_array_equal(test.pixels[7], cifar10.image(5))
    found = {}
    for split in ("train", "validation", "selection"):
        part = source.read(split)
        for place in np.flatnonzero(part.pixels.any((1, 2, 3))):
            number = next(n for n in range(5) if (part.pixels[place] == cifar10.image(n)).all())
            assert part.labels[place] == number
            found[number] = split
    assert set(found) == set(range(5))


@pytest.mark.parametrize("name", images.SETS)
def test_test_images_are_closed_to_a_search(folder, name):
    with pytest.raises(UserError, match=CLOSED):
        Source(name, str(folder)).read("test")


@pytest.mark.parametrize("name", images.SETS)
def test_every_reading_of_test_images_is_recorded(folder, name):
    readings = []
    source = Source(name, str(folder), readings.append)
    source.read("validation")
    assert readings == []
    source.read("test")
    source.read("test")
    assert readings == [name, name]


def check_told(message, told):
    """A message names the trouble and says how to mend it, in one line."""
    assert message in told and "\n" not in told
    for needed in (
        "cifar-10-binary.tar.gz",
        "170 MB",
        "c32a1d4ab5d03f1284b67883e8d87530",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "--folder=PATH/cifar-10-batches-bin",
    ):
        assert needed in told


def test_no_folder_is_told():
    with pytest.raises(UserError) as told:
        Source("cifar10")
    check_told("--images=cifar10 needs --folder", str(told.value))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError) as told:
        Source("cifar10", str(tmp_path))
    check_told(f"{tmp_path / 'data_batch_1.bin'} is missing", str(told.value))


def test_a_file_that_is_cut_short_is_told(tmp_path):
    cifar10.write(tmp_path)
    with open(tmp_path / "test_batch.bin", "r+b") as file:
        file.truncate(30_000_000)
    with pytest.raises(UserError) as told:
        Source("cifar10", str(tmp_path))
    check_told("test_batch.bin is damaged: 30000000 bytes instead of 30730000", str(told.value))


def test_a_label_that_is_no_class_is_told(tmp_path):
    cifar10.write(tmp_path)
    with open(tmp_path / "data_batch_3.bin", "r+b") as file:
        file.write(b"\x0a")
    with pytest.raises(UserError) as told:
        Source("cifar10", str(tmp_path)).read("train")
    check_told("data_batch_3.bin is damaged: it holds a label 10", str(told.value))


def test_an_unknown_set_and_an_unknown_split_are_told():
    with pytest.raises(UserError, match="--images must be one of digits, cifar10, got 'mnist'"):
        Source("mnist")
    with pytest.raises(UserError, match="unknown split 'val'; expected one of: train, valid"):
        Source("digits").read("val")
