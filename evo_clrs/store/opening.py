"""Opening a run: its tables, its journal, and whether it is the run asked for."""

import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.store import files, rows, schema

Identity = Mapping[str, str | int | float]

_BUSY_SECONDS = 30.0  # a reader can hold a checkpoint up for a moment


def connect(name: str) -> sqlite3.Connection:
    """Opens a database with explicit transactions; a `file:` name is a URI."""
    connection = sqlite3.connect(
        name, timeout=_BUSY_SECONDS, isolation_level=None, uri=name.startswith("file:")
    )
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def prepare(
    connection: sqlite3.Connection, folder: Path, identity: Identity, may_differ: Collection[str]
) -> None:
    """Makes the tables of a new run, or checks that an old one is whole and the one asked for."""
    database = folder / files.DATABASE
    lost = files.size(database) == 0 and files.size(folder / files.LOG) > 0
    if schema.is_new(connection):
        if lost or (folder / "summary.json").exists():
            raise UserError(
                f"run folder {folder} holds a run but its {files.DATABASE} is missing or "
                "empty: restore it, or choose another --run"
            )
    else:
        schema.check(connection, database)
        schema.upgrade(connection)
    connection.execute("PRAGMA journal_mode = WAL")
    # A committed step is in the WAL file before the call returns, so no kill of the process loses
    # it: the kernel holds the pages. NORMAL syncs at checkpoints only, which keeps a step near
    # 0.1 ms (FULL: several ms on a common disk). A loss of power may take the last seconds of
    # steps, never the order or the soundness of those before; a resumed run does them again.
    connection.execute("PRAGMA synchronous = NORMAL")
    if schema.is_new(connection):
        start(connection, identity)
        # The tables go into the database at once: a log that is damaged later costs steps, but
        # never makes an old run look like a new one.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    else:
        _check_identity(folder, read_identity(connection), identity, may_differ)


def start(connection: sqlite3.Connection, identity: Identity) -> None:
    """Makes tables and identity in one transaction: a kill before its end leaves a new database."""
    connection.execute("BEGIN IMMEDIATE")
    schema.make_tables(connection)
    connection.executemany(
        "INSERT INTO identity VALUES (?, ?)",
        [(rows.pack(key), rows.to_json(value)) for key, value in identity.items()],
    )
    connection.execute("COMMIT")


def read_identity(connection: sqlite3.Connection) -> dict[str, Any]:
    """Returns what the run is, as it was told when it was started."""
    found = connection.execute("SELECT key, value FROM identity ORDER BY rowid").fetchall()
    return {rows.unpack(key): rows.from_json(value) for key, value in found}


def _check_identity(
    folder: Path, held: Mapping[str, Any], asked: Identity, may_differ: Collection[str]
) -> None:
    """Raises UserError naming the keys in which the run held and the one asked for differ."""
    differing = [
        f"{key} {_shown(held, key)}, asked for {_shown(asked, key)}"
        for key in dict.fromkeys((*held, *asked))
        if key not in may_differ and rows.to_json(held.get(key)) != rows.to_json(asked.get(key))
    ]
    if differing:
        raise UserError(
            f"run folder {folder} holds a search of {'; '.join(differing)}: "
            "choose another --run or give the same flags"
        )


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "nothing"
