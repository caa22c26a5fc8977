"""Short searches to be disturbed, and what is compared of them afterwards."""

import functools
import importlib
import io
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evo_clrs.store import Store
from launch import cli, search
from tests import toy_run
from tests.problems.cells.tables import write_cells
from tests.toy import ToyProblem

_SMALL = (
    *("--rounds=2", "--prompts_per_round=2", "--samples_per_prompt=2", "--max_error=1.0"),
    *("--finalists=2", "--selection_trainings=1", "--platform=cpu", "--workers=2", "--seed=1"),
)
# Real data, trained by workers for a few steps: most of their time goes into compiling.
_CLRS = (
    *("--task=bfs", "--seeds=deep_sets", "--train_steps=4", "--validate_every=2", "--cache=none"),
    *("--hidden_size=8", "--batch_size=4", "--train_lengths=4", "--validation_length=4"),
    *("--train_count=32", "--validation_count=8", "--selection_count=8", *_SMALL),
    *("--rounds=1", "--prompts_per_round=1", "--finalists=1"),
)
# Small networks, which compile in no time; one worker, so that kills have order.
_NETWORK = (
    *("--problem=mnist1d", "--seeds=linear,mlp", "--train_steps=4", "--validate_every=2"),
    *(*_SMALL, "--workers=1", "--max_error=1.1"),
)
# Nothing is traced or trained: designs are read, and their scores looked up in a made-up table.
_DESIGNS = ("--problem=nasbench201", *_SMALL)
_LAPT = (
    *(
        *_DESIGNS,
        "--seeds=none",
        "--strategy=lapt",
        "--source_top=20",
        "--histogram_count=1",
        "--rounds=6",
    ),
    *("--prompts_per_round=1", "--samples_per_prompt=1", "--population=2", "--tournament=2"),
    *("--adapt_after=2,4", "--adapt_top=2"),
)


def _launched(*arguments: str) -> Callable[[Path], None]:
    """Returns a run of `launch.search` with these flags."""

    def run(folder: Path) -> None:
        sys.argv = ["launch.search", *arguments, f"--run={folder}"]
        cli.run_main(search.main)

    return run


def _toy(folder: Path, rounds: int = 2) -> None:
    with Store.open(folder, ToyProblem.identity) as store:
        toy_run.run(store, options={**toy_run.OPTIONS, "rounds": rounds})


def make(name: str, home: Path) -> Callable[[Path], None]:
    """Returns a run by its name; it takes its folder, and keeps what it needs in `home`.

    Args:
      name: one of `NAMES`. `toy` and the longer `jail` trace programs in the jail, `clrs` and the
        quicker `network` train them too.
      home: an existing folder.
    """
    if name in ("toy", "jail", "clrs", "network"):
        importlib.import_module("evo_clrs.gates.artefacts")  # JAX, for all sessions at once
    if name == "toy":
        return _toy
    if name == "jail":
        return functools.partial(_toy, rounds=5)
    if name == "clrs":
        return _launched(*_CLRS)
    if name == "network":
        return _launched(*_NETWORK)
    table = home / "cifar10.json"
    if not table.exists():
        write_cells(table, "cifar10")
        write_cells(home / "cifar100.json", "cifar100")
    if name == "lapt":
        return _launched(*_LAPT, f"--table={table}", f"--source={home / 'cifar100.json'}")
    return _launched(*_DESIGNS, f"--table={table}")


NAMES = ("designs", "lapt", "toy", "jail", "clrs", "network")

# Columns that tell how long something took or when it was.
_TIMES = ("time", "wall_seconds", "seconds", "trace_seconds", "compile_seconds", "train_seconds")
_TIMES = (*_TIMES, "score_seconds", "lm_seconds")
_OF_A_SESSION = ("start", "resume", "interruption")  # events of this or that process


def contents(folder: Path) -> Mapping[str, Any]:
    """Returns all that a finished run holds, apart from times: tables, summary, program, flags."""
    connection = sqlite3.connect(f"{(folder / 'run.sqlite').absolute().as_uri()}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    held: dict[str, Any] = {}
    verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
    assert verdict == "ok", verdict
    assert not connection.execute("PRAGMA foreign_key_check").fetchall()
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        rows = map(dict, connection.execute(f"SELECT * FROM {table}").fetchall())
        if table == "events":
            rows = (_event(row) for row in rows if row["kind"] not in _OF_A_SESSION)
        told = [{key: row[key] for key in row if key not in _TIMES} for row in rows]
        held[table] = sorted(told, key=repr)
    connection.close()
    for name in ("summary.json", "best.py", "flags.txt"):
        path = folder / name
        held[name] = path.read_text() if path.exists() else ""
    summary = json.loads(held["summary.json"])
    held["summary.json"] = {k: summary[k] for k in summary if k not in ("run", "ledger")}
    held["best.py"] = [x for x in held["best.py"].splitlines() if not x.startswith("# run: ")]
    return held


def _event(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns an event without its number, which counts starts too, and without its cost."""
    data = {key: value for key, value in json.loads(row["data"]).items() if key != "cost"}
    return {"kind": row["kind"], "data": data}


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> Sequence[str]:
    """Returns the parts in which two runs differ; none if they are equal."""
    return [name for name in {**expected, **found} if found.get(name) != expected.get(name)]


def quietly(run: Callable[[Path], None], folder: Path, log: Path) -> int:
    """Runs in this process with what it prints in a file; returns the exit code."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb", 0)) for n in (1, 2))
    try:
        run(folder)
    except SystemExit as ending:
        return int(ending.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
