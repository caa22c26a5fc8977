"""Search/replace edits: a reply that changes a program instead of writing it anew.

    <<<<<<< SEARCH
    lines exactly as they stand in the program
    =======
    lines to stand there instead
    >>>>>>> REPLACE

Spaces at line ends do not count, and where the search lines are all indented alike by more or less
than in the program, the replacement moves with them.
"""

import dataclasses
import difflib
import re
from collections.abc import Sequence

_SEARCH = re.compile(r"^[ \t]*<{5,} ?SEARCH[ \t]*$")
_MIDDLE = re.compile(r"^[ \t]*={5,}[ \t]*$")
_REPLACE = re.compile(r"^[ \t]*>{5,} ?REPLACE[ \t]*$")

# Where a prompt ends with this line, a reply goes on with the number of a program and its edits.
OPENING = "# Program\n"
_ENDED = re.compile(r"^>{5,} ?REPLACE[ \t]*\n(?=[^<\s])", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Edit:
    """One change.

    Attributes:
      search: lines that stand in the program; none to write at its end.
      replace: lines to stand there instead.
    """

    search: tuple[str, ...]
    replace: tuple[str, ...]


def marked(text: str) -> bool:
    """Whether a reply holds the mark of an edit."""
    return any(_SEARCH.match(line) or _REPLACE.match(line) for line in text.splitlines())


def read(text: str) -> list[Edit]:
    """Returns the edits of a reply, in order.

    Raises:
      ValueError: a mark is missing; the message says which, in one line.
    """
    edits: list[Edit] = []
    search: list[str] = []
    replace: list[str] = []
    at = "outside"
    for line in text.splitlines():
        number = len(edits) + 1
        if _SEARCH.match(line):
            if at != "outside":
                raise ValueError(f"edit {number}: a second SEARCH before its REPLACE")
            at, search, replace = "search", [], []
        elif at == "search" and _MIDDLE.match(line):
            at = "replace"
        elif _REPLACE.match(line):
            if at != "replace":
                raise ValueError(f"edit {number}: REPLACE without SEARCH and =======")
            edits.append(Edit(tuple(search), tuple(replace)))
            at = "outside"
        elif at == "search":
            search.append(line)
        elif at == "replace":
            replace.append(line)
    if at != "outside":
        raise ValueError(f"edit {len(edits) + 1}: it does not end with >>>>>>> REPLACE")
    return edits


def apply(edits: Sequence[Edit], programs: Sequence[str]) -> str:
    """Returns the first of the programs that all edits fit, edited.

    Raises:
      ValueError: they fit none; the message tells the trouble with the one that took most of them,
        in one line.
    """
    furthest, trouble = -1, "there is no program to edit"
    for source in programs:
        lines = source.strip("\n").splitlines()
        for number, edit in enumerate(edits):
            try:
                lines = _applied(edit, lines)
            except ValueError as error:
                if number > furthest:
                    furthest, trouble = number, f"edit {number + 1}: {error}"
                break
        else:
            return "\n".join(lines) + "\n"
    raise ValueError(trouble)


def between(old: str, new: str) -> list[Edit]:
    """Returns edits that turn one program into another, each with as few lines as it needs.

    Raises:
      ValueError: no edits can, as where a program is empty.
    """
    before, after = (text.strip("\n").splitlines() for text in (old, new))
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    return [_least(before, after, span) for kind, *span in matcher.get_opcodes() if kind != "equal"]


def write(edits: Sequence[Edit]) -> str:
    """Returns edits as text that `read` reads."""
    lines: list[str] = []
    for edit in edits:
        lines += ["<" * 7 + " SEARCH", *edit.search, "=" * 7, *edit.replace, ">" * 7 + " REPLACE"]
    return "".join(f"{line}\n" for line in lines)


def ended(text: str) -> bool:
    """Whether a text goes on with something else after an edit."""
    return _ENDED.search(text) is not None


def _least(before: Sequence[str], after: Sequence[str], span: Sequence[int]) -> Edit:
    """Returns one change, with the fewest lines around it that leave no doubt about its place.

    Args:
      before: lines of the old program, of which those above the change are like the new one's.
      after: lines of the new program.
      span: first line and end of the change, in the old program and in the new one.
    """
    start, end, new_start, new_end = span
    lines = [*after[:new_start], *before[start:]]
    wanted = [*after[:new_end], *before[end:]]
    below_most = len(before) - end
    for context in range(len(lines) + 1):
        for above in range(max(0, context - below_most), min(context, new_start) + 1):
            below = context - above
            search = (*after[new_start - above : new_start], *before[start : end + below])
            replace = (*after[new_start - above : new_end], *before[end : end + below])
            edit = Edit(search, replace)
            try:
                if _trimmed(search) and _applied(edit, lines) == wanted:
                    return edit
            except ValueError:
                continue
    raise ValueError("no edits turn one program into the other")


def _applied(edit: Edit, lines: list[str]) -> list[str]:
    search = _trimmed(edit.search)
    if not search:
        return [*lines, *edit.replace]
    places = [at for at in range(len(lines) - len(search) + 1) if _fits(search, lines, at)]
    if not places:
        first = next(line for line in search if line.strip())
        raise ValueError(f"its search lines are in no program shown: `{first.strip()[:60]}`")
    if len(places) > 1:
        raise ValueError(f"its search lines stand at {len(places)} places: add lines around them")
    (at,) = places
    shift = _indent(lines[at]) - _indent(search[0])
    return [
        *lines[:at],
        *(_shifted(line, shift) for line in edit.replace),
        *lines[at + len(search) :],
    ]


def _fits(search: Sequence[str], lines: Sequence[str], at: int) -> bool:
    shift = _indent(lines[at]) - _indent(search[0])
    pairs = zip(search, lines[at : at + len(search)], strict=True)
    return all(_shifted(wanted, shift).rstrip() == line.rstrip() for wanted, line in pairs)


def _trimmed(lines: Sequence[str]) -> Sequence[str]:
    """Returns the lines without empty ones at either end."""
    filled = [position for position, line in enumerate(lines) if line.strip()]
    return lines[filled[0] : filled[-1] + 1] if filled else ()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _shifted(line: str, shift: int) -> str:
    if not line.strip():
        return line
    return " " * shift + line if shift >= 0 else line[min(-shift, _indent(line)) :]
