"""Official NATS-Bench files: what they say, and what is refused."""

import bz2
import collections
import os
import pickle

import numpy as np
import pytest

from evo_clrs.errors import UserError
from evo_clrs.problems.cells import nasbench201, nats_sizes, order
from evo_clrs.problems.cells.pickles import read_pickle
from evo_clrs.spaces import CELL
from tests.problems.cells import tables
from tests.problems.cells.tables import NUMBER_0, NUMBER_284, write_archive, write_pickle

CELL_ARCHS = [order.at(number) for number in range(15_625)]


@pytest.fixture
def folder(tmp_path):
    """An official folder that holds cell number 284 only."""
    return write_archive(tmp_path / "tss", CELL_ARCHS, {284: tables.cell_results()})


# Means over three seeds after 200 epochs, and what the api of the benchmark tells of number 284.
MEANS = {
    "cifar10": (86.04666666341147, 88.79, 101_306, 11_715_210, 975.15887419383),
    "cifar100": (61.67999998779297, 62.13999997558594, 107_156, 11_721_060, 1950.31774838766),
    "imagenet16-120": (33.399999984741214, 32.466666556464304, 108_456, 2_936_440, 5917.264048608),
}


@pytest.mark.parametrize("data", MEANS)
def test_values_are_seed_means_of_full_training(folder, data):
    validation, test, parameters, flops, seconds = MEANS[data]
    row = nasbench201.read(folder, data).row(NUMBER_284)
    assert row.validation == pytest.approx(validation, abs=1e-9)
    assert row.test == pytest.approx(test, abs=1e-9)
    assert (row.parameters, row.flops) == (parameters, flops)
    assert row.train_seconds == pytest.approx(seconds, abs=1e-6)
    assert row.latency == pytest.approx(0.0125)


def test_a_folder_may_hold_some_cells_only(folder):
    table = nasbench201.read(folder, "cifar10")
    assert table.archs == (NUMBER_284,)
    assert table.row(NUMBER_0) is None
    assert table.remark == "the folder holds 1 of 15,625 designs"


def test_the_checksum_is_of_content(folder, tmp_path):
    first = nasbench201.read(folder, "cifar10").checksum
    again = write_archive(tmp_path / "again", CELL_ARCHS, {284: tables.cell_results()})
    assert nasbench201.read(again, "cifar10").checksum == first
    assert nasbench201.read(folder, "cifar100").checksum != first
    other = {key: tuple(v + 0.25 for v in t) for key, t in tables.GENUINE_NUMBER_284.items()}
    content = {284: tables.cell_results(accuracies=other)}
    changed = write_archive(tmp_path / "changed", CELL_ARCHS, content)
    assert nasbench201.read(changed, "cifar10").checksum != first


def test_the_whole_file_tells_the_same(folder, tmp_path):
    path = tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    content = {"meta_archs": CELL_ARCHS, "arch2infos": {284: tables.cell_results()}}
    write_pickle(path, {**content, "evaluated_indexes": {284}, "total_archs": 15_625})
    table = nasbench201.read(str(path), "cifar100")
    assert table.row(NUMBER_284) == nasbench201.read(folder, "cifar100").row(NUMBER_284)
    assert table.remark == "the file holds 1 of 15,625 designs"


def test_sizes_are_read_at_90_epochs(tmp_path):
    path = write_archive(tmp_path / "sss", tables.size_archs(), {284: tables.size_results()})
    row = nats_sizes.read(path, "imagenet16-120").row("8:8:40:32:40")
    assert (row.validation, row.test) == (33.33333323160807, 32.76666660054525)
    assert (row.parameters, row.flops) == (149_344, 5_461_816)
    row = nats_sizes.read(path, "cifar10").row("8:8:40:32:40")
    assert (row.validation, row.test) == (86.79599999511719, 89.51)


