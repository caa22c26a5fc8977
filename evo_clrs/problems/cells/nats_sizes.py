"""The size search space of NATS-Bench as a problem: 32,768 networks of one cell and many widths.

Reference: Dong et al., "NATS-Bench", TPAMI 2021, https://arxiv.org/abs/2009.00437.
"""

import dataclasses

from evo_clrs import spaces
from evo_clrs.errors import UserError
from evo_clrs.problems.cells import nasbench201, official, sources
from evo_clrs.problems.cells.problem import Benchmark, Counts, TableProblem
from evo_clrs.problems.cells.table import Row, Table
from evo_clrs.records import Design
from evo_clrs.slots import SIZES

DESIGNS = {
    "narrow": "8:8:8:8:8",
    "middle": "32:32:32:32:32",
    "widening": "16:16:32:32:64",
    "wide": "64:64:64:64:64",
}


@dataclasses.dataclass(frozen=True)
class Options(nasbench201.Options):
    """What is searched on the size space of NATS-Bench; the same options as NAS-Bench-201."""


OPTIONS = (Options,)


def make(options: Options) -> TableProblem:
    """Returns the problem with these options.

    Raises:
      UserError: the table is missing or damaged.
    """
    return TableProblem(BENCHMARK, options, options.data)


def read(table: str, data: str) -> Table:
    """Reads the official folder or file.

    Raises:
      UserError: it is missing or damaged, or of another space.
    """
    path = sources.find(table, [sources.SIZE_ARCHIVE])
    if not official.is_official(path):
        raise UserError(f"{path} is neither an official folder with {official.META} nor the file")
    return official.read(path, ARCHIVE, data)


def _facts(design: Design, row: Row, data: str) -> Counts:
    """Counts as the files tell them; every layer is on the way to the output."""
    assert row.parameters is not None and row.flops is not None
    return row.parameters, row.parameters, row.flops


ARCHIVE = official.Archive(spaces.SIZES, "90")
BENCHMARK = Benchmark("nats_sizes", SIZES, DESIGNS, read, _facts)
