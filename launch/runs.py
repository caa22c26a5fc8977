"""A run folder as the launch scripts handle it: opening, flags kept, how it ended."""

import contextlib
import dataclasses
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evo_clrs.errors import BudgetSpent, Stopped, UserError
from evo_clrs.executors import Executor
from evo_clrs.jail import confine
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.base import Problem
from evo_clrs.report import tables
from evo_clrs.report.progress import Progress
from evo_clrs.store import Store, files
from launch import options

# What a resumed run may change: how much is asked for, not what any score is.
MAY_DIFFER = ("rounds",)

_PACKAGES = ("jax", "jaxlib", "dm-haiku", "optax", "dm-clrs", "numpy")


@contextlib.contextmanager
def open_store(
    folder: Path, identity: Mapping[str, str | int | float], repeats: Mapping[str, Any]
) -> Iterator[Store]:
    """Opens or resumes a run and keeps `flags.txt`, a flagfile that repeats it.

    Args:
      folder: the run folder.
      identity: what the run is, see `Store.open`.
      repeats: every flag that says what to do, as against how; with its value.

    Raises:
      UserError: a value cannot be kept there, or the run cannot be opened.
    """
    for name, value in repeats.items():
        if len(options.as_flags({name: value}).splitlines()) > 1:  # the rest would be a flag
            raise UserError(f"--{name}: a line break cannot be kept in flags.txt")
    with Store.open(folder, identity, may_differ=MAY_DIFFER) as store:
        files.write_atomically(folder / "flags.txt", options.as_flags(repeats))
        yield store


def begin(
    store: Store, problem: Problem, jail: Jail | None, executor: Executor, note: str = ""
) -> None:
    """Records start or resume with versions, devices and the jail's layers, and prints them.

    `note` is what a reader must know of strategy and proposer, empty for nothing.
    """
    layers = () if jail is None else jail.layers()
    lacking = () if jail is None else confine.absent(layers)
    resumed = bool(store.events("start"))
    store.record_event(
        "resume" if resumed else "start",
        {
            "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
            "python": platform.python_version(),
            "machine": platform.machine(),
            "platform": executor.platform,
            "workers": executor.workers,
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
            "jail": list(layers),
            "jail_lacks": list(lacking),
            "remark": problem.remark,
            "note": note,
        },
    )
    verb = "going on with" if resumed else "starting"
    print(f"{verb} {store.folder} on {executor.workers} {executor.platform} workers")
    print("jail: " + (", ".join(layers) or "not needed, designs are read and never run"))
    if lacking:
        print("jail lacks: " + ", ".join(lacking))
    if note:
        print(note)
    sys.stdout.flush()


def progress(store: Store, total: int) -> Progress:
    """Returns the progress display of a run of so many programs, counting those it has."""
    known = [c.evaluation for c in store.candidates() if c.evaluation is not None]
    shown = Progress(total, done=len(known))
    duplicate = sum(evaluation.stage.startswith("duplicate") for evaluation in known)
    scored = sum(evaluation.stage == "scored" for evaluation in known)
    stopped = sum(evaluation.stage == "stopped" for evaluation in known)
    rejected = len(known) - scored - duplicate - stopped
    counts = {"scored": scored, "duplicate": duplicate, "rejected": rejected}
    best = store.best()
    shown.update(
        counts=counts | ({"stopped": stopped} if stopped else {}),
        best=best.evaluation.metrics["fitness"] if best and best.evaluation else None,
    )
    return shown


@dataclasses.dataclass
class Ending:
    """How a search ended.

    Attributes:
      stop: why it stopped by itself before its end, None if it did not.
      told: what was kept and how to go on, where it did.
    """

    stop: Stopped | None = None
    told: str = ""


@contextlib.contextmanager
def explained(store: Store) -> Iterator[Ending]:
    """Says of an interruption or a stop what was kept and how to go on; yields how it ended."""
    ending = Ending()
    try:
        yield ending
    except KeyboardInterrupt:
        store.record_event("interruption", {})
        raise KeyboardInterrupt(f"interrupted: {_kept(store)}") from None
    except Stopped as stop:
        store.record_event("stop", {"reason": str(stop)})
        ending.stop, ending.told = stop, f"stopped: {stop}; {_kept(store)}"


def _kept(store: Store) -> str:
    done = sum(1 for c in store.candidates() if c.evaluation is not None)
    python = os.path.relpath(sys.executable)
    command = f"{python} -m launch.search --flagfile={store.folder}/flags.txt --run={store.folder}"
    return f"{done} programs are kept in {store.folder}; to go on: {command}"


def show(folder: Path, ending: Ending) -> None:
    """Prints how a run ended: seeds against the best, where it is, and what shows more.

    One that waits for answers from outside has no end to show yet.
    """
    if ending.stop is not None and not isinstance(ending.stop, BudgetSpent):
        print(ending.told)
        return
    with Store.read(folder) as store:
        tables.show_result(store)
    if ending.stop is not None:
        print(ending.told)
    python = os.path.relpath(sys.executable)
    best = folder / "best.py"
    print(f"best program: {best}" if best.exists() else "no program was scored")
    print(f"to see more:  {python} -m launch.report {folder}")
