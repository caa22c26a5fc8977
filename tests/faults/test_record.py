"""Faults around the record: what cannot be written is told, and nothing that was told is lost."""

import ctypes
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from evo_clrs.errors import UserError
from evo_clrs.proposers.grammar.proposer import Grammar
from evo_clrs.report.page import page
from evo_clrs.store import Store, opening
from tests.faults import runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def disk(tmp_path):
    """A function that mounts a file system of so many KiB, to be full or read-only for real."""
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = []

    def mount(kibibytes, flags=0):
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir(exist_ok=True)
        told = f"size={kibibytes}k".encode()
        if libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", flags, told):
            pytest.skip(f"no file system can be mounted: {os.strerror(ctypes.get_errno())}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        libc.umount2(os.fsencode(place), 2)  # MNT_DETACH: whatever is still open


@pytest.mark.parametrize("left", [0, 8, 40, 60, 80, 100, 120, 160, 200])
def test_a_full_disk_stops_the_search_and_room_lets_it_go_on(disk, small, undisturbed, left):
    place = disk(2048)
    (place / "filler").write_bytes(bytes(1024 * (2048 - left)))
    with pytest.raises(UserError, match="the disk is full; free some space") as error:
        small(place / "run")
    assert "\n" not in str(error.value)
    (place / "filler").unlink()
    assert small(place / "run") == undisturbed[1]


def test_a_disk_that_fills_up_again_and_again_loses_nothing(disk, small, undisturbed):
    """Each time there is a little more room than before."""
    place, faults = disk(2048), 0
    found = None
    while found is None:
        (place / "filler").write_bytes(b"")
        free = os.statvfs(place)
        room = free.f_bavail * free.f_frsize - 16 * 1024 * (1 + faults // 2)
        (place / "filler").write_bytes(bytes(room))
        try:
            found = small(place / "run")
        except UserError as error:
            assert "the disk is full" in str(error)
            faults += 1
    assert faults >= 3
    assert found == undisturbed[1]


@pytest.mark.parametrize(
    "limit",
    [40_000, pytest.param(10_000, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.slow)],
)
def test_a_file_that_may_not_grow_is_told_in_one_line(table, tmp_path, limit):
    command = [sys.executable, "-m", "launch.search", "--problem=nasbench201", "--max_error=1"]
    command += [f"--table={table}", f"--run={tmp_path / 'run'}", "--rounds=4"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and str(tmp_path / "run") in last
    assert "Traceback" not in done.stderr
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120).returncode == 0


def test_a_read_only_file_system_is_told(disk, small, undisturbed):
    place = disk(2048)
    shutil.copytree(undisturbed[0], place / "run")
    read_only, remount = 1, 32
    libc = ctypes.CDLL(None)
    assert libc.mount(b"", os.fsencode(place), b"", read_only | remount, None) == 0
    for name in ("run", "new"):
        with pytest.raises(UserError, match="read-only: choose another --run"):
            small(place / name)
    with Store.read(place / "run") as store:
        assert store.candidates()


def held(database, seconds, kind="IMMEDIATE"):
    """Locks the database from elsewhere for some time; returns when it is locked."""
    locked = threading.Event()

    def hold():
        other = sqlite3.connect(database, isolation_level=None)
        other.execute(f"BEGIN {kind}")
        locked.set()
        time.sleep(seconds)
        other.execute("ROLLBACK")
        other.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(10)
    return thread


class Locking:
    """A proposer during whose first answer somebody else locks the database."""

    name = "grammar"

    def __init__(self, database, seconds):
        self._database, self._seconds = database, seconds
        self.thread = None

    def propose(self, request, slot, prompt, seed):
        if self.thread is None:
            self.thread = held(self._database, self._seconds)
        return Grammar().propose(request, slot, prompt, seed)


def test_a_database_locked_for_a_moment_is_waited_for(small, undisturbed, tmp_path):
    proposer = Locking(tmp_path / "run" / "run.sqlite", 0.7)
    begin = time.monotonic()
    assert small(tmp_path / "run", proposer) == undisturbed[1]
    assert time.monotonic() - begin > 0.6
    proposer.thread.join()


def test_a_database_locked_for_long_is_told_and_nothing_is_lost(
    small, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setattr(opening, "_BUSY_SECONDS", 0.1)
    proposer = Locking(tmp_path / "run" / "run.sqlite", 0.7)
    with pytest.raises(UserError, match="another process is writing to it: wait for it to end"):
        small(tmp_path / "run", proposer)
    proposer.thread.join()
    assert small(tmp_path / "run") == undisturbed[1]


def test_a_database_locked_from_the_start_is_told(small, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "_BUSY_SECONDS", 0.1)
    folder = shutil.copytree(undisturbed[0], tmp_path / "run")
    thread = held(folder / "run.sqlite", 0.7, "EXCLUSIVE")
    with Store.open(folder, small.identity) as store, pytest.raises(UserError, match="wait for"):
        store.record_event("note", {})
    thread.join()


LENGTHS = (0, 1, 15, 16, 99, 100, 511, 512, 1024, 4095, 4096, 4097, 8192, -8192, -4096, -1)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_truncated_database_is_told(undisturbed, small, tmp_path, length):
    """It is never taken for a new run, nor read as if it were whole."""
    folder = shutil.copytree(undisturbed[0], tmp_path / "run")
    path = folder / "run.sqlite"
    os.truncate(path, length if length >= 0 else path.stat().st_size + length)
    with pytest.raises(UserError, match="restore|not the record of a run|choose another") as error:
        small(folder)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


class Dying:
    """A proposer that kills the process at its fourth request."""

    name = "grammar"

    def propose(self, request, slot, prompt, seed):
        if request.index == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return Grammar().propose(request, slot, prompt, seed)


@pytest.fixture(scope="module")
def killed(small, tmp_path_factory):
    """The folder of a killed search, whose last steps are in the write-ahead log."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    pid = os.fork()
    if pid == 0:
        try:
            small(folder, Dying())
        finally:
            os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    return folder


def test_a_log_truncated_or_damaged_anywhere_costs_steps_but_not_the_result(
    killed, small, undisturbed, tmp_path
):
    """Steps whose log is gone are done again."""
    size = (killed / "run.sqlite-wal").stat().st_size
    assert size > 4096
    draws = random.Random(0)
    for number in range(12):
        folder = shutil.copytree(killed, tmp_path / f"run{number}")
        place = draws.randrange(40, size)
        with open(folder / "run.sqlite-wal", "r+b") as log:
            if number % 2:
                log.truncate(place)
            else:
                log.seek(place)
                log.write(b"\xff" * 7)
        assert small(folder) == undisturbed[1]


def test_a_record_that_was_lost_while_its_log_is_left_is_told(killed, small, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "run")
    (folder / "summary.json").unlink()
    os.truncate(folder / "run.sqlite", 0)
    with pytest.raises(UserError, match="missing or empty: restore it"):
        small(folder)


def test_a_clock_that_is_set_back_changes_nothing(small, undisturbed, tmp_path, monkeypatch):
    now = [2e9]

    def backwards():
        now[0] -= 5e8  # soon before 1970
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    folder = tmp_path / "run"
    assert small(folder) == undisturbed[1]
    with Store.read(folder) as store:
        store_time = store.wall_seconds()
        assert 0 <= store_time < 60
        assert "Best over time" in page(store)
    assert runs.differences(runs.contents(folder), undisturbed[1]) == []
