"""How results were trained: what differs from the published protocol, and how to get more alike."""

import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from evo_clrs.problems.clrs import setting
from evo_clrs.problems.clrs.options import UNRELATED, Options
from evo_clrs.problems.clrs.tasks import Protocol
from evo_clrs.results import Result

# What an option was where a result does not tell it.
_DEFAULTS = dataclasses.asdict(Options()) | dataclasses.asdict(Protocol())

# The published protocol: Velickovic et al. 2022 and Ibarz et al. 2022. Ours searches for less long.
PUBLISHED: Mapping[str, Any] = dataclasses.asdict(setting.Options()) | dataclasses.asdict(
    setting.FullProtocol()
)


def shaping(result: Result) -> dict[str, Any]:
    """Returns the options that shape a score; those that a result does not tell have defaults."""
    options = _DEFAULTS | dict(result.options)
    if result.precision:
        options["matmul_precision"] = result.precision
    return {name: _plain(value) for name, value in options.items() if name not in UNRELATED}


def differences(first: Result, second: Result) -> str:
    """Returns what options two trainings differ in, in words; empty for none."""
    ours, theirs = shaping(first), shaping(second)
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return ", ".join(
        f"{name} {_told(ours.get(name))} and {_told(theirs.get(name))}" for name in names
    )


def reduction(results: Iterable[Result]) -> str:
    """Returns what makes results of a reduced protocol so, in words; empty if all are of the full.

    Each option is told with all its values among these results, and that of the full protocol.
    """
    reduced = [result for result in results if not result.full_protocol]
    if not reduced:
        return ""
    found: dict[str, list[str]] = {}
    for result in reduced:
        for name, value in shaping(result).items():
            if name in PUBLISHED and value != _plain(PUBLISHED[name]):
                values = found.setdefault(name, [])
                if _told(value) not in values:
                    values.append(_told(value))
    told = [
        f"{name} {' or '.join(values)} (in full {_told(_plain(PUBLISHED[name]))})"
        for name, values in found.items()
    ]
    why = ", ".join(told) or "as its result lines say"
    return f"reduced protocol, not comparable with published scores: {why}"


@dataclasses.dataclass(frozen=True)
class Missing:
    """A training that was not done.

    Attributes:
      program: name of a packaged program, a file, or RUN:PROGRAM.
      task: the task.
      seeds: training seeds.
      flags: flags that set other options than the full protocol's.
    """

    program: str
    task: str
    seeds: tuple[int, ...]
    flags: tuple[str, ...] = ()


def flags_like(result: Result | None) -> tuple[str, ...]:
    """Returns the flags by which a training has the options of a result; none for no result."""
    shaped = {} if result is None else shaping(result)
    return tuple(
        _flag(name, value)
        for name, value in shaped.items()
        if name in PUBLISHED and value != _plain(PUBLISHED[name])
    )


def argument_of(result: Result) -> str:
    """Returns what launch.train was told to train: a path where the name is only its end."""
    try:
        words = shlex.split(result.command)
    except ValueError:
        return result.name
    run, _, which = result.name.rpartition(":")
    for word in words:
        if run and Path(word.rpartition(":")[0]).name == Path(run).name:
            return f"{word.rpartition(':')[0]}:{which}"
        if word == f"{Path(word).parent / result.name}.py" or word == f"{result.name}.py":
            return word
    return result.name


def commands(missing: Iterable[Missing]) -> tuple[str, ...]:
    """Returns the commands that do trainings; what differs in its task only shares a command."""
    tasks: dict[Missing, dict[str, None]] = {}
    for each in missing:
        tasks.setdefault(dataclasses.replace(each, task=""), {})[each.task] = None
    told = []
    for each, names in tasks.items():
        parts = ["python", "-m", "launch.train", each.program]
        parts += [f"--tasks={','.join(names)}", f"--seeds={','.join(map(str, each.seeds))}"]
        told.append(" ".join(map(shlex.quote, (*parts, *each.flags))))
    return tuple(told)


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    return f"--{name}={','.join(map(str, value)) if isinstance(value, list) else value}"


def _plain(value: Any) -> Any:
    """Returns the value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def _told(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
