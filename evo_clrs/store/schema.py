"""Tables of `run.sqlite`, their version, and the checks made when one is opened.

The record is append-only: a row is written once, in the transaction of its step, and not changed
(two exceptions: `requests.answers` is set when the replies come, and `clock` grows).
"""

import sqlite3
from pathlib import Path

from evo_clrs.errors import UserError
from evo_clrs.store import files

VERSION = 3
APPLICATION = 0x45564F43  # "EVOC": tells a run from any other SQLite database

_REPAIRS = """CREATE TABLE repairs (
    request INTEGER NOT NULL REFERENCES requests,
    sample INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    reason TEXT NOT NULL,
    prompt BLOB NOT NULL REFERENCES texts,
    trace_seconds REAL,
    source BLOB NOT NULL REFERENCES texts,
    edits TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    seconds REAL,
    reply BLOB REFERENCES texts,
    note TEXT NOT NULL,
    PRIMARY KEY (request, sample, attempt)) WITHOUT ROWID"""

TABLES = (
    "CREATE TABLE identity (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE clock (wall_seconds REAL NOT NULL)",
    "INSERT INTO clock VALUES (0.0)",
    # Sources and prompts, each kept once: parents come back in many prompts.
    "CREATE TABLE texts (digest BLOB PRIMARY KEY, body TEXT NOT NULL)",
    """CREATE TABLE requests (
        id INTEGER PRIMARY KEY,
        round INTEGER NOT NULL,
        targets TEXT NOT NULL,
        temperatures TEXT NOT NULL,
        instruction TEXT NOT NULL,
        prompt BLOB NOT NULL REFERENCES texts,
        answers INTEGER,
        plan TEXT NOT NULL DEFAULT '{}')""",
    """CREATE TABLE parents (
        request INTEGER NOT NULL REFERENCES requests,
        position INTEGER NOT NULL,
        program TEXT NOT NULL,
        source BLOB NOT NULL REFERENCES texts,
        metrics TEXT NOT NULL,
        PRIMARY KEY (request, position)) WITHOUT ROWID""",
    """CREATE TABLE proposals (
        request INTEGER NOT NULL REFERENCES requests,
        sample INTEGER NOT NULL,
        source BLOB NOT NULL REFERENCES texts,
        edits TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        seconds REAL,
        reply BLOB REFERENCES texts,
        note TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (request, sample)) WITHOUT ROWID""",
    _REPAIRS,
    """CREATE TABLE candidates (
        id INTEGER PRIMARY KEY,
        program TEXT NOT NULL,
        source BLOB NOT NULL REFERENCES texts,
        parents TEXT NOT NULL,
        request INTEGER REFERENCES requests,
        sample INTEGER NOT NULL,
        proposer TEXT NOT NULL,
        edits TEXT NOT NULL,
        name TEXT NOT NULL)""",
    "CREATE INDEX candidates_program ON candidates (program)",
    # Metrics, facts, budget and seeds are JSON, which keeps every float exactly; fitness and
    # fingerprint stand beside them for queries. A NaN in a REAL column is kept as NULL.
    """CREATE TABLE evaluations (
        candidate INTEGER PRIMARY KEY REFERENCES candidates,
        time REAL NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('scored', 'rejected')),
        stage TEXT NOT NULL,
        reason TEXT NOT NULL,
        metrics TEXT NOT NULL,
        facts TEXT,
        seeds TEXT NOT NULL,
        budget TEXT NOT NULL,
        reused_from INTEGER REFERENCES candidates,
        fitness REAL,
        fingerprint TEXT,
        lm_seconds REAL,
        lm_prompt_tokens INTEGER NOT NULL,
        lm_completion_tokens INTEGER NOT NULL,
        trace_seconds REAL,
        compile_seconds REAL,
        train_seconds REAL,
        score_seconds REAL)""",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        time REAL NOT NULL,
        kind TEXT NOT NULL,
        data TEXT NOT NULL)""",
)


# Statements that bring a record of the version named up to the next one.
_UPGRADES = {
    1: ("ALTER TABLE requests ADD COLUMN plan TEXT NOT NULL DEFAULT '{}'",),
    2: (
        "ALTER TABLE proposals ADD COLUMN reply BLOB REFERENCES texts",
        "ALTER TABLE proposals ADD COLUMN note TEXT NOT NULL DEFAULT ''",
        _REPAIRS,
    ),
}


def is_new(connection: sqlite3.Connection) -> bool:
    """Whether the database is empty: just made, or its maker was killed before the first step."""
    return connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0


def make_tables(connection: sqlite3.Connection) -> None:
    """Makes the tables; the caller's transaction makes it all or nothing."""
    for statement in TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def version(connection: sqlite3.Connection) -> int:
    """Returns the version of the tables."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _bytes_of_pages(connection: sqlite3.Connection) -> int:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    return int(pages * connection.execute("PRAGMA page_size").fetchone()[0])


def upgrade(connection: sqlite3.Connection) -> None:
    """Brings a checked record of an earlier version up to this one, all or nothing."""
    if version(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for earlier in range(version(connection), VERSION):
        for statement in _UPGRADES[earlier]:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Checks that this is a run we can read, and whole.

    Args:
      connection: an open, non-empty database.
      path: its file.

    Raises:
      UserError: it is another program's database, a later version's, or damaged.
    """
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise UserError(f"{path} is a database, but not the record of a run: choose another --run")
    found = version(connection)
    if found > VERSION:
        raise UserError(
            f"{path} was written by a later version of evo_clrs (record version {found}, this "
            f"one reads up to {VERSION}): upgrade evo_clrs"
        )
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    # SQLite takes a last page that was cut off in its middle for one that ends in zeros. While
    # there is a log, the file may be short of what the log holds.
    missing = _bytes_of_pages(connection) - files.size(path)
    if missing > 0 and files.size(path.with_name(files.LOG)) == 0:
        verdict = f"{missing} bytes are missing"
    if verdict != "ok":
        fault = " ".join(verdict.split())
        raise UserError(
            f"{path} is damaged ({fault}): restore a copy of it, or choose another --run"
        )
