"""What a program may use while it is traced."""

import dataclasses
import math

_MEBIBYTE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of one child of the jail; at any of them all its processes are killed.

    Attributes:
      cpu_seconds: CPU time over all threads.
      wall_seconds: time from the request on.
      memory_bytes: memory it may map beyond what the warm process had when it was forked.
      processes: processes and threads alive at once.
      output_bytes: size of its reply, most of which is the exported graph.
      open_files: file descriptors open at once.

    Raises:
      ValueError: a limit is not a positive number, or too small to trace anything within it.
    """

    cpu_seconds: float = 20.0
    wall_seconds: float = 30.0
    memory_bytes: int = 3 << 30
    processes: int = 64
    output_bytes: int = 64 << 20
    open_files: int = 64

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            whole = field.type is int
            if not isinstance(value, int if whole else (int, float)) or isinstance(value, bool):
                kind = "a whole number" if whole else "a number"
                raise ValueError(f"{field.name}: expected {kind}, got {value!r}")
            if not math.isfinite(value) or value <= 0:
                raise ValueError(f"{field.name}: expected a positive number, got {value!r}")
        for name, least in (("memory_bytes", 64 * _MEBIBYTE), ("open_files", 8)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected at least {least}, got {getattr(self, name)}")


def amount(size: float) -> str:
    """Returns a number of bytes for people, e.g. `3 GiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", _MEBIBYTE), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:g} bytes"
