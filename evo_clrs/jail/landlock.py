"""Landlock: files a process may still read, given up for good for everything else."""

import ctypes
import os
import struct
from collections.abc import Iterable

from evo_clrs.jail import linux

_VERSION_QUESTION = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3

# Number of file-system rights known from each ABI on; the last entry serves later ones.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def abi() -> int:
    """Returns the kernel's Landlock ABI; raises OSError where there is none."""
    return linux.syscall("landlock_create_ruleset", None, 0, _VERSION_QUESTION)


def restrict(readable: Iterable[str]) -> int:
    """Lets this process read these files and folders and touch no other; needs no_new_privs.

    From ABI 4 on it may neither bind nor connect TCP sockets, from 6 on it may neither signal
    processes outside nor reach their abstract sockets.

    Returns:
      The ABI that is in force.

    Raises:
      OSError: the kernel has no Landlock.
    """
    version = abi()
    file_rights = (1 << _FILE_RIGHTS[min(version, 5)]) - 1
    network = 0b11 if version >= 4 else 0
    scoped = 0b11 if version >= 6 else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("=QQQ", file_rights, network, scoped)[:size]
    buffer = ctypes.create_string_buffer(attributes, size)
    rules = linux.syscall("landlock_create_ruleset", buffer, size, 0)
    try:
        for path in readable:
            _allow(rules, path)
        linux.syscall("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)
    return version


def _allow(rules: int, path: str) -> None:
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there: nothing to read
        return
    try:
        rights = _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, file), 12)
        linux.syscall("landlock_add_rule", rules, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(file)
