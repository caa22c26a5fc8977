"""A search of a table, which takes a moment: for faults of what stands around it."""

import io

import pytest

from evo_clrs import experiment, problems, strategies
from evo_clrs.executors.inline import InlineExecutor
from evo_clrs.proposers.grammar.proposer import Grammar
from evo_clrs.report.progress import Progress
from evo_clrs.store import Store, files
from tests.faults import runs
from tests.problems.cells.tables import write_cells

OPTIONS = {"rounds": 3, "prompts_per_round": 2, "samples_per_prompt": 3, "max_error": 1.0}
IDENTITY = {"problem": "nasbench201", "task": "cifar10", "strategy": "evoprompting"}


class Small:
    """The search; each call is a process that starts it or goes on with it."""

    identity = IDENTITY

    def __init__(self, table):
        self.problem = problems.make("nasbench201", {"table": table})

    def __call__(self, folder, proposer=None, executor=None):
        """Runs it in a folder to its end, or to its fault; returns what the folder holds."""
        progress = Progress(stream=io.StringIO())
        with Store.open(folder, IDENTITY) as store, progress:
            files.write_atomically(folder / "flags.txt", "--seed=0\n")
            experiment.Experiment(
                self.problem,
                strategies.make("evoprompting", OPTIONS, seed=0),
                proposer or Grammar(),
                executor or InlineExecutor(self.problem, None),
                None,
                store,
                progress,
                experiment.Settings(finalists=2, selection_trainings=1),
            ).run()
        return runs.contents(folder)


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    return write_cells(tmp_path_factory.mktemp("table") / "cifar10.json", "cifar10")


@pytest.fixture(scope="session")
def small(table):
    return Small(table)


@pytest.fixture(scope="session")
def undisturbed(small, tmp_path_factory):
    """The folder of a search that nothing disturbed, and what it holds."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    return folder, small(folder)
