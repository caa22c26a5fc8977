"""Result lines from files and folders; a damaged line costs that line and is named."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from evo_clrs.errors import UserError
from evo_clrs.results import FILE, Result, from_line
from evo_clrs.store import files

_DAMAGED_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Read:
    """What was read.

    Attributes:
      results: the results, in order.
      notes: the lines passed over, one sentence each.
    """

    results: tuple[Result, ...]
    notes: tuple[str, ...]


def read(places: Sequence[Path]) -> Read:
    """Returns the results in files, and in all files `results.jsonl` within folders.

    Raises:
      UserError: a place is not there or cannot be read, a folder holds no such file, or there is
        not one good line in all.
    """
    results: list[Result] = []
    notes: list[str] = []
    paths = [path for place in places for path in _files(place)]
    for path in dict.fromkeys(path.resolve() for path in paths):
        good, bad = _read_file(path)
        results += good
        notes += bad
    if not results:
        shown = "; ".join(notes) or "no line in " + ", ".join(map(str, paths))
        raise UserError(f"nothing to compare: {shown}; train programs with launch.train")
    return Read(tuple(results), tuple(notes))


def _files(place: Path) -> Iterator[Path]:
    if place.is_dir():
        found = sorted(place.rglob(FILE))
        if not found:
            raise UserError(f"--results={place}: there is no {FILE} in this folder")
        yield from found
    elif place.exists():
        yield place
    else:
        raise UserError(f"--results={place}: there is no such file or folder")


def _read_file(path: Path) -> tuple[list[Result], list[str]]:
    """Returns the results of a file and what is wrong with its other lines."""
    with files.explaining(path):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    good: list[Result] = []
    bad: list[str] = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            good.append(from_line(text))
        except ValueError as error:
            bad.append(f"{path}, line {number} is damaged and passed over: {error}")
    return good, _shortened(path, bad)


def _shortened(path: Path, bad: list[str]) -> list[str]:
    more = len(bad) - _DAMAGED_SHOWN
    if more <= 0:
        return bad
    return [*bad[:_DAMAGED_SHOWN], f"{path}: {more} further lines are damaged and passed over"]
