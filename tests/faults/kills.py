"""Kills processes of short searches at random points and compares how they end.

    python -m tests.faults.kills --kills=200 --run=toy

Half of the kills of the parent fall at a random time. The other half fall at a random step: before
one of the SQL statements and of the calls that Python audits (opening, renaming, connecting,
starting processes). A killed search is resumed, killed again, and so on to its end;
what it then holds must be what an undisturbed one does, apart from times, and no process may be
left. Workers, the jail's warm process and its keepers are killed at random times, several in one
search, which goes on by itself; so far apart that none hits the same program twice, which is
rejected for it. With `--gentle` the parent gets SIGTERM, and SIGKILL where it is still there five
seconds later, as a cluster's job does whose machine is taken away. Exit code 0 if every search
ended as the undisturbed one.
"""

import argparse
import collections
import contextlib
import ctypes
import dataclasses
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evo_clrs.store import opening
from launch import search
from tests.faults import runs

VICTIMS = ("parent", "worker", "warm", "keeper")
_PR_SET_CHILD_SUBREAPER = 36
_INTERRUPTED = 130
_ENDINGS = {-signal.SIGKILL: "killed after 5 s", -signal.SIGTERM: "gone before the handler was set"}
_RUN_SECONDS = 900.0  # for one session, on a busy machine
_GENTLE_SECONDS = 5.0
_ORPHAN_SECONDS = 60.0  # for what a killed process leaves behind to notice
_GLANCE = 0.002
_APART = 2  # evaluations between two kills within a search
_UNCOUNTED = ("import", "compile", "exec", "marshal.loads", "object.__getattr__", "sys._getframe")


@dataclasses.dataclass(frozen=True)
class Death:
    """When to kill.

    Attributes:
      victim: one of `VICTIMS`.
      seconds: so long after the session began, or the victim was first seen; None for never.
      step: in so many steps; None for never.
      pause: most seconds from when another one may be killed to when it is.
      gentle: whether SIGTERM comes first.
    """

    victim: str = "parent"
    seconds: float | None = None
    step: int | None = None
    pause: float = 1.0
    gentle: bool = False


@dataclasses.dataclass(frozen=True)
class Session:
    """How one process of a search ended.

    Attributes:
      code: its exit code, minus the signal that killed it.
      kills: how often the victim was killed.
      seconds: how long it took.
    """

    code: int
    kills: int
    seconds: float


class Steps:
    """Counts steps of this process, and kills it in one of them."""

    def __init__(self, death: Death, told: Path):
        self._death, self._told, self._count = death, told, 0
        self._pid = os.getpid()

    def watch(self) -> None:
        """Begins to count."""
        connect = opening.connect

        def connect_and_count(name: str) -> sqlite3.Connection:
            connection = connect(name)
            connection.set_trace_callback(lambda statement: self._take())
            return connection

        if not self._death.gentle:  # SQLite's callback would swallow the interruption
            opening.connect = connect_and_count
        sys.addaudithook(lambda event, _: None if event in _UNCOUNTED else self._take())

    def tell(self) -> None:
        """Writes the count down."""
        self._told.write_text(str(self._count))

    def _take(self) -> None:
        self._count += 1
        if self._count == self._death.step and os.getpid() == self._pid:
            if self._death.gentle:
                self._told.write_text("")  # from now on it has five seconds
            os.kill(self._pid, signal.SIGTERM if self._death.gentle else signal.SIGKILL)


