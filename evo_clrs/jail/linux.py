"""Linux system calls that Python has no name for, through ctypes."""

import ctypes
import os
import platform
from typing import Any

# prctl operations, see prctl(2).
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

# System calls without a wrapper in every C library. Those from 424 on have one number everywhere.
_NUMBERS = {
    "capset": {"x86_64": 126, "aarch64": 91},
    "pivot_root": {"x86_64": 155, "aarch64": 41},
    "seccomp": {"x86_64": 317, "aarch64": 277},
    "mount_setattr": {"x86_64": 442, "aarch64": 442},
    "landlock_create_ruleset": {"x86_64": 444, "aarch64": 444},
    "landlock_add_rule": {"x86_64": 445, "aarch64": 445},
    "landlock_restrict_self": {"x86_64": 446, "aarch64": 446},
}

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def syscall(name: str, *arguments: Any) -> int:
    """Makes a system call; raises OSError where it fails or has no known number here."""
    number = _NUMBERS[name].get(platform.machine())
    if number is None:
        raise OSError(38, f"{name}: no system call number for {platform.machine()}")
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *words), name)


def prctl(operation: int, *arguments: int) -> int:
    """Calls prctl(2); raises OSError where it fails."""
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_libc.prctl(operation, *words), "prctl")


def unshare(flags: int) -> None:
    """Calls unshare(2); raises OSError where it fails."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Calls mount(2); raises OSError where it fails."""
    words = [source.encode(), target.encode(), kind.encode() if kind else None]
    result = _libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None)
    _checked(result, f"mount {target}")


def unmount(target: str, flags: int) -> None:
    """Calls umount2(2); raises OSError where it fails."""
    _checked(_libc.umount2(target.encode(), flags), f"umount {target}")


def drop_capabilities() -> None:
    """Gives up every capability for good: effective, permitted, inheritable, bounding, ambient."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # past the last one, or without the right to drop it
            continue
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    nothing = (ctypes.c_uint32 * 6)()
    syscall("capset", header, nothing)
