"""NAS-Bench-201 as a problem: 15,625 cells with known accuracies on three data sets.

References: Dong and Yang, "NAS-Bench-201", ICLR 2020, https://arxiv.org/abs/2001.00326; Dong et
al., "NATS-Bench", TPAMI 2021, https://arxiv.org/abs/2009.00437 (its topology search space).
"""

import dataclasses

from evo_clrs import spaces
from evo_clrs.errors import UserError
from evo_clrs.problems.cells import cell_costs, json_tables, official, sources
from evo_clrs.problems.cells.problem import Benchmark, Counts, TableOptions, TableProblem
from evo_clrs.problems.cells.table import Row, Table
from evo_clrs.records import Design
from evo_clrs.slots import CELL

DATA_SETS = tuple(cell_costs.CLASSES)

# The cells that the benchmark's authors single out, and the pooling one.
DESIGNS = {
    "resnet": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|",
    "conv3x3": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
    "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "conv1x1": "|nor_conv_1x1~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+"
    "|nor_conv_1x1~0|nor_conv_1x1~1|nor_conv_1x1~2|",
    "skip": "|skip_connect~0|+|skip_connect~0|skip_connect~1|+"
    "|skip_connect~0|skip_connect~1|skip_connect~2|",
}


@dataclasses.dataclass(frozen=True)
class Options(TableOptions):
    """What is searched on NAS-Bench-201.

    Attributes:
      data: the data set: cifar10, cifar100 or imagenet16-120.

    Raises:
      UserError: an option is out of range.
    """

    data: str = "cifar10"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data not in DATA_SETS:
            raise UserError(f"--data must be one of {', '.join(DATA_SETS)}, got {self.data!r}")


OPTIONS = (Options,)


def make(options: Options) -> TableProblem:
    """Returns the problem with these options.

    Raises:
      UserError: the table is missing or damaged.
    """
    return TableProblem(BENCHMARK, options, options.data)


def read(table: str, data: str) -> Table:
    """Reads a table in any of its forms.

    Args:
      table: a JSON file, a folder with JSON files, an official folder, or the official file.
      data: the data set; empty for what a JSON file's content tells.

    Raises:
      UserError: it is missing or damaged, of another space, or about another data set.
    """
    json_source = sources.CELL_TABLES[data or "cifar10"]
    names = (f"{data}.json", json_source.file) if data else ()
    path = sources.find(table, [json_source, sources.CELL_ARCHIVE], names)
    if official.is_official(path):
        return official.read(path, ARCHIVE, data)
    if path.is_dir():
        raise UserError(
            f"{path} is no table: it has neither {official.META} (an official folder) nor "
            f"{' nor '.join(names) or 'a data set to look for'}"
        )
    return json_tables.read_cells(path, data)


def _facts(design: Design, row: Row, data: str) -> Counts:
    """Counts in closed form: the same for every file, whether it tells costs or not."""
    return (
        cell_costs.parameters(design.choices, data),
        cell_costs.live_parameters(design.choices, data),
        cell_costs.flops(design.choices, data),
    )


ARCHIVE = official.Archive(spaces.CELL, "200")
BENCHMARK = Benchmark("nasbench201", CELL, DESIGNS, read, _facts)
