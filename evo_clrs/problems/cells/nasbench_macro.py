"""NAS-Bench-Macro as a problem: 6,561 networks with known test accuracy on CIFAR-10.

The file has no validation accuracy. The search score is therefore the table's mean test accuracy,
as in published searches on it (Zheng et al., "Can GPT-4 Perform Neural Architecture Search?",
https://arxiv.org/abs/2304.10970): validation, selection and test are the same number, which the
problem's `remark` tells.

Reference: Su et al., "Prioritized Architecture Sampling with Monte-Carlo Tree Search", CVPR 2021,
https://arxiv.org/abs/2103.11922.
"""

import dataclasses

from evo_clrs.errors import UserError
from evo_clrs.problems.cells import json_tables, sources
from evo_clrs.problems.cells.problem import Benchmark, Counts, TableOptions, TableProblem
from evo_clrs.problems.cells.table import Row, Table
from evo_clrs.records import Design
from evo_clrs.slots import MACRO

# One operation everywhere; the largest is the obvious guess.
DESIGNS = {"identity": "00000000", "mb3_k3": "11111111", "mb6_k5": "22222222"}


@dataclasses.dataclass(frozen=True)
class Options(TableOptions):
    """What is searched on NAS-Bench-Macro; options are those of all tables."""


OPTIONS = (Options,)


def make(options: Options) -> TableProblem:
    """Returns the problem with these options.

    Raises:
      UserError: the table is missing or damaged.
    """
    return TableProblem(BENCHMARK, options, "cifar10")


def read(table: str, data: str) -> Table:
    """Reads the table: its JSON file, or a folder that has it.

    Raises:
      UserError: it is missing or damaged, or of another space or data set.
    """
    if data not in ("", "cifar10"):
        raise UserError(f"NAS-Bench-Macro is about cifar10 only, not about {data}")
    names = (sources.MACRO_TABLE.file, "cifar10.json")
    path = sources.find(table, [sources.MACRO_TABLE], names)
    if path.is_dir():
        raise UserError(f"{path} is no table: it has no {' nor '.join(names)}")
    return json_tables.read_macro(path)


def _facts(design: Design, row: Row, data: str) -> Counts:
    """Counts as the file tells them; every layer of a chain is on the way to the output."""
    assert row.parameters is not None and row.flops is not None
    return row.parameters, row.parameters, row.flops


BENCHMARK = Benchmark("nasbench_macro", MACRO, DESIGNS, read, _facts)