def session(run: Callable[[Path], None], folder: Path, death: Death) -> Session:
    """Runs a search in a process of its own, and kills its victim when it is time.

    Raises:
      AssertionError: it does not end, or leaves processes behind.
    """
    started = time.monotonic()
    log, counted = folder.with_suffix(".log"), folder.with_suffix(".steps")
    counted.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            steps = Steps(death, counted)
            steps.watch()
            code = runs.quietly(run, folder, log)
            steps.tell()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    kills, due, last, enough = 0, death.seconds, float("inf"), 0
    draws = random.Random(due)
    seen = started if death.victim == "parent" else None
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        now = time.monotonic()
        if ended:
            break
        assert now - started < _RUN_SECONDS, f"the search does not end: see {log}"
        if due is not None and (not kills or recorded(folder) >= enough):
            victims = [pid] if death.victim == "parent" else find(death.victim, pid)
            if victims and seen is None:
                seen = now
            if victims and seen is not None and now - seen >= due:
                how = signal.SIGTERM if death.gentle else signal.SIGKILL
                try:
                    os.kill(draws.choice(victims), how)
                except ProcessLookupError:
                    continue  # it ended by itself since it was found
                kills, seen, enough = kills + 1, None, recorded(folder) + _APART
                due = None if death.victim == "parent" else draws.uniform(0, death.pause)
        if death.gentle and last == float("inf") and (kills or counted.exists()):
            kills, last = 1, now + _GENTLE_SECONDS
        if now > last:
            os.kill(pid, signal.SIGKILL)
        time.sleep(_GLANCE if not kills else 20 * _GLANCE)
    code = os.waitstatus_to_exitcode(status)
    bury_orphans()
    kills = kills or int(code == -signal.SIGKILL)
    return Session(code, kills, time.monotonic() - started)


def find(victim: str, parent: int) -> list[int]:
    """Returns the workers, the warm process or the keepers of a search."""
    children, commands = _processes()
    of_parent = children.get(parent, [])
    if victim == "worker":
        return [pid for pid in of_parent if "evo_clrs.executors.worker" in commands[pid]]
    warm = [pid for pid in of_parent if "evo_clrs.jail" in commands[pid]]
    if victim == "warm":
        return warm
    return [pid for process in warm for pid in children.get(process, [])]


def _processes() -> tuple[Mapping[int, list[int]], Mapping[int, str]]:
    """Returns the children and the command of every process."""
    children: dict[int, list[int]] = collections.defaultdict(list)
    commands: dict[int, str] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            commands[int(name)] = (
                Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace")
            )
        except OSError:
            continue  # it has ended
        if fields[0] != "Z":
            children[int(fields[1])].append(int(name))
    return children, commands


def bury_orphans() -> None:
    """Waits until nothing is left that a killed process had started; its orphans are ours.

    Raises:
      AssertionError: something stays.
    """
    deadline = time.monotonic() + _ORPHAN_SECONDS
    while True:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            left = _processes()[0].get(os.getpid(), [])
            assert time.monotonic() < deadline, f"left behind: processes {left}"
            time.sleep(0.01)


def recorded(folder: Path) -> int:
    """Returns how many evaluations a running search has recorded."""
    with contextlib.suppress(sqlite3.Error):
        name = f"{(folder / 'run.sqlite').absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(name, uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM evaluations").fetchone()[0])
    return 0


def progress(folder: Path) -> str:
    """Says how far a search has come, in a word for the figures."""
    try:
        connection = sqlite3.connect(f"{(folder / 'run.sqlite').absolute().as_uri()}", uri=True)
        scored = connection.execute("SELECT count(*) FROM evaluations").fetchone()[0]
        selected = connection.execute("SELECT count(*) FROM events WHERE kind = 'selection'")
        selecting = bool(selected.fetchone()[0])
        connection.close()
    except sqlite3.Error:
        return "before the record"
    return "selecting" if selecting else f"{scored:2d} evaluations"


