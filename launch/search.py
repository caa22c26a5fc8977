"""Runs one search: programs are written, read or traced in a jail, scored, and evolved.

  python -m launch.search --flagfile=launch/presets/laptop.flags

An existing run folder is resumed. `--flagfile` sets a preset; flags after it change it.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from evo_clrs import executors, experiment, problems, proposers, stopping, strategies
from evo_clrs.errors import UserError
from evo_clrs.executors.cached import CachedExecutor
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.base import Exemplary, Problem
from evo_clrs.problems.clrs.cache import default_folder
from evo_clrs.proposers import prompts
from evo_clrs.proposers.base import PromptReader, Proposer
from evo_clrs.store.scores import Scores
from evo_clrs.strategies import islands
from evo_clrs.strategies.base import Learner, Strategy, goes_steadily
from launch import cli, options, runs

PROBLEM = flags.DEFINE_string(
    "problem", "clrs", f"Problem to search on: {', '.join(problems.PROBLEMS)}."
)
STRATEGY = flags.DEFINE_string(
    "strategy", "evoprompting", f"Strategy of the search: {', '.join(strategies.REGISTRY)}."
)
LM = flags.DEFINE_string(
    "lm",
    "grammar",
    "Proposer, which writes the programs: grammar, embedded (the packaged language model), "
    "hf:FOLDER_OR_ID (a local language model), "
    "openai:MODEL@BASE_URL (a remote one), or replay:RUN (the replies of a run again).",
)
RUN = flags.DEFINE_string("run", "", "Run folder, resumed if it exists; made up if empty.")
WORKERS = flags.DEFINE_integer("workers", 0, "Trainings at a time; 0 for one a device or core.")
EXECUTOR = flags.DEFINE_string("executor", "local", "Where programs are trained: local.")
PLATFORM = flags.DEFINE_string("platform", "auto", "Device to train on: auto, cpu, gpu or tpu.")
SCORES = flags.DEFINE_string(
    "scores",
    "",
    "Folder of scores kept from run to run, none for no such folder; empty for the usual one with "
    "problem cells, and for none with all others.",
)
JOB_SECONDS = flags.DEFINE_float("job_seconds", 3600.0, "Wall-clock limit of one training.")
JOB_MEMORY = flags.DEFINE_float(
    "job_memory", 0.0, "GiB that one training may hold; 0 for a share of the machine's."
)
WEAK_JAIL = flags.DEFINE_bool("weak_jail", False, "Go on where part of the jail is missing.")

MAIN_FLAGS = (
    *("problem", "task", "slot", "strategy", "lm", "run", "seed", "rounds", "prompts_per_round"),
    *("samples_per_prompt", "in_context", "survivors", "max_error", "train_steps", "hidden_size"),
    *("workers", "executor"),
)


def main(arguments: Sequence[str]) -> None:
    """Builds what the flags name, runs it, and prints how it ended."""
    cli.expect_no_arguments(arguments)
    with options.checked():
        kinds = (
            *problems.options_of(PROBLEM.value),
            strategies.options_type(STRATEGY.value),
            proposers.options_type(LM.value),
            islands.Options,
            experiment.Settings,
        )
    settings = experiment.Settings(**options.read(experiment.Settings))
    problem = problems.make(PROBLEM.value, options.read(*problems.options_of(PROBLEM.value)))
    chosen = options.read(strategies.options_type(STRATEGY.value))
    mixing = islands.Options(**options.read(islands.Options))
    folder = Path(RUN.value or f"runs/{STRATEGY.value}-{problem.title}-seed{settings.seed}")
    with options.checked():
        strategy = strategies.make(STRATEGY.value, chosen, settings.seed, mixing)
        asked = options.read(proposers.options_type(LM.value))
        proposer = proposers.make(LM.value, asked, folder)
    experiment.check_seeds(problem)
    stopping.check(problem, settings.halving)
    identity = {
        **{"problem": PROBLEM.value, "strategy": STRATEGY.value, "lm": LM.value},
        "slot": problem.slot.name,
        **problem.identity,
        **chosen,
        **vars(mixing),
        **_teach(strategy, problem),
        **_asking(proposer, settings),
        **settings.identity,
    }
    if settings.schedule == "steady" and not goes_steadily(strategy):
        raise flags.Error(f"strategy {STRATEGY.value} goes by rounds: leave out --schedule=steady")
    with options.checked():
        placement = executors.Placement(
            WORKERS.value, PLATFORM.value, JOB_SECONDS.value, JOB_MEMORY.value
        )
        executor = executors.make(EXECUTOR.value, problem, placement)
    identity["platform"] = executor.platform
    repeats = {flag.name: flag.value for flag in (PROBLEM, STRATEGY, LM)} | options.read(*kinds)
    if unused := options.unused(*kinds):
        print(f"not used by {PROBLEM.value} with {STRATEGY.value}: {', '.join(unused)}")
    with (
        runs.open_store(folder, identity, repeats) as store,
        _jail_for(problem) as jail,
        _keeping_scores(executor, problem) as executor,
        runs.progress(store, len(problem.seeds()) + strategy.children) as progress,
    ):
        runs.begin(store, problem, jail, executor, _note(strategy))
        search = experiment.Experiment(
            problem, strategy, proposer, executor, jail, store, progress, settings
        )
        with runs.explained(store) as ending:
            search.run()
    runs.show(folder, ending)


def _teach(strategy: Strategy, problem: Problem) -> dict[str, str]:
    """Shows a strategy that learns its source; returns what tells the source from another.

    Raises:
      UserError: the problem has nothing to learn from, or the source is its own table.
    """
    if not isinstance(strategy, Learner):
        return {}
    if not isinstance(problem, Exemplary):
        raise UserError(
            f"strategy {STRATEGY.value} learns from a table of designs, and problem "
            f"{PROBLEM.value} has none: choose --problem=nasbench201"
        )
    examples = problem.examples(strategy.source, strategy.source_top)
    strategy.teach(examples)
    told = "".join(f"{example.source}{sorted(example.metrics.items())}" for example in examples)
    return {"examples": hashlib.sha256(told.encode()).hexdigest()[:16]}


def _asking(proposer: Proposer, settings: experiment.Settings) -> dict[str, str | int | float]:
    """Returns what of proposer and prompts shapes results, where it reads prompts."""
    if not isinstance(proposer, PromptReader):
        return {}
    template = prompts.load(experiment.template_of(proposer, settings))
    return {
        **proposer.identity,
        "prompt": template.digest,
        "rejections": settings.rejections_shown,
    }


def _note(strategy: Strategy) -> str:
    """Returns what stands for words where no language model reads them, empty for nothing."""
    rule = getattr(strategy, "without_language_model", "")
    return f"without a language model: {rule}" if rule and LM.value == "grammar" else ""


def _jail_for(problem: Problem) -> contextlib.AbstractContextManager[Jail | None]:
    """Returns the jail that traces programs; none for designs, which are read and never run."""
    return Jail(weak=WEAK_JAIL.value) if problem.slot.space is None else contextlib.nullcontext()


@contextlib.contextmanager
def _keeping_scores(executor: executors.Executor, problem: Problem) -> Iterator[executors.Executor]:
    """Gives an executor that asks the kept scores first, if they are asked for; closes it."""
    place = SCORES.value or (str(default_folder() / "scores") if PROBLEM.value == "cells" else "")
    with contextlib.ExitStack() as stack:
        stack.enter_context(executor)
        if place and place != "none":
            scores = stack.enter_context(Scores.open(Path(place)))
            executor = CachedExecutor(executor, scores, problem)
        yield executor


def define_options() -> None:
    """Defines the flags of all problems, strategies and proposers."""
    for name in problems.PROBLEMS:
        options.define(*problems.options_of(name), owner=name)
    for name in strategies.REGISTRY:
        options.define(strategies.options_type(name), owner=name)
    for name in proposers.REGISTRY:
        options.define(proposers.options_type(name), owner=name)
    options.define(islands.Options, experiment.Settings)


if __name__ == "__main__":
    define_options()
    cli.run_main(main, MAIN_FLAGS)
