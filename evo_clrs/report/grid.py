"""Tables as plain data: shown in a terminal, or kept as Markdown with JSON and a plot."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import rich.console
import rich.table

from evo_clrs.report.text import clean, for_terminal, line
from evo_clrs.store import files

_LONGEST = 2000  # letters of a caption or a command
_MARKUP = re.compile(r"[\\|`*\[\]]|\b_|_\b")  # underscores within words are none
_WIDE = 170  # letters of a line where no terminal says how many


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
      title: its heading.
      caption: what a reader must know to read it.
      headings: one for each column.
      rows: one text for each column.
      texts: how many columns at the left are texts; the others are numbers.
    """

    title: str
    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Tables with what belongs to them.

    Attributes:
      name: name of its files.
      grids: the tables.
      notes: what else a reader must know, one sentence each.
      commands: what would train what is missing.
      data: all of it as plain data.
      plot: text of an SVG file, empty for none.
    """

    name: str
    grids: Sequence[Grid]
    notes: Sequence[str]
    commands: Sequence[str]
    data: Mapping[str, Any]
    plot: str = ""


def show(sheet: Sheet, console: rich.console.Console | None = None) -> None:
    """Prints a sheet; to standard output if no console is given."""
    console = console or _console()
    for grid in sheet.grids:
        console.print(_in_terminal(grid))
        console.print()
    for note in sheet.notes:
        console.print(f"note: {for_terminal(note, _LONGEST)}", highlight=False, soft_wrap=True)
    if sheet.commands:
        console.print("to train what is missing:", highlight=False)
    for command in sheet.commands:  # whole on one line, so that it can be copied
        console.print(f"  {for_terminal(command, _LONGEST)}", highlight=False, soft_wrap=True)


def _console() -> rich.console.Console:
    """Returns standard output, wide where it is no terminal but a file or another program."""
    console = rich.console.Console()
    return console if console.is_terminal else rich.console.Console(width=_WIDE)


def keep(sheet: Sheet, folder: Path) -> None:
    """Writes a sheet to a folder that exists, as `NAME.md`, `NAME.json` and `NAME.svg`.

    Raises:
      UserError: a file cannot be written.
    """
    if sheet.plot:
        files.write_atomically(folder / f"{sheet.name}.svg", sheet.plot)
    files.write_atomically(folder / f"{sheet.name}.md", in_markdown(sheet))
    files.write_atomically(folder / f"{sheet.name}.json", json.dumps(sheet.data, indent=1) + "\n")


def in_markdown(sheet: Sheet) -> str:
    """Returns a sheet in Markdown; captions stand below their tables."""
    parts = [_grid_in_markdown(grid) for grid in sheet.grids]
    if sheet.plot:
        parts.append(f"![{sheet.name}]({sheet.name}.svg)")
    if sheet.notes:
        parts.append("\n".join(f"- {_cell(note)}" for note in sheet.notes))
    if sheet.commands:
        commands = "\n".join(
            line(command, _LONGEST).replace("`", "'") for command in sheet.commands
        )
        parts.append(f"To train what is missing:\n\n```\n{commands}\n```")
    return "\n\n".join(parts) + "\n"


def _in_terminal(grid: Grid) -> rich.table.Table:
    table = rich.table.Table(
        title=for_terminal(grid.title),
        title_justify="left",
        title_style="bold",
        caption=for_terminal(grid.caption, _LONGEST) or None,
        caption_justify="left",
    )
    for place, heading in enumerate(grid.headings):
        table.add_column(
            heading, justify="right" if place >= grid.texts else "left", overflow="fold"
        )
    for row in grid.rows:
        table.add_row(*map(for_terminal, row))
    return table


def _grid_in_markdown(grid: Grid) -> str:
    marks = [":--" if place < grid.texts else "--:" for place in range(len(grid.headings))]
    lines = [f"**{_cell(grid.title)}**", "", _joined(map(_cell, grid.headings)), _joined(marks)]
    lines += [_joined(map(_cell, row)) for row in grid.rows]
    return "\n".join([*lines, "", _cell(grid.caption)] if grid.caption else lines)


def _joined(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    """Returns the text so that what someone wrote can neither end a cell nor act as markup."""
    text = line(clean(text), _LONGEST)
    return _MARKUP.sub(r"\\\g<0>", text).replace("<", "&lt;")
