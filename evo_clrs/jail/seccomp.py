"""The system calls a guest may make: an allow-list, compiled to a seccomp filter.

What is not listed fails with EPERM, so that a program that tries gets a Python exception with a
line number. Calls younger than the list fail with ENOSYS, so that the C library falls back to the
older ones it knows (clone3 among them, whose flags a filter cannot see).
"""

import ctypes
import os
import platform
import struct
from collections.abc import Sequence

from evo_clrs.jail import linux

_Instruction = tuple[int, int, int, int]

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_ALLOW: _Instruction = (_RETURN, 0, 0, 0x7FFF0000)
_KILL: _Instruction = (_RETURN, 0, 0, 0x80000000)
_EPERM: _Instruction = (_RETURN, 0, 0, 0x00050000 | 1)
_ENOSYS: _Instruction = (_RETURN, 0, 0, 0x00050000 | 38)

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
_X32 = 0x40000000  # bit of the x32 calls on x86_64, which would slip past the numbers below
_YOUNGEST = 435  # clone3: from here on ENOSYS
_SET_MODE_FILTER = 1
_TSYNC, _SPEC_ALLOW = 1, 4

# Name: number on x86_64, on aarch64 (None where it does not exist). Reading, memory, time,
# threads, and questions about itself.
_PLAIN: dict[str, tuple[int, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "access": (21, None),
    "select": (23, None),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "mincore": (27, 232),
    "madvise": (28, 233),
    "dup": (32, 23),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "exit": (60, 93),
    "uname": (63, 160),
    "getdents": (78, None),
    "getcwd": (79, 17),
    "readlink": (89, None),
    "gettimeofday": (96, 169),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "getppid": (110, 173),
    "getpgrp": (111, None),
    "getsid": (124, 156),
    "capget": (125, 90),
    "sigaltstack": (131, 132),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "getpriority": (140, 141),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "getdents64": (217, 61),
    "set_tid_address": (218, 96),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "newfstatat": (262, 79),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "pselect6": (270, 72),
    "ppoll": (271, 73),
    "set_robust_list": (273, 99),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "statx": (332, 291),
    "rseq": (334, 293),
    "faccessat2": (439, 439),
}

_CLONE_THREAD = 0x00010000
_TCGETS, _FIOCLEX = 0x5401, 0x5451
_PR_SET_NAME, _PR_GET_NAME = 15, 16
_PR_SET_VMA = 0x53564D41  # glibc names its memory areas with it
_DUPFD, _GETFD, _SETFD, _GETFL, _SETFL, _DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
_O_TMPFILE = 0o20000000
_WRITING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | os.O_APPEND | _O_TMPFILE


# Calls that find a file by its name. Code that is loaded already traces programs without them.
_BY_NAME = (
    *("stat", "lstat", "access", "readlink", "statfs", "readlinkat"),
    *("faccessat", "faccessat2", "statx", "newfstatat"),
)
_OPEN, _OPENAT, _NEWFSTATAT = (2, None), (257, 56), (262, 79)
_AT_EMPTY_PATH = 0x1000


def install(files: bool = True) -> None:
    """Filters the system calls of this process from now on; needs no_new_privs.

    Args:
      files: whether files may be opened to be read; else none can be found by its name any more.

    Raises:
      OSError: the kernel has no seccomp, or the machine's architecture is not known here.
    """
    program = assemble(platform.machine(), os.getpid(), files)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: unsigned short, padding, pointer.
    filter_program = ctypes.create_string_buffer(
        struct.pack("@HP", len(program), ctypes.addressof(buffer))
    )
    linux.syscall("seccomp", _SET_MODE_FILTER, _TSYNC | _SPEC_ALLOW, filter_program)


def assemble(machine: str, pid: int, files: bool = True) -> list[_Instruction]:
    """Returns the filter for a machine (`platform.machine()`) and the guest's process id."""
    if machine not in _ARCHITECTURES:
        raise OSError(38, f"no system call numbers for {machine}")
    column = ("x86_64", "aarch64").index(machine)
    load_architecture, load_number = (_LOAD, 0, 0, 4), (_LOAD, 0, 0, 0)
    program: list[_Instruction] = [
        load_architecture,
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        _KILL,
        load_number,
    ]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32), _EPERM]
    for name, numbers in _PLAIN.items():
        if numbers[column] is not None and (files or name not in _BY_NAME):
            program += [(_EQUAL, 0, 1, numbers[column] or 0), _ALLOW]
    for numbers, conditions in _conditional(pid, files):
        number = numbers[column]
        if number is not None:
            block = [*conditions, _ALLOW]
            program += [(_EQUAL, 0, len(block), number), *block]
    return [*program, (_AT_LEAST, 0, 1, _YOUNGEST), _ENOSYS, _EPERM]


def _conditional(pid: int, files: bool) -> list[tuple[tuple[int, int | None], list[_Instruction]]]:
    """Calls that are allowed with some arguments only."""
    file_commands = (_DUPFD, _GETFD, _SETFD, _GETFL, _SETFL, _DUPFD_CLOEXEC)
    by_name = [
        (_OPEN, _without(1, _WRITING)),  # to read
        (_OPENAT, _without(2, _WRITING)),
    ]
    # What fstat is in some C libraries: of a descriptor, with an empty name.
    by_descriptor = [(_NEWFSTATAT, _with(3, _AT_EMPTY_PATH))]
    return [
        *(by_name if files else by_descriptor),
        ((56, 220), _with(0, _CLONE_THREAD)),  # clone: threads, no processes
        ((16, 29), _one_of(1, (_TCGETS, _FIOCLEX))),  # ioctl
        ((72, 25), _one_of(1, file_commands)),  # fcntl
        ((157, 167), _one_of(0, (_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA))),  # prctl
        ((234, 131), _one_of(0, (pid,))),  # tgkill: to itself, as abort() does
        ((302, 261), _one_of(0, (0, pid)) + _null(2)),  # prlimit64: to ask, not to set
    ]


def _argument(index: int, high: bool = False) -> _Instruction:
    return (_LOAD, 0, 0, 16 + 8 * index + (4 if high else 0))  # little-endian words


def _without(index: int, mask: int) -> list[_Instruction]:
    return [_argument(index), (_AND, 0, 0, mask), (_EQUAL, 1, 0, 0), _EPERM]


def _with(index: int, mask: int) -> list[_Instruction]:
    return [_argument(index), (_AND, 0, 0, mask), (_EQUAL, 1, 0, mask), _EPERM]


def _one_of(index: int, values: Sequence[int]) -> list[_Instruction]:
    tests = [(_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [_argument(index), *tests, _EPERM]


def _null(index: int) -> list[_Instruction]:
    halves = (_argument(index), _argument(index, high=True))
    return [step for half in halves for step in (half, (_EQUAL, 1, 0, 0), _EPERM)]
