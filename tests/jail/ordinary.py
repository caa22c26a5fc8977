"""Runs Python as an ordinary user: `python -m tests.jail.ordinary CODE`, started by root.

Where the interpreter or this checkout lies behind folders that only root may enter, they are shown
in their place, in a mount namespace that ends with the process. Nothing on the machine changes.
"""

import os
import sys
from pathlib import Path

from evo_clrs.jail import linux

NOBODY = 65534
_NEWNS = 0x00020000
_PRIVATE = (1 << 14) | (1 << 18)  # MS_REC | MS_PRIVATE
_BIND = 4096 | (1 << 14)  # MS_BIND | MS_REC


def show(paths: list[Path]) -> None:
    """Makes folders reachable for everybody, each where it is."""
    hidden: dict[Path, list[tuple[Path, int]]] = {}
    for path in paths:
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & 0o001:
                hidden.setdefault(folder, []).append((path, os.open(path, os.O_PATH)))
                break
    for folder, inside in hidden.items():
        linux.mount("shown", str(folder), "tmpfs", 0, "mode=755")
        for path, descriptor in inside:
            path.mkdir(parents=True, exist_ok=True)
            linux.mount(f"/proc/self/fd/{descriptor}", str(path), None, _BIND)
            os.close(descriptor)


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    linux.unshare(_NEWNS)
    linux.mount("none", "/", None, _PRIVATE)
    wanted = [Path(sys.base_prefix), Path(sys.prefix), Path(os.path.realpath(sys.prefix)), root]
    show(list(dict.fromkeys(wanted)))
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.chdir("/")
    environment = {"PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu", "HOME": "/nonexistent"}
    os.execve(sys.executable, [sys.executable, "-B", "-c", sys.argv[1]], environment)


if __name__ == "__main__":
    main()
