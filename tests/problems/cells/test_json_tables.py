"""Tables kept as JSON, whole and damaged."""

import json

import pytest

from evo_clrs.errors import UserError
from evo_clrs.problems.cells import json_tables
from evo_clrs.problems.cells.nasbench201 import read
from tests.problems.cells import tables
from tests.problems.cells.tables import GENUINE_CELLS, NUMBER_0, RESNET, write_cells, write_json


@pytest.mark.parametrize("data", GENUINE_CELLS)
def test_accuracies_are_the_files(tmp_path, data):
    table = read(write_cells(tmp_path / "table.json", data), data)
    for arch, (validation, test) in GENUINE_CELLS[data].items():
        row = table.row(arch)
        assert (row.validation, row.test) == (validation, test)
        assert row.latency is row.train_seconds is None  # this form tells no costs
    assert len(table.archs) == 15_625
    assert table.remark == ""


@pytest.mark.parametrize("data", GENUINE_CELLS)
def test_the_content_tells_which_data_set_it_is_about(tmp_path, data):
    path = write_cells(tmp_path / "table.json", data)
    assert read(path, "").data == data
    for other in GENUINE_CELLS.keys() - {data}:
        with pytest.raises(UserError, match=f"is about {data}, not about {other}: change --data"):
            read(path, other)


def test_what_the_content_does_not_tell_the_option_does(tmp_path):
    path = write_cells(tmp_path / "made_up.json")
    assert read(path, "").data == ""
    assert read(path, "cifar100").data == "cifar100"


def test_checksums_are_of_content_and_not_of_layout(tmp_path):
    content = tables.cells("cifar10")
    first = read(write_json(tmp_path / "first.json", content), "")
    reordered = dict(reversed(content.items()))
    second = read(write_json(tmp_path / "second.json", reordered), "")
    content[RESNET] = {**content[RESNET], "test_acc_200": 93.92}
    third = read(write_json(tmp_path / "third.json", content), "")
    assert first.checksum == second.checksum != third.checksum


def test_a_folder_of_tables_is_searched_by_data_set(tmp_path):
    write_cells(tmp_path / "cifar10.json", "cifar10")
    write_cells(tmp_path / "nasbench201_imagenet.json", "imagenet16-120")
    assert read(str(tmp_path), "cifar10").row(RESNET).test == 93.91
    assert read(str(tmp_path), "imagenet16-120").row(RESNET).test == 44.23333
    with pytest.raises(UserError, match="neither .* nor cifar100.json nor nasbench201_cifar100"):
        read(str(tmp_path), "cifar100")


def test_the_macro_table_says_that_it_has_no_validation(tmp_path):
    path = write_json(tmp_path / "macro.json", tables.macro())
    table = json_tables.read_macro(tmp_path / "macro.json")
    for arch, told in tables.GENUINE_MACRO.items():
        row = table.row(arch)
        assert row.validation == row.test == told["mean_acc"]
        assert (row.parameters, row.flops) == (told["params"], told["flops"])
    assert "test accuracies only" in table.remark
    assert len(table.archs) == 6_561
    with pytest.raises(UserError, match="no table of nasbench201: '00000000' is not a design"):
        read(path, "cifar10")


def damaged(change):
    """Returns the text of a table of cells after a change to its content."""
    content = tables.cells("cifar10")
    changed = change(content)
    return json.dumps(content if changed is None else changed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (lambda: "", "is damaged or not JSON"),
        (lambda: damaged(lambda c: None)[:-9], "is damaged or not JSON"),
        (lambda: "[" * 100_000, "is damaged or not JSON"),
        (lambda: "[1, 2]", "is no table: expected an object of arch strings"),
        (lambda: "{}", "is a part of a table: it has 0 of 15,625 designs of nasbench201"),
        (lambda: damaged(lambda c: {k: v for k, v in c.items() if k != RESNET}), "15,624 of 15,62"),
        (lambda: damaged(lambda c: {**c, "02012100": c[RESNET]}), "'02012100' is not a design"),
        (lambda: damaged(lambda c: c[NUMBER_0].pop("val_acc_200") and None), "has no val_acc_200"),
        (lambda: damaged(lambda c: c[NUMBER_0].pop("test_acc_200") and None), "has no test_acc_2"),
        (lambda: damaged(lambda c: {**c, NUMBER_0: 81.98}), "has no val_acc_200 for |avg_pool"),
        (lambda: damaged(lambda c: c[RESNET].update(val_acc_200="90")), "'90' for |nor_conv_3x3~0"),
        (lambda: damaged(lambda c: c[RESNET].update(val_acc_200=True)), "expected a number"),
        (lambda: damaged(lambda c: c[RESNET].update(val_acc_200=float("nan"))), "expected a numb"),
        (lambda: damaged(lambda c: c[RESNET].update(test_acc_200=-1)), "expected a number"),
        (lambda: damaged(lambda c: c[RESNET].update(test_acc_200=10**400)), "expected a number"),
        (lambda: damaged(lambda c: c[RESNET].update(test_acc_200=939)), "expected 0 to 100 perc"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_tables_get_one_clear_line(tmp_path, text, reason):
    path = tmp_path / "table.json"
    path.write_text(text())
    with pytest.raises(UserError) as error:
        read(str(path), "cifar10")
    assert reason in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("metric", ["mean_acc", "params", "flops"])
def test_a_macro_table_without_a_metric_is_refused(tmp_path, metric):
    content = tables.macro()
    content["00000000"] = {k: v for k, v in content["00000000"].items() if k != metric}
    write_json(tmp_path / "macro.json", content)
    with pytest.raises(UserError, match=f"has no {metric} for 00000000"):
        json_tables.read_macro(tmp_path / "macro.json")
