"""The run folder as files: its lock, atomic writing, and what went wrong in a person's words."""

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from evo_clrs.errors import UserError

DATABASE = "run.sqlite"
LOG = f"{DATABASE}-wal"  # SQLite's write-ahead log: the last steps, until they are copied over
LOCK = "run.lock"

_FULL = "the disk is full; free some space and give the same command to go on"

# What SQLite says (the start of its error name), and what a person should hear.
_SQLITE_TROUBLE = (
    ("SQLITE_FULL", _FULL),
    ("SQLITE_IOERR_SHMSIZE", _FULL),
    ("SQLITE_READONLY", "it cannot be written: make the folder writable or choose another --run"),
    ("SQLITE_NOTADB", "it is not a database: restore a copy of it, or choose another --run"),
    ("SQLITE_CORRUPT", "it is damaged: restore a copy of it, or choose another --run"),
    ("SQLITE_CANTOPEN", "it cannot be opened: check that the folder can be read and written"),
    ("SQLITE_BUSY", "another process is writing to it: wait for it to end"),
    ("SQLITE_LOCKED", "another process is writing to it: wait for it to end"),
    ("SQLITE_IOERR", "reading or writing failed; check the disk, then give the same command"),
)

_OS_TROUBLE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "the disk quota is used up; free some space and give the same command to go on",
    errno.EACCES: "no permission: make the folder writable or choose another --run",
    errno.EPERM: "no permission: make the folder writable or choose another --run",
    errno.EROFS: "the file system is read-only: choose another --run",
    errno.ENOTDIR: "a part of this path is a file: choose another --run",
    errno.EEXIST: "this is a file, not a folder: choose another --run",
}


def explain(error: sqlite3.Error | OSError, path: Path | str) -> UserError:
    """Returns the trouble with `path` in one line that says what to do."""
    if isinstance(error, OSError):
        advice = _OS_TROUBLE.get(error.errno or 0, error.strerror or str(error))
        return UserError(f"{path}: {advice}")
    name = getattr(error, "sqlite_errorname", None) or ""
    for start, advice in _SQLITE_TROUBLE:
        if name.startswith(start):
            return UserError(f"{path}: {advice}")
    return UserError(f"{path}: {error}")


@contextlib.contextmanager
def explaining(path: Path | str) -> Iterator[None]:
    """Turns errors of SQLite and of the operating system into a `UserError` about `path`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error


def size(path: Path) -> int:
    """Returns the bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def lock_folder(folder: Path, flag: str = "--run") -> int:
    """Takes the folder for this process, until the descriptor is closed or the process ends.

    `flag` is what names another folder.

    The lock is the kernel's (flock), so a killed process leaves none behind; the file's text only
    tells others who holds it. It is a file of its own: closing any descriptor of `run.sqlite`
    would drop SQLite's locks.

    Raises:
      UserError: another process has it.
    """
    path = folder / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise UserError(
            f"run folder {folder} is open in another process (pid {holder}): "
            f"wait for it to end, stop it, or choose another {flag}"
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BaseException:  # the disk is full: whoever tries again is to find the folder free
        os.close(descriptor)
        raise
    return descriptor


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that a reader, or a kill at any point, sees the old text or the new one.

    Text that is not valid Unicode is written with backslash escapes.

    Raises:
      UserError: it cannot be written; the old file is left as it was.
    """
    temporary = path.with_name(f".{path.name}.new")  # one name: a kill leaves at most one behind
    with explaining(path):
        try:
            with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
