"""One step of a run as one transaction: kept as a whole at its end, or undone as a whole."""

import sqlite3
from pathlib import Path
from types import TracebackType

from evo_clrs.store import files


class Step:
    """A transaction; use it with `with`. A class, since a generator takes longer than a step."""

    __slots__ = ("_connection", "_place", "_what")

    def __init__(self, connection: sqlite3.Connection, what: str, place: Path | str):
        """Begins nothing yet.

        Args:
          connection: of the database.
          what: what is recorded, for errors.
          place: where, for errors.
        """
        self._connection = connection
        self._what = what
        self._place = place

    def __enter__(self) -> sqlite3.Connection:
        if self._connection.in_transaction:
            raise ValueError(f"{self._what}: the store was opened to be read")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._undo(error)
            raise
        return self._connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._undo(error)
            return
        try:
            self._connection.execute("COMMIT")
        except BaseException as failure:
            self._undo(failure)
            raise

    def _undo(self, error: BaseException) -> None:
        """Undoes the step; raises what SQLite met in words that say what to do."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.IntegrityError):
            told = f"{self._what}: recorded twice, or out of order ({error})"
            raise ValueError(told) from error
        if isinstance(error, sqlite3.Error):
            raise files.explain(error, self._place) from error
