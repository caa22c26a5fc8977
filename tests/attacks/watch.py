"""A jail under watch: what its guests leave behind, and what their replies hold."""

import dataclasses
import os
import time
from pathlib import Path

from evo_clrs.jail.jail import Jail
from evo_clrs.jail.limits import Limits

CANARY = "canary-7be2c0d1"
LIMITS = Limits(
    cpu_seconds=6.0,
    wall_seconds=20.0,
    memory_bytes=1 << 30,
    processes=16,
    output_bytes=4 << 20,
    open_files=32,
)
_LITTLE = {"cpu_seconds": 1.5, "wall_seconds": 4.0}
_FOLDERS = ("/tmp", "/dev/shm", "/var/tmp")
_NAME = "left-behind"


class Watched(Jail):
    """A jail that keeps the raw replies of its guests."""

    def __init__(self, home: Path):
        super().__init__(LIMITS)
        self.home = home
        self.replies: list[bytes] = []

    def give(self, little: bool) -> None:
        """Sets what the next guest may use."""
        self._limits = dataclasses.replace(LIMITS, **_LITTLE) if little else LIMITS

    def _ask(self, *request):
        ending, reader = super()._ask(*request)
        self.replies.append(reader._data)
        return ending, reader

    @property
    def warm(self) -> int:
        """Process id of the warm process."""
        self.layers()
        return self._warm._process.pid

    def memory(self) -> int:
        """Returns the resident memory of the warm process in KiB."""
        fields = Path(f"/proc/{self.warm}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") >> 10

    def left_behind(self) -> list[str]:
        """Returns processes, files and canaries where there should be none; clears the replies."""
        found = [f"process {pid}" for pid in _until_none(self.warm)]
        folders = [Path(folder) for folder in _FOLDERS] + [self.home]
        found += [str(folder / _NAME) for folder in folders if (folder / _NAME).exists()]
        found += [str(path) for path in self.home.iterdir() if path.name != "secret"]
        words = [CANARY.encode(), CANARY.encode().hex().encode(), str(self.home).encode()]
        found += ["canary" for reply in self.replies for word in words if word in reply]
        self.replies.clear()
        return found


def _until_none(pid: int) -> list[int]:
    """Returns the children of a process that are still there after a while."""
    deadline = time.monotonic() + 5.0
    while (children := _children(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return children


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]
