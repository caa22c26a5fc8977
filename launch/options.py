"""Flags from frozen dataclasses: name, type, default and help of a flag stand in one place.

An options dataclass documents each field in the Attributes section of its docstring; the same
sentence is the flag's help. Fields are int, float, bool, str, or tuples of int, float or str.
"""

import contextlib
import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from absl import flags

from evo_clrs.errors import UserError

_SCALARS: dict[Any, Callable[..., Any]] = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
    str: flags.DEFINE_string,
}


def define(*options: type, owner: str = "", without: Collection[str] = ()) -> None:
    """Defines a flag for each field of options dataclasses, but for those named in `without`.

    Where several have a field of one name, the first gives the flag; a later one whose default
    differs adds a line with it to the help, and `read` gives each its own default.
    """
    for kind in options:
        _define(kind, owner, without)


def _define(options: type, owner: str, without: Collection[str]) -> None:
    helps = field_help(options)
    types = typing.get_type_hints(options)
    for field in dataclasses.fields(options):
        if field.name in without:
            continue
        if field.name in flags.FLAGS:
            flag = flags.FLAGS[field.name]
            shown = list(field.default) if isinstance(field.default, tuple) else field.default
            if owner and shown != flag.default and f"\n{owner}: " not in (flag.help or ""):
                flag.help = f"{flag.help}\n{owner}: {_shown(field.default)}"
            continue
        kind = types[field.name]
        if typing.get_origin(kind) is tuple:
            default = [str(value) for value in typing.cast(tuple, field.default)]
            flags.DEFINE_list(field.name, default, helps[field.name])
        else:
            _SCALARS[kind](field.name, field.default, helps[field.name])


def read(*options: type, without: Collection[str] = ()) -> dict[str, Any]:
    """Returns what the flags say of every field of these dataclasses, by name.

    Fields named in `without` are left out.

    A flag that was not given stands for the dataclass's own default.

    Raises:
      flags.Error: an entry of a list has the wrong type, or a dataclass refuses its values.
    """
    values: dict[str, Any] = {}
    for kind in options:
        types, own = typing.get_type_hints(kind), {}
        for field in dataclasses.fields(kind):
            if field.name in without:
                continue
            value: Any = flags.FLAGS[field.name].value
            if not flags.FLAGS[field.name].present:
                value = field.default
            elif typing.get_origin(types[field.name]) is tuple:
                value = _entries(field.name, value, typing.get_args(types[field.name])[0])
            own[field.name] = value
        with checked():
            kind(**own)
        values |= own
    return values


@contextlib.contextmanager
def checked() -> Iterator[None]:
    """Turns a complaint about what flags say into that of a bad flag, for its exit code."""
    try:
        yield
    except UserError as error:
        raise flags.Error(str(error)) from error


def unused(*options: type) -> list[str]:
    """Returns the flags given that are fields of other options than these, in order of name."""
    names = {field.name for kind in options for field in dataclasses.fields(kind)}
    defined = flags.FLAGS.flags_by_module_dict().get(__name__, [])  # by `define` alone
    return sorted(flag.name for flag in defined if flag.present and flag.name not in names)


def as_flags(values: Mapping[str, Any]) -> str:
    """Returns a flagfile that gives these values."""
    lines = []
    for name, value in sorted(values.items()):
        if isinstance(value, bool):
            lines.append(f"--{name}" if value else f"--no{name}")
        else:
            lines.append(f"--{name}={_shown(value)}")
    return "\n".join(lines) + "\n"


def field_help(options: type) -> dict[str, str]:
    """Returns what the docstring's Attributes section says of each field, in one line.

    Fields that a dataclass inherits may be documented where they come from.
    """
    told: dict[str, str] = {}
    for kind in reversed(options.__mro__[:-1]):
        text = inspect.cleandoc(kind.__doc__ or "")
        section = text.partition("Attributes:\n")[2].partition("\nRaises:")[0]
        entries = re.findall(r"^  (\w+): (.*(?:\n    +\S.*)*)", section, flags=re.MULTILINE)
        told |= {name: " ".join(about.split()) for name, about in entries}
    helps = {name: about[:1].upper() + about[1:] for name, about in told.items()}
    missing = [f.name for f in dataclasses.fields(options) if f.name not in helps]
    if missing:
        raise ValueError(f"{options.__name__} does not document {', '.join(missing)}")
    return helps


def _shown(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _entries(name: str, values: list[str], kind: type) -> tuple[Any, ...]:
    try:
        return tuple(kind(value) for value in values)
    except ValueError:
        raise flags.IllegalFlagValueError(
            f"flag --{name}={','.join(values)}: expected {kind.__name__} values with commas"
        ) from None
