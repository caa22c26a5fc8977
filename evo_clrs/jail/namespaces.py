"""Namespaces: a process that sees no other process, no network and a root of its own.

Two steps, since a process cannot enter a process-id namespace itself: the keeper calls `enter`
before it forks, the child calls `isolate` after.
"""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable, Sequence

from evo_clrs.jail import linux

_NEWNS, _NEWUTS, _NEWIPC = 0x00020000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 32, 4096
_MS_REC, _MS_PRIVATE = 1 << 14, 1 << 18
_MNT_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID = 1, 2

# Folders over which the new root can be built: on every system, and nothing in them is needed.
_STAGES = ("/sys", "/mnt", "/media")


def enter() -> tuple[str, ...]:
    """Puts children of this process into new user and process-id namespaces, where allowed.

    Returns:
      What was entered, e.g. `("user", "pid")`; without `user` where only root's own rights or
      none at all were to be had.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        linux.unshare(_NEWUSER | _NEWPID)
    except OSError:
        try:
            linux.unshare(_NEWPID)
        except OSError:
            return ()
        return ("pid",)
    # The same ids inside as outside: nobody gains anything, and files keep their owner.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return ("user", "pid")


def isolate(readable: Sequence[str]) -> tuple[str, ...]:
    """Takes network, IPC, host name and all files but `readable` away from this process.

    Returns:
      The namespaces that were entered, of `("net", "ipc", "uts", "mount")`.
    """
    entered = []
    for name, flag in (("net", _NEWNET), ("ipc", _NEWIPC), ("uts", _NEWUTS)):
        with contextlib.suppress(OSError):
            linux.unshare(flag)
            entered.append(name)
    with contextlib.suppress(OSError):
        linux.unshare(_NEWNS)
        _change_root(readable)
        entered.append("mount")
    return tuple(entered)


def _change_root(readable: Sequence[str]) -> None:
    """Replaces the root by an empty, read-only one in which only `readable` appears."""
    stage = next(path for path in _STAGES if os.path.isdir(path))
    linux.mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    linux.mount("jail", stage, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    _copy_links(stage)
    for path in _outermost(readable):
        _bind(path, stage + path)
    os.chdir(stage)
    linux.syscall("pivot_root", b".", b".")
    linux.unmount(".", _MNT_DETACH)
    os.chdir("/")
    linux.mount("none", "/", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)


def _copy_links(stage: str) -> None:
    """Repeats the links of the root folder, e.g. `/lib -> usr/lib`."""
    for entry in os.scandir("/"):
        if entry.is_symlink():
            # Relative to the root, so that they lead into the new one while it is being built.
            os.symlink(os.readlink(entry.path).lstrip("/"), stage + entry.path)


def _outermost(paths: Iterable[str]) -> list[str]:
    """Drops paths that lie within others."""
    kept: list[str] = []
    for path in sorted(paths):
        if not any(path.startswith(folder + "/") for folder in kept):
            kept.append(path)
    return kept


def _bind(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o444))
    linux.mount(source, target, None, _MS_BIND | _MS_REC)
    # struct mount_attr: set, clear, propagation, user namespace.
    attributes = ctypes.create_string_buffer(
        struct.pack("=QQQQ", _ATTR_RDONLY | _ATTR_NOSUID, 0, 0, 0), 32
    )
    linux.syscall(
        "mount_setattr", _AT_FDCWD, target.encode(), _AT_RECURSIVE, attributes, len(attributes)
    )