class Trial:
    """An undisturbed search, and what disturbed ones come to."""

    def __init__(
        self,
        run: Callable[[Path], None],
        death: Death,
        home: Path,
        draws: random.Random,
    ):
        self._run, self._like, self._home, self._draws = run, death, home, draws
        self._made = 0
        self.kills: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        folder = self._new()
        self._sure(session(run, folder, Death()), folder)
        again = self._new()  # the first one may have had to warm caches
        self.seconds = self._sure(session(run, again, Death()), again).seconds
        self.steps = int(again.with_suffix(".steps").read_text())
        self._expected = runs.contents(folder)
        self._compare(again)

    def go(self) -> None:
        """Disturbs one search to its end."""
        folder = self._new()
        for _ in range(1000):
            death = self._death()
            ending = session(self._run, folder, death)
            if ending.kills:
                self.kills[("by step" if death.step else "by time")] += ending.kills
                self.kills[progress(folder)] += 1
                if death.gentle:
                    self.kills[_ENDINGS.get(ending.code, "left by itself")] += 1
            if ending.code == 0:
                break
            if ending.code not in (-signal.SIGKILL, -signal.SIGTERM, _INTERRUPTED):
                self.wrong.append(f"{folder}: exit code {ending.code}")
                return
        self._compare(folder)

    @property
    def total(self) -> int:
        """How many kills there were."""
        return self.kills["by step"] + self.kills["by time"]

    def _death(self) -> Death:
        like = self._like
        if like.victim == "parent" and self._draws.random() < 0.5:
            return dataclasses.replace(like, step=self._draws.randint(1, self.steps))
        # Sessions that go on have less to do, and further kills need their time.
        reach = self.seconds / (2 if like.victim == "parent" else 10)
        return dataclasses.replace(
            like, seconds=self._draws.uniform(0, reach), pause=self.seconds / 10
        )

    def _new(self) -> Path:
        self._made += 1
        return self._home / f"run{self._made:03d}"

    def _sure(self, ending: Session, folder: Path) -> Session:
        log = folder.with_suffix(".log").read_text()
        assert ending.code == 0, f"the undisturbed search failed: {log}"
        return ending

    def _compare(self, folder: Path) -> None:
        if parts := runs.differences(runs.contents(folder), self._expected):
            self.wrong.append(f"{folder}: {', '.join(parts)} differ")
            return
        if self._made > 2:
            shutil.rmtree(folder)


def main(arguments: Sequence[str]) -> int:
    """Kills until there were enough; prints figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="how many kills")
    parser.add_argument("--run", choices=runs.NAMES, default="toy", help="what is searched")
    parser.add_argument("--victim", choices=VICTIMS, default="parent", help="who is killed")
    parser.add_argument("--gentle", action="store_true", help="SIGTERM, and 5 s later SIGKILL")
    parser.add_argument("--seed", type=int, default=0, help="seed of the points in time")
    parser.add_argument("--home", type=Path, help="folder for the runs; a fresh one if not given")
    parser.add_argument("--limit", type=float, default=0.0, help="stop after so many minutes")
    given = parser.parse_args(arguments)
    home = given.home or Path(tempfile.mkdtemp(prefix="kills-"))
    home.mkdir(parents=True, exist_ok=True)
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("this needs Linux")
    search.define_options()
    started = time.monotonic()
    trial = Trial(
        runs.make(given.run, home),
        Death(given.victim, gentle=given.gentle),
        home,
        random.Random(given.seed),
    )
    print(
        f"undisturbed: {trial.seconds:.1f} s, {trial.steps} steps; runs are in {home}", flush=True
    )
    disturbed = 0
    while trial.total < given.kills and not trial.wrong:
        if given.limit and time.monotonic() - started > 60 * given.limit:
            break
        trial.go()
        disturbed += 1
        print(f"{trial.total} kills, {disturbed} searches ended as undisturbed", flush=True)
    told = figures(trial.kills)
    print(
        f"{trial.total} kills of {given.victim} ({told}) in {disturbed} searches of {given.run}: "
        f"{len(trial.wrong)} differ; {time.monotonic() - started:.0f} s"
    )
    for complaint in trial.wrong:
        print(complaint)
    if not trial.wrong and not given.home:
        shutil.rmtree(home)
    return bool(trial.wrong) or trial.total < given.kills


def figures(kills: Mapping[str, int]) -> str:
    """Returns the counts in words."""
    return ", ".join(f"{count} {name}" for name, count in sorted(kills.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
