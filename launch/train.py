"""Trains programs under the full CLRS-30 protocol, and scores each once on test.

  python -m launch.train triplet_gmpnn --tasks=bfs,dfs --seeds=0,1,2 --out=FOLDER

A program is the name of a packaged one, a file, or RUN:PROGRAM: a run folder and `#7`, an identity,
or `best`. Results are appended to FOLDER/results.jsonl; the same command goes on after a stop or a
kill, and repeats nothing that is finished. Test data is read for these scores only, and each
reading is in FOLDER/test_readings.jsonl; FOLDER/tensorboard holds event files.
"""

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
from absl import flags

from evo_clrs import named, results
from evo_clrs.errors import UserError
from evo_clrs.executors import devices, watch
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.clrs import keeping, protocol_run, setting, tasks
from evo_clrs.report.events import Events
from evo_clrs.report.text import line, number, plural
from evo_clrs.report.training import TrainingProgress
from evo_clrs.results import Result
from evo_clrs.store import files
from launch import cli, options

TASKS = flags.DEFINE_list("tasks", ["bfs"], "Tasks to train on, or all.")
SEEDS = flags.DEFINE_list("seeds", ["0"], "Training seeds.")
OUT = flags.DEFINE_string("out", "", "Folder of results and checkpoints; made up if empty.")
MAX_SECONDS = flags.DEFINE_float("max_seconds", 0.0, "Stop after so long, 0 for never.")
CHECKPOINT_SECONDS = flags.DEFINE_float("checkpoint_seconds", 60.0, "Time between checkpoints.")
PLATFORM = flags.DEFINE_string("platform", "auto", "Device to train on: auto, cpu, gpu or tpu.")
JOB_MEMORY = flags.DEFINE_float(
    "job_memory", 0.0, "GiB that steps or scoring may need; 0 for four fifths of what there is."
)
WEAK_JAIL = flags.DEFINE_bool("weak_jail", False, "Go on where part of the jail is missing.")

MAIN_FLAGS = ("tasks", "seeds", "out", "max_seconds", "train_steps", "hidden_size", "platform")
_GIB = 2.0**30


def main(arguments: Sequence[str]) -> int:
    """Trains what the command line names; returns 1 if a training failed."""
    start = time.monotonic()
    if not arguments:
        raise flags.Error("name a program, e.g. triplet_gmpnn, a file, or RUN:best")
    for flag in (MAX_SECONDS, CHECKPOINT_SECONDS, JOB_MEMORY):
        if not flag.value >= 0:
            raise UserError(f"--{flag.name} must be 0 or more, got {flag.value}")
    budget = setting.Options(**options.read(setting.Options, without=setting.SEARCH_ONLY))
    protocol = setting.FullProtocol(**options.read(setting.FullProtocol))
    chosen = tasks.TASKS if TASKS.value == ["all"] else tuple(dict.fromkeys(TASKS.value))
    for name in chosen:
        tasks.task(name, protocol)
    seeds = _seeds()
    programs = [named.find(text) for text in dict.fromkeys(arguments)]
    for program in programs:
        protocol_run.check_text(program)
    if not chosen or not seeds:
        raise flags.Error("give at least one of --tasks and one of --seeds")
    here = _open_device()
    folder = Path(OUT.value or f"runs/train-{Path(programs[0].name).name.replace(':#', '-')}")
    limits = keeping.Limits(
        start + MAX_SECONDS.value if MAX_SECONDS.value else None,
        CHECKPOINT_SECONDS.value,
        JOB_MEMORY.value * _GIB or _memory(here.platform),
    )
    with files.explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = files.lock_folder(folder, "--out")
    total = len(programs) * len(chosen) * len(seeds)
    found: list[Result] = []
    try:
        with (
            Jail(weak=WEAK_JAIL.value) as jail,
            Events(folder / "tensorboard") as events,
            TrainingProgress(total, budget.train_steps, events) as shown,
        ):
            run = protocol_run.ProtocolRun(folder, budget, protocol, jail, shown, limits, here)
            for program in programs:
                for result in run.run(program, chosen, seeds):
                    found.append(result)
    except (keeping.Stopped, KeyboardInterrupt) as ending:
        return _ended_early(ending, folder, total, len(found))
    finally:
        os.close(lock)
    return _show(found, folder)


def _seeds() -> tuple[int, ...]:
    """Returns the training seeds, each once."""
    if not all(text.isdecimal() and int(text) < 2**32 for text in SEEDS.value):
        raise flags.Error(f"flag --seeds={','.join(SEEDS.value)}: expected whole numbers from 0")
    return tuple(dict.fromkeys(int(text) for text in SEEDS.value))


def _open_device() -> setting.Setting:
    """Returns what trainings run on; its device is opened here, before anything else needs it."""
    chosen = devices.environment(devices.platform_of(PLATFORM.value), 0, 1)
    os.environ.update(chosen)
    jax.config.update("jax_platforms", chosen["JAX_PLATFORMS"])
    return setting.Setting.here(_command())


def _memory(platform: str) -> float | None:
    """Returns the bytes that steps or scoring may need; None where the device tells itself."""
    return watch.default_memory(1) if platform == "cpu" else None


def _command() -> str:
    return shlex.join(["python", "-m", "launch.train", *sys.argv[1:]])


def _ended_early(ending: BaseException, folder: Path, total: int, finished: int) -> int:
    """Says what is kept and how to go on, as an error where it was an interruption."""
    told = f"{finished} of {total} trainings are finished, all that was begun is kept in {folder}"
    again = f"to go on: {_command()}"
    if isinstance(ending, KeyboardInterrupt):
        raise KeyboardInterrupt(f"interrupted: {told}; {again}") from None
    print(f"stopped after --max_seconds={MAX_SECONDS.value:g}: {told}; {again}")
    return 0


def _show(found: Sequence[Result], folder: Path) -> int:
    """Prints a line for each result; returns the exit code."""
    for result in found:
        where = f"{result.name} on {result.task} from seed {result.seed}:"
        if result.status == "scored":
            best = f"validation {number(result.validation)} at step {number(result.best_step)}"
            print(f"{where} {best}, test {number(result.test)}")
        else:
            print(line(f"{where} not scored: {result.reason}", 1000))
    print(f"results: {folder / results.FILE}")
    failed = sum(result.status != "scored" and not result.inert for result in found)
    if failed:
        print(f"error: {failed} of {plural(len(found), 'training')} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    options.define(setting.Options, without=setting.SEARCH_ONLY)
    options.define(setting.FullProtocol)
    cli.run_main(main, MAIN_FLAGS)
