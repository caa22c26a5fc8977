"""A search of a made-up table, in this process: a moment long, with any proposer and settings."""

import io
import random

from evo_clrs import experiment, problems, spaces, strategies
from evo_clrs.executors.inline import InlineExecutor
from evo_clrs.report.progress import Progress
from evo_clrs.store import Store
from tests.made_up import write_table

OPTIONS = {
    "rounds": 3,
    "prompts_per_round": 2,
    "samples_per_prompt": 3,
    "survivors": 3,
    "max_error": 1.0,
}
IDENTITY = {"problem": "nasbench201", "task": "cifar10"}


def make_problem(folder):
    """Returns the problem of a table written to a folder."""
    write_table(folder / "cifar10.json")
    return problems.make("nasbench201", {"table": str(folder / "cifar10.json")})


def run(folder, problem, proposer, options=None, **settings):
    """Runs the search in a folder, from where it stands, to its end or to what stops it."""
    with Store.open(folder, IDENTITY) as store:
        experiment.Experiment(
            problem,
            strategies.make("evoprompting", {**OPTIONS, **(options or {})}, seed=0),
            proposer,
            InlineExecutor(problem, None),
            None,
            store,
            Progress(stream=io.StringIO()),
            experiment.Settings(finalists=1, selection_trainings=1, **settings),
        ).run()


def write_cell(seed: int) -> str:
    """Returns some cell, the same for the same seed."""
    draw = random.Random(seed)
    return spaces.CELL.write(tuple(draw.randrange(5) for _ in range(6)))