def test_scalars_of_old_and_new_numpy_become_plain_numbers(tmp_path):
    path = tmp_path / "scalars.pickle.pbz2"
    numbers = pickle.dumps([np.float64(0.5), np.float32(0.25), np.int64(-7)], protocol=3)
    for text in (numbers, numbers.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")):
        path.write_bytes(bz2.compress(text))
        found = read_pickle(path)
        assert found == [0.5, 0.25, -7]
        assert {type(value) for value in found} == {float, int}


class Trap:
    """Unpickled as usual, this would make a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (lambda path: Trap(path / "harm"), r"(posix|nt)\.mkdir"),
        (lambda path: {"12": collections.Counter("ab")}, r"collections\.Counter"),
        (lambda path: np.zeros(3), r"numpy.*reconstruct"),
        (lambda path: [print], r"builtins\.print"),
    ],
    ids=["call", "class", "array", "function"],
)
def test_unexpected_classes_are_named_and_not_run(tmp_path, content, named):
    path = tmp_path / "trap.pickle.pbz2"
    write_pickle(path, content(tmp_path))
    with pytest.raises(UserError, match=rf"{named}, which no official file does: not opened"):
        read_pickle(path)
    assert not (tmp_path / "harm").exists()


def test_a_file_cannot_change_the_reader(tmp_path):
    """A pickle that sets attribute `x` of what stands for NumPy's type."""
    path = tmp_path / "trap.pickle.pbz2"
    path.write_bytes(bz2.compress(b"\x80\x02cnumpy\ndtype\n(N}X\x01\x00\x00\x00xK\x01stb."))
    with pytest.raises(UserError, match="is damaged .AttributeError"):
        read_pickle(path)


def test_a_trap_in_the_folder_is_refused_when_it_is_asked_for(folder, tmp_path):
    write_pickle(tmp_path / "tss" / "000284.pickle.pbz2", Trap(tmp_path / "harm"))
    with pytest.raises(UserError, match="mkdir"):
        nasbench201.read(folder, "cifar10").row(NUMBER_284)
    assert not (tmp_path / "harm").exists()


def without(results, *keys):
    """Returns a copy of results without what the keys lead to."""
    copy = pickle.loads(pickle.dumps(results))
    place = copy
    for key in keys[:-1]:
        place = place[key]
    del place[keys[-1]]
    return copy


def foreign():
    return tables.cell_results(arch=NUMBER_0)


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        (lambda r: without(r, "200"), "no results of 200 epochs for design 284"),
        (lambda r: [1, 2], "no results of 200 epochs for design 284"),
        (lambda r: without(r, "200", "dataset_seed", "cifar10-valid"), "lacks a metric of design"),
        (lambda r: without(r, "200", "all_results", ("cifar10", 888)), "lacks a metric of design"),
        (
            lambda r: without(r, "200", "all_results", ("cifar10", 888), "eval_acc1es"),
            "lacks a metric of design 284 on cifar10",
        ),
        (lambda r: foreign(), "is about |avg_pool_3x3~0|"),
    ],
)
def test_results_that_lack_something_are_refused(tmp_path, results, reason):
    found = {284: results(tables.cell_results())}
    path = write_archive(tmp_path / "tss", CELL_ARCHS, found)
    with pytest.raises(UserError) as error:
        nasbench201.read(path, "cifar10").row(NUMBER_284)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cut", [0, 40, -8], ids=["empty", "begun", "short"])
def test_a_damaged_file_is_refused(folder, tmp_path, cut):
    file = tmp_path / "tss" / "000284.pickle.pbz2"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(UserError, match="000284.pickle.pbz2 is damaged .*: unpack or get it again"):
        nasbench201.read(folder, "cifar10").row(NUMBER_284)


@pytest.mark.parametrize(
    ("archs", "reason"),
    [
        (tables.size_archs()[:100], "is no table of nasbench201: not an arch string"),
        (CELL_ARCHS[:-1], "is damaged: it lists 15,624 of 15,625 designs"),
        ([*CELL_ARCHS[:-1], CELL_ARCHS[0]], "is damaged: it lists 15,624 of 15,625 designs"),
        ([1, 2], "is damaged: it has no list of designs"),
    ],
    ids=["foreign", "short", "twice", "numbers"],
)
def test_a_wrong_list_of_designs_is_refused(tmp_path, archs, reason):
    path = write_archive(tmp_path / "tss", archs, {284: tables.cell_results()})
    with pytest.raises(UserError, match=reason):
        nasbench201.read(path, "cifar10")


def test_an_empty_folder_is_refused(tmp_path):
    path = write_archive(tmp_path / "tss", CELL_ARCHS, {})
    with pytest.raises(UserError, match="holds no design: unpack the whole archive there"):
        nasbench201.read(path, "cifar10")


def test_a_packed_archive_is_to_be_unpacked(tmp_path):
    path = tmp_path / "NATS-tss-v1_0-3ffb9-simple.tar"
    path.write_bytes(b"packed")
    with pytest.raises(UserError, match="is packed: unpack it with `tar xf"):
        nasbench201.read(str(path), "cifar10")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="000284.pickle.pbz2 cannot be read: No such file"):
        read_pickle(tmp_path / "000284.pickle.pbz2")


def test_official_files_hold_several_data_sets_so_one_must_be_named(folder):
    with pytest.raises(UserError, match="is about several data sets: say which"):
        nasbench201.read(folder, "")


def test_archives_are_not_mistaken_for_each_other(folder, tmp_path):
    with pytest.raises(UserError, match="is no table of nats_sizes"):
        nats_sizes.read(folder, "cifar10")
    (tmp_path / "notes").mkdir()
    with pytest.raises(UserError, match="is neither an official folder"):
        nats_sizes.read(str(tmp_path / "notes"), "cifar10")


def test_the_official_order_numbers_the_files():
    assert CELL_ARCHS[284] == NUMBER_284
    assert CELL.from_arch(CELL_ARCHS[0]) == CELL.from_arch(NUMBER_0)
