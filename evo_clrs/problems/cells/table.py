"""Tables of known scores: what every kind of file comes to once it is read."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from evo_clrs.errors import UserError


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What a table knows of one design; accuracies and times are means over its training seeds.

    Attributes:
      validation: validation accuracy after the last epoch, in percent.
      test: test accuracy after the last epoch, in percent.
      parameters: parameters of the network; None where the file does not tell.
      flops: multiply-adds of one forward pass of one image; None where the file does not tell.
      latency: seconds of one forward pass of a batch of 256; None where the file does not tell.
      train_seconds: seconds of the whole training; None where the file does not tell.
    """

    validation: float
    test: float
    parameters: int | None = None
    flops: float | None = None
    latency: float | None = None
    train_seconds: float | None = None


class Table(Protocol):
    """The known scores of a design space on one data set.

    Attributes:
      data: the data set, e.g. `cifar10`; empty where neither file nor option tells.
      name: the file it was read from, for messages.
      checksum: of its content, 16 hexadecimal digits.
      remark: what a reader of its scores must know, in one sentence; usually empty.
      archs: arch strings of the designs that it holds.
    """

    @property
    def data(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def checksum(self) -> str: ...

    @property
    def remark(self) -> str: ...

    @property
    def archs(self) -> Sequence[str]: ...

    def row(self, arch: str) -> Row | None:
        """Returns what is known of a design, None if it is not in the table.

        Raises:
          UserError: its part of the file is damaged, or lacks a metric.
        """
        ...


@dataclasses.dataclass(frozen=True)
class LoadedTable:
    """A table that is in memory as a whole; see `Table`.

    Attributes:
      rows: arch string to what is known of the design.
    """

    data: str
    name: str
    rows: Mapping[str, Row]
    checksum: str
    remark: str = ""

    @property
    def archs(self) -> Sequence[str]:
        """Arch strings of the designs that it holds."""
        return tuple(self.rows)

    def row(self, arch: str) -> Row | None:
        """Returns what is known of a design, see `Table.row`."""
        return self.rows.get(arch)


def checksum_of(lines: Iterable[str]) -> str:
    """Returns 16 hexadecimal digits that depend on all lines and not on their order."""
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def content_checksum(rows: Mapping[str, Row]) -> str:
    """Returns the checksum of a table's accuracies, however its file is laid out."""
    return checksum_of(f"{arch} {row.validation!r} {row.test!r}" for arch, row in rows.items())


def best(table: Table, count: int) -> Sequence[tuple[str, Row]]:
    """Returns a table's best designs by validation accuracy, best first; ties by arch string."""
    known = [(arch, row) for arch in table.archs if (row := table.row(arch)) is not None]
    return sorted(known, key=lambda entry: (-entry[1].validation, entry[0]))[:count]


def refuse_twin(source: Table, target: Table) -> None:
    """Raises UserError where one table tells the scores of the other.

    They are the same if their content is, if they are about the same data set, or if more than
    half of the designs looked at (up to 100 that both hold) have the same validation accuracy.
    """
    if source.checksum == target.checksum:
        raise UserError(f"{source.name} is the table that is searched: take another data set's")
    if source.data and source.data == target.data:
        raise UserError(
            f"{source.name} is about {source.data}, the data set that is searched: take another"
        )
    common = sorted(set(source.archs) & set(target.archs))[:100]
    same = [arch for arch in common if _validation(source, arch) == _validation(target, arch)]
    if 2 * len(same) > len(common):
        raise UserError(f"{source.name} has the accuracies of the table that is searched")


def _validation(table: Table, arch: str) -> float:
    row = table.row(arch)
    assert row is not None
    return row.validation
