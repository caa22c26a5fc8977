"""Scores kept from run to run, so that nothing is trained twice: a small database of its own.

A score is found by all that shapes it: what was trained (its fingerprint), the problem with its
options (the score key, which names precision and budget), split, training seeds, platform and the
version of JAX. Several processes of one machine may share a database; the first to write a score
stays. A network file system that cannot lock is no place for it.
"""

import contextlib
import dataclasses
import functools
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from evo_clrs.errors import UserError
from evo_clrs.records import Cost, Evaluation
from evo_clrs.store import rows

DATABASE = "scores.sqlite"
VERSION = 1
APPLICATION = 0x45564F53  # "EVOS": tells scores from any other SQLite database

_LOG = logging.getLogger(__name__)
_BUSY_SECONDS = 30.0
_TABLE = """CREATE TABLE IF NOT EXISTS scores (
    fingerprint TEXT NOT NULL,
    problem TEXT NOT NULL,
    split TEXT NOT NULL,
    seeds TEXT NOT NULL,
    platform TEXT NOT NULL,
    jax TEXT NOT NULL,
    evaluation TEXT NOT NULL,
    PRIMARY KEY (fingerprint, problem, split, seeds, platform, jax)) WITHOUT ROWID"""


@dataclasses.dataclass(frozen=True)
class ScoreKey:
    """All that shapes a score.

    Attributes:
      fingerprint: of what was trained.
      problem: the problem's `score_key`.
      split: what was scored on.
      seeds: training seeds.
      platform: `cpu`, `gpu` or `tpu`.
      jax: version of JAX.
    """

    fingerprint: str
    problem: str
    split: str
    seeds: tuple[int, ...]
    platform: str
    jax: str

    @property
    def row(self) -> rows.Row:
        """The columns that identify the score."""
        told = self.fingerprint, self.problem, self.split
        return (*map(rows.pack, told), rows.to_json(self.seeds), self.platform, self.jax)


class Scores:
    """A database of scores; a context manager that closes at its end. Threads may share it."""

    def __init__(self, connection: sqlite3.Connection, path: Path):
        """Takes an open connection with the table made; see `open`."""
        self._connection = connection
        self._path = path
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path) -> "Scores":
        """Returns the scores kept in a folder, which is made if it is missing.

        Raises:
          UserError: the folder or its database cannot be used; the message says what to do.
        """
        path = folder / DATABASE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from None
        try:
            _prepare_in_turn(connection, path)
        except sqlite3.Error as error:
            connection.close()
            raise _unusable(path, error) from None
        except UserError:
            connection.close()
            raise
        return cls(connection, path)

    def find(self, key: ScoreKey) -> Evaluation | None:
        """Returns a score, or None where it is not known.

        An entry that cannot be read counts as unknown, and a warning says so once.
        """
        row = None
        with self._lock, self._warning():
            row = self._connection.execute(
                "SELECT evaluation FROM scores WHERE fingerprint = ? AND problem = ? "
                "AND split = ? AND seeds = ? AND platform = ? AND jax = ?",
                key.row,
            ).fetchone()
        if row is None:
            return None
        try:
            told = rows.from_json(row[0])
            cost, seeds = Cost(**told.pop("cost")), tuple(told.pop("seeds"))
            return Evaluation(cost=cost, seeds=seeds, **told)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            _warn_once(f"{self._path}: a score cannot be read ({error}): it is measured again")
            return None

    def keep(self, key: ScoreKey, evaluation: Evaluation) -> None:
        """Keeps a score, unless there is one already.

        Where it cannot be written, e.g. since the disk is full, a warning says so once.
        """
        told = dataclasses.asdict(dataclasses.replace(evaluation, facts=None))
        with self._lock, self._warning():
            self._connection.execute(
                "INSERT OR IGNORE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key.row, rows.to_json(told)),
            )

    def __len__(self) -> int:
        """How many scores are kept."""
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM scores").fetchone()[0])

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> "Scores":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _warning(self) -> Iterator[None]:
        """Turns trouble with the database into a warning: a search goes on without it."""
        try:
            yield
        except sqlite3.Error as error:
            _warn_once(f"{self._path}: {error}: scores are neither found nor kept here")


def _prepare_in_turn(connection: sqlite3.Connection, path: Path) -> None:
    """Prepares a database that others may be opening: the switch to WAL does not wait by itself."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return _prepare(connection, path)
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Makes the table of a new database, or checks that an old one holds scores."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")  # of two processes that start one, one does
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not tables and not application:
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    elif application != APPLICATION:
        raise UserError(f"{path} is another program's database: choose another --scores")
    elif version != VERSION:
        raise UserError(
            f"{path} was written by another version of evo_clrs (format {version}, not {VERSION}): "
            "choose another --scores"
        )
    connection.execute("COMMIT")


def _unusable(path: Path, error: OSError | sqlite3.Error) -> UserError:
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return UserError(
            f"{path} is damaged: remove it (its scores are measured again), or give another "
            "--scores folder"
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return UserError(
        f"{path} cannot be used ({reason}): give a --scores folder that can be written, or "
        "--scores=none"
    )


@functools.cache
def _warn_once(message: str) -> None:
    _LOG.warning(message)
