"""Runs one search: programs are written, traced in a jail, trained, scored, and evolved.

  python -m launch.search --flagfile=launch/presets/laptop.flags

An existing run folder is resumed. `--flagfile` sets a preset; flags after it change it.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from evo_clrs import executors, experiment, problems, proposers, strategies
from evo_clrs.jail.jail import Jail
from launch import cli, options, runs

PROBLEM = flags.DEFINE_string("problem", "clrs", "Problem to search on: clrs.")
STRATEGY = flags.DEFINE_string("strategy", "evoprompting", "Strategy of the search: evoprompting.")
LM = flags.DEFINE_string("lm", "grammar", "Proposer, which writes the programs: grammar.")
RUN = flags.DEFINE_string("run", "", "Run folder, resumed if it exists; made up if empty.")
WORKERS = flags.DEFINE_integer("workers", 0, "Trainings at a time; 0 for one a device or core.")
EXECUTOR = flags.DEFINE_string("executor", "local", "Where programs are trained: local.")
PLATFORM = flags.DEFINE_string("platform", "auto", "Device to train on: auto, cpu, gpu or tpu.")
JOB_SECONDS = flags.DEFINE_float("job_seconds", 3600.0, "Wall-clock limit of one training.")
WEAK_JAIL = flags.DEFINE_bool("weak_jail", False, "Go on where part of the jail is missing.")

MAIN_FLAGS = (
    *("problem", "task", "slot", "strategy", "lm", "run", "seed", "rounds", "prompts_per_round"),
    *("samples_per_prompt", "in_context", "survivors", "max_error", "train_steps", "hidden_size"),
    *("workers", "executor"),
)


def main(arguments: Sequence[str]) -> None:
    """Builds what the flags name, runs it, and prints how it ended."""
    cli.expect_no_arguments(arguments)
    settings = experiment.Settings(**options.read(experiment.Settings))
    problem = problems.make(PROBLEM.value, options.read(*problems.options_of(PROBLEM.value)))
    chosen = options.read(strategies.options_type(STRATEGY.value))
    strategy = strategies.make(STRATEGY.value, chosen, settings.seed)
    proposer = proposers.make(LM.value)
    experiment.check_seeds(problem)
    executor = executors.make(
        EXECUTOR.value,
        problem,
        executors.Placement(WORKERS.value, PLATFORM.value, JOB_SECONDS.value),
    )
    identity = {
        **{"problem": PROBLEM.value, "strategy": STRATEGY.value, "lm": LM.value},
        **problem.identity,
        **chosen,
        "seed": settings.seed,
        "platform": executor.platform,
    }
    folder = Path(RUN.value or f"runs/{STRATEGY.value}-{problem.title}-seed{settings.seed}")
    with (
        runs.open_store(folder, identity) as store,
        Jail(weak=WEAK_JAIL.value) as jail,
        executor,
        runs.progress(store, len(problem.seeds()) + strategy.children) as progress,
    ):
        runs.begin(store, jail, executor)
        search = experiment.Experiment(
            problem, strategy, proposer, executor, jail, store, progress, settings
        )
        with runs.explained(store):
            search.run()
    runs.show(folder)


def define_options() -> None:
    """Defines the flags of all problems and strategies."""
    for name in problems.PROBLEMS:
        options.define(*problems.options_of(name))
    options.define(*map(strategies.options_type, strategies.REGISTRY), experiment.Settings)


if __name__ == "__main__":
    define_options()
    cli.run_main(main, MAIN_FLAGS)
