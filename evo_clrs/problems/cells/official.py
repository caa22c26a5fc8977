"""The official NATS-Bench files: a folder with a file for each design, or one file with all.

Reading follows the benchmark's own classes. Full training counts (200 epochs for cells, 90 for
sizes), accuracies are means over all its seeds; on CIFAR-10 validation is of networks trained
on half of the training set (`cifar10-valid`) and test of those trained on all of it (`cifar10`).

Reference: Dong et al., "NATS-Bench", TPAMI 2021, https://arxiv.org/abs/2009.00437.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.problems.cells.pickles import read_pickle
from evo_clrs.problems.cells.table import LoadedTable, Row, checksum_of, content_checksum
from evo_clrs.spaces import Space

META = "meta.pickle.pbz2"

_EXTENSION = ".pickle.pbz2"


@dataclasses.dataclass(frozen=True)
class _Sets:
    """Where a data set's accuracies are: (name of the training, name of the evaluation)."""

    validation: tuple[str, str]
    test: tuple[str, str]


_SETS: Mapping[str, _Sets] = {
    "cifar10": _Sets(("cifar10-valid", "x-valid"), ("cifar10", "ori-test")),
    "cifar100": _Sets(("cifar100", "x-valid"), ("cifar100", "x-test")),
    "imagenet16-120": _Sets(("ImageNet16-120", "x-valid"), ("ImageNet16-120", "x-test")),
}


@dataclasses.dataclass(frozen=True)
class Archive:
    """Which of the official archives is read, and how.

    Attributes:
      space: the design space.
      budget: the key of full training in the files, which is its number of epochs.
    """

    space: Space
    budget: str


def is_official(path: Path) -> bool:
    """Whether this is an official folder or file, going by its name and layout."""
    return (path / META).is_file() if path.is_dir() else path.name.endswith(_EXTENSION)


def read(path: Path, archive: Archive, data: str) -> "LoadedTable | FolderTable":
    """Returns the table of a data set; a folder's files are read when a design is asked for.

    The whole file takes about 30 GB of memory to read; the folder takes none to speak of.

    Raises:
      UserError: it is missing or damaged, of another space, or names a class that official files
        do not use; or no data set is named, since the files hold several.
    """
    if data not in _SETS:
        raise UserError(
            f"{path} is about several data sets: say which as {path}:DATA, "
            f"one of {', '.join(_SETS)}"
        )
    if path.is_dir():
        return FolderTable(path, archive, data)
    return _read_whole(path, archive, data)


class FolderTable:
    """The table in a folder, which may hold only some of the designs; see `Table`."""

    def __init__(self, path: Path, archive: Archive, data: str):
        """Reads which designs there are.

        Raises:
          UserError: the list of designs is missing, damaged or of another space.
        """
        self.data = data
        self.name = str(path)
        self._archive = archive
        listed = _listed(path / META, archive.space, read_pickle(path / META))
        found = re.compile(rf"(\d{{6}}){re.escape(_EXTENSION)}").fullmatch
        files = {int(m[1]): path / m[0] for m in map(found, _names(path)) if m}
        self._files = {listed[n]: (n, files[n]) for n in sorted(files) if n < len(listed)}
        self._known: dict[str, Row] = {}
        if not self._files:
            raise UserError(f"{path} holds no design: unpack the whole archive there")
        held, all_ = len(self._files), len(listed)
        self.remark = "" if held == all_ else f"the folder holds {held:,} of {all_:,} designs"

    @property
    def archs(self) -> Sequence[str]:
        """Arch strings of the designs that it holds, in official order."""
        return tuple(self._files)

    @functools.cached_property
    def checksum(self) -> str:
        """Of names, sizes and ends of the files: a bzip2 file ends with a sum of its content."""
        return checksum_of([self.data, *(_end(path) for _, path in self._files.values())])

    def row(self, arch: str) -> Row | None:
        """Returns what is known of a design, see `Table.row`; its file is read only once."""
        if arch not in self._known:
            if arch not in self._files:
                return None
            number, path = self._files[arch]
            results = read_pickle(path)
            self._known[arch] = _row(path, results, self._archive, self.data, number, arch)
        return self._known[arch]


def _read_whole(path: Path, archive: Archive, data: str) -> LoadedTable:
    content = read_pickle(path)
    listed = _listed(path, archive.space, content)
    results = content.get("arch2infos")
    if not isinstance(results, dict) or not results:
        raise UserError(f"{path} holds no design: get the file again")
    rows = {}
    for number in sorted(results):
        if not isinstance(number, int) or not 0 <= number < len(listed):
            raise UserError(f"{path} is damaged: there is no design number {number!r}")
        arch = listed[number]
        rows[arch] = _row(path, results.pop(number), archive, data, number, arch)
    held, all_ = len(rows), len(listed)
    remark = "" if held == all_ else f"the file holds {held:,} of {all_:,} designs"
    return LoadedTable(data, str(path), rows, content_checksum(rows), remark)


def _listed(path: Path, space: Space, content: Any) -> Sequence[str]:
    """Returns all arch strings of the space in the order that numbers the files."""
    archs = content.get("meta_archs") if isinstance(content, dict) else None
    if not isinstance(archs, list) or not all(isinstance(arch, str) for arch in archs):
        raise UserError(f"{path} is damaged: it has no list of designs")
    for arch in archs:
        try:
            space.from_arch(arch)
        except ValueError as error:
            raise UserError(f"{path} is no table of {space.name}: {error}") from None
    expected = math.prod(len(place.options) for place in space.places)
    if len(set(archs)) != expected or len(archs) != expected:
        raise UserError(f"{path} is damaged: it lists {len(set(archs)):,} of {expected:,} designs")
    return archs


def _row(path: Path, results: Any, archive: Archive, data: str, number: int, arch: str) -> Row:
    """Returns what the results of one design say on a data set."""
    from nats_bench.api_utils import ArchResults  # pulls in nothing heavy, but is seldom needed

    if not isinstance(results, dict) or archive.budget not in results:
        raise UserError(f"{path} has no results of {archive.budget} epochs for design {number}")
    sets = _SETS[data]
    try:
        trained = ArchResults.create_from_state_dict(results[archive.budget])
        costs = trained.get_compute_costs(sets.validation[0])
        row = Row(
            validation=_accuracy(trained, *sets.validation),
            test=_accuracy(trained, *sets.test),
            parameters=round(costs["params"] * 1e6),
            flops=float(round(costs["flops"] * 1e6)),
            latency=costs["latency"],
            train_seconds=costs["T-train@total"],
        )
    except Exception as error:  # the classes check nothing: what is missing raises anything
        raise UserError(
            f"{path} lacks a metric of design {number} on {data} "
            f"({type(error).__name__}: {error}): get it again"
        ) from None
    if trained.arch_str != arch:
        raise UserError(f"{path} is about {trained.arch_str}, but number {number} is {arch}")
    return row


def _accuracy(trained: Any, training: str, evaluation: str) -> float:
    """Returns the mean accuracy over all seeds after the last epoch, in percent."""
    accuracy = trained.get_metrics(training, evaluation, is_random=False)["accuracy"]
    if not 0 <= accuracy <= 100:
        raise ValueError(f"accuracy {accuracy} is not 0 to 100 percent")
    return float(accuracy)


def _names(path: Path) -> Iterator[str]:
    return (entry.name for entry in path.iterdir())


def _end(path: Path) -> str:
    """Returns name, size and last bytes of a file."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 16))
        return f"{path.name} {size} {file.read().hex()}"
