"""Tables kept as JSON: NAS-Bench-201's short form, and NAS-Bench-Macro's file."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.problems.cells.table import LoadedTable, Row, content_checksum
from evo_clrs.spaces import CELL, MACRO, Space

# Validation accuracy of cells number 0, 11 and 284 of the official files, in percent: enough to
# tell which data set a table is about.
# Source: NATS-tss-v1_0-3ffb9, means over the seeds 777, 888 and 999 after 200 epochs.
_KNOWN_CELLS: Mapping[str, Mapping[str, float]] = {
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+"
    "|nor_conv_1x1~0|skip_connect~1|skip_connect~2|": {
        "cifar10": 81.98267,
        "cifar100": 52.70000,
        "imagenet16-120": 28.21111,
    },
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|": {
        "cifar10": 87.94000,
        "cifar100": 67.45333,
        "imagenet16-120": 30.41111,
    },
    "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|": {
        "cifar10": 86.04667,
        "cifar100": 61.68000,
        "imagenet16-120": 33.40000,
    },
}

NO_VALIDATION = (
    "the file has test accuracies only: validation, selection and test are the same numbers here, "
    "so nothing found on this table says how well it would do on fresh data"
)


def read_cells(path: Path, data: str) -> LoadedTable:
    """Reads NAS-Bench-201's JSON form: arch string to val_acc_200, test_acc_200, in percent.

    Args:
      path: the file.
      data: the data set it should be about; empty to take what its content tells.

    Raises:
      UserError: the file is damaged, is not about all cells of this space, lacks a metric, or is
        about another data set.
    """
    entries = _entries(path, CELL)
    rows = {
        arch: Row(_percent(path, arch, entry, "val_acc_200"), _percent(path, arch, entry, _TEST))
        for arch, entry in entries.items()
    }
    told = _data_of(rows)
    if data and told and told != data:
        raise UserError(f"{path} is about {told}, not about {data}: change --data or --table")
    return LoadedTable(data or told, str(path), rows, content_checksum(rows))


_TEST = "test_acc_200"
_HUGE = 1e15  # no accuracy, parameter count or FLOPs of these networks comes near


def read_macro(path: Path) -> LoadedTable:
    """Reads NAS-Bench-Macro's JSON: eight digits to mean_acc (percent), params and flops.

    The file's accuracies are all test accuracies, which also searches with this table use
    (Zheng et al., "Can GPT-4 Perform Neural Architecture Search?", https://arxiv.org/abs/2304.10970).
    The table says so in its remark.

    Raises:
      UserError: the file is damaged, is not about all networks of this space, or lacks a metric.
    """
    entries = _entries(path, MACRO)
    rows = {}
    for arch, entry in entries.items():
        accuracy = _percent(path, arch, entry, "mean_acc")
        rows[arch] = Row(
            validation=accuracy,
            test=accuracy,
            parameters=int(_number(path, arch, entry, "params")),
            flops=_number(path, arch, entry, "flops"),
        )
    return LoadedTable("cifar10", str(path), rows, content_checksum(rows), NO_VALIDATION)


def _entries(path: Path, space: Space) -> Mapping[str, Any]:
    """Returns a file's entries, one for each design of a space."""
    try:
        entries = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged or not JSON ({error}): get the file again") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if not isinstance(entries, dict):
        raise UserError(f"{path} is no table: expected an object of arch strings")
    designs = itertools.product(*(range(len(place.options)) for place in space.places))
    expected = {space.arch(choices) for choices in designs}
    for arch in entries:
        if arch not in expected:
            raise UserError(
                f"{path} is no table of {space.name}: {arch[:80]!r} is not a design of it"
            )
    if len(entries) != len(expected):
        raise UserError(
            f"{path} is a part of a table: it has {len(entries):,} of {len(expected):,} designs of "
            f"{space.name}; get the file again"
        )
    return entries


def _percent(path: Path, arch: str, entry: Any, metric: str) -> float:
    value = _number(path, arch, entry, metric)
    if value > 100:
        raise UserError(f"{path} has {metric} {value} for {arch}: expected 0 to 100 percent")
    return value


def _number(path: Path, arch: str, entry: Any, metric: str) -> float:
    value = entry.get(metric) if isinstance(entry, dict) else None
    if value is None:
        raise UserError(f"{path} has no {metric} for {arch}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _HUGE:
        raise UserError(f"{path} has {metric} {str(value)[:40]!r} for {arch}: expected a number")
    return float(value)


def _data_of(rows: Mapping[str, Row]) -> str:
    """Returns the data set whose known accuracies a table has, or the empty string."""
    for data in next(iter(_KNOWN_CELLS.values())):
        near = (abs(rows[arch].validation - told[data]) for arch, told in _KNOWN_CELLS.items())
        if all(gap < 1e-3 for gap in near):
            return data
    return ""
