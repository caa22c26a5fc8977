"""Where a program ends in what a language model goes on to write.

A model that continues a few-shot prompt does not stop after its program: it writes the next
docstring with metrics and the next program. The program ends where the text is back at the margin
with something that does not belong to it; what belongs are functions that it calls.
"""

import re

from evo_clrs import program
from evo_clrs.proposers import patches
from evo_clrs.slots import Slot

# A line end and the start of something at the margin, but for brackets that close and comments.
MARGIN = re.compile(r"\n(?=[^\s)\]}#])")
_CLOSED = re.compile(r"^```[^\n`]*\n(.*?)^```[ \t]*\n", re.MULTILINE | re.DOTALL)
_HELPER = re.compile(r"(?:def|class) (\w+)\b(?=\s*[(:])")
_UNFINISHED = re.compile(r"(?:d|de|def|def \w*|c|cl|cla|clas|class|class \w*)\Z")


def end(text: str, slot: Slot) -> int | None:
    """Returns where the program ends in a continuation of the slot's opening; None if it goes on.

    Args:
      text: what was written after the opening, up to now.
      slot: what the program must define.
    """
    for found in MARGIN.finditer(text):
        place = found.end()
        rest = text[place:]
        if _UNFINISHED.match(rest):
            return None
        helper = _HELPER.match(rest)
        if helper and helper[1] != slot.definition and _calls(text[:place], helper[1]):
            continue
        if _is_inside(slot.opening + text[:place]):
            continue
        return place
    return None


def ended(text: str, slot: Slot, opening: str) -> bool:
    """Whether a reply has come to the end of its program, so that nothing more is wanted.

    Args:
      text: what was written up to now.
      slot: what the program must define.
      opening: what it goes on from, the slot's opening or that of edits; where there is none it is
        an answer of its own, and ends with the fence after the definition or after an edit.
    """
    if opening == patches.OPENING:
        return patches.ended(text)
    if opening:
        return end(text.removeprefix("\n"), slot) is not None
    return any(
        re.search(rf"^(?:def|class) {slot.definition}\b|REPLACE[ \t]*$", block, re.MULTILINE)
        for block in _CLOSED.findall(text)
    )


def cut(text: str, slot: Slot) -> str:
    """Returns a continuation of the slot's opening up to the end of the program."""
    place = end(text, slot)
    return text if place is None else text[:place].rstrip() + "\n"


def without_prose(text: str, slot: Slot) -> str:
    """Returns the longest run of whole lines around the definition that is Python.

    Text that holds none is returned as it is: the static gate says what is wrong with it.
    """
    lines = text.strip("\n").splitlines()
    keyword = "class" if slot.kind == "class" else "def"
    start = re.compile(rf"{keyword} {slot.definition}\b")
    at = next(position for position, line in enumerate(lines) if start.match(line))
    last = next((n for n in range(len(lines), at, -1) if _is_python(lines[at:n])), None)
    if last is None:
        return text
    first = next(n for n in range(at + 1) if _is_python(lines[n:last]))
    return "\n".join(lines[first:last]) + "\n"


def _calls(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def _is_inside(text: str) -> bool:
    """Whether text ends inside a string of several lines: what follows is a part of that."""
    quotes = re.findall(r'"""|\'\'\'', re.sub(r"#[^\n\"']*\n", "\n", text))
    open_quote = ""
    for quote in quotes:
        if not open_quote:
            open_quote = quote
        elif quote == open_quote:
            open_quote = ""
    return bool(open_quote)


def _is_python(lines: list[str]) -> bool:
    try:
        program.parse("\n".join(lines))
    except ValueError:
        return False
    return True
