"""Confinement: what the child gives up, for good, before it runs a line of the program."""

import contextlib
import errno
import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Iterable, Sequence

from evo_clrs.jail import landlock, linux, namespaces, seccomp
from evo_clrs.jail.limits import Limits

# Layers without which the jail does not start, unless it is told to be weak. Of the second line
# one is enough; the last of them is put up only where neither of the others is there.
MINIMUM = ("clean_exec", "rlimits", "no_new_privs", "seccomp")
FILE_WALLS = ("landlock", "mount_namespace", "seccomp_no_files")

# Layers that are there where a kernel has all that is used.
USUAL = (
    *MINIMUM,
    "no_capabilities",
    "landlock",
    *(f"{name}_namespace" for name in ("user", "pid", "net", "ipc", "uts", "mount")),
)

# What tests may leave out, as on a machine that lacks it.
SWITCHES = ("clean_exec", "namespaces", "rlimits", "no_new_privs", "landlock", "seccomp")

# Package folders are entries of sys.path with one of these last names.
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")


def missing(layers: Iterable[str]) -> tuple[str, ...]:
    """Returns the layers below the minimum that these lack; empty where they suffice."""
    present = set(layers)
    lacking = [layer for layer in MINIMUM if layer not in present]
    if not present.intersection(FILE_WALLS):
        lacking.append(" or ".join(FILE_WALLS))
    return tuple(lacking)


def absent(layers: Iterable[str]) -> tuple[str, ...]:
    """Returns the layers of a usual jail that these lack, below the minimum or not."""
    present = set(layers)
    return tuple(layer for layer in USUAL if layer not in present)


def readable_paths() -> tuple[str, ...]:
    """Returns what the guest may read: the interpreter's own files, and the random device.

    The standard library, the installed packages, and the folders of the shared libraries that
    are loaded. The package of evo_clrs itself is not needed: it is loaded already.
    """
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    folders.update(p for p in sys.path if os.path.basename(p) in _PACKAGE_FOLDERS)
    folders.update(p for p in sys.path if p.startswith(sys.base_prefix) and p.endswith(".zip"))
    folders.update(_library_folders())
    paths = folders | {"/etc/ld.so.cache", "/dev/urandom"}
    existing = {path for path in paths if path and os.path.exists(path)}
    return tuple(sorted(existing | {os.path.realpath(path) for path in existing}))


def _library_folders() -> set[str]:
    """Folders that shared libraries were loaded from."""
    with open("/proc/self/maps") as file:
        mapped = {line.split(maxsplit=5)[5].strip() for line in file if line.count("/")}
    return {os.path.dirname(path) for path in mapped if ".so" in os.path.basename(path)}


def confine(
    limits: Limits,
    readable: Sequence[str],
    entered: Sequence[str],
    clean: bool,
    without: Sequence[str] = (),
) -> tuple[str, ...]:
    """Confines this process; there is no way back.

    Args:
      limits: resource limits to set.
      readable: files and folders that stay readable.
      entered: namespaces that were entered when it was forked (`namespaces.enter`).
      clean: whether the warm process was started with our environment and nothing else.
      without: which of `SWITCHES` to leave out, to see what the jail does without.

    Returns:
      The layers in force, as `Jail.layers` gives them.
    """
    layers = ["clean_exec"] if clean and "clean_exec" not in without else []
    mapped = _mapped_bytes()  # while there is a /proc
    inside = (*entered, *namespaces.isolate(readable)) if entered else ()
    layers += [f"{name}_namespace" for name in inside]
    with contextlib.suppress(OSError, ValueError):
        _demand("rlimits", without)
        _limit_resources(limits, mapped, own_user="user" in inside)
        layers.append("rlimits")
    with contextlib.suppress(OSError):
        linux.drop_capabilities()
        layers.append("no_capabilities")
    with contextlib.suppress(OSError, ValueError):
        _demand("no_new_privs", without)
        linux.prctl(linux.PR_SET_DUMPABLE, 0)
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        layers.append("no_new_privs")
    # Changing credentials clears it, so it comes after that.
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError, ValueError):
        _demand("landlock", without)
        layers += ["landlock", f"landlock_abi_{landlock.restrict(readable)}"]
    walled = bool(set(FILE_WALLS).intersection(layers))
    with contextlib.suppress(OSError, ValueError):
        _demand("seccomp", without)
        seccomp.install(files=walled)
        layers += ["seccomp"] if walled else ["seccomp", "seccomp_no_files"]
    return tuple(layers)


def _demand(layer: str, without: Sequence[str]) -> None:
    """Fails as a kernel does that lacks a layer, where it is to be left out."""
    if layer in without:
        raise OSError(errno.ENOSYS, f"{layer} is left out")


# The whole environment of the warm process: nothing of the parent's.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",  # never an accelerator
    "JAX_TRACEBACK_FILTERING": "off",  # line numbers are found by the child itself
    "JAX_TRACEBACK_IN_LOCATIONS_LIMIT": "0",  # no paths of this machine in a graph
    "MALLOC_ARENA_MAX": "2",  # address space is limited, and each arena reserves 64 MiB of it
    "NPROC": "1",  # threads of XLA's CPU client
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # a program that iterates over a set gives the same graph every time
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def is_clean_environment() -> bool:
    """Whether this process has `ENVIRONMENT` (the C locale's coercion adds one) and no more."""
    return {**os.environ, "LC_CTYPE": ""} == {**ENVIRONMENT, "LC_CTYPE": ""}


def _mapped_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _limit_resources(limits: Limits, mapped: int, own_user: bool) -> None:
    """Sets resource limits, hard ones, so that they cannot be raised again."""
    # The keeper watches CPU time more finely; this is the wall behind it.
    whole_seconds = int(limits.cpu_seconds) + 1
    values = {
        resource.RLIMIT_CPU: whole_seconds,
        resource.RLIMIT_AS: mapped + limits.memory_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if own_user:  # counted within the namespace: elsewhere other work of the user would count
        values[resource.RLIMIT_NPROC] = limits.processes + 1  # and the keeper
    for which, value in values.items():
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # SIGXCPU comes first and says by its name why, a kill by the kernel follows.
        spare = which == resource.RLIMIT_CPU and value != hard
        resource.setrlimit(which, (value, value + spare))
