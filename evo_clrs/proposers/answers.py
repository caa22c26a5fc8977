"""What a language model should have written: a program as the reply that it would be.

A model is trained and tuned on its own way to answer. Where a prompt ends with the slot's opening
the reply is the program from there; where it ends with the opening of edits, the reply says which
program is edited and how:

    # Program 2, parameters x 0.85
    # depth: 1 layer less in a row
    <<<<<<< SEARCH
    ...
"""

import functools
import itertools
import re
from collections.abc import Sequence

from evo_clrs import program
from evo_clrs.proposers import patches
from evo_clrs.proposers.base import Lesson
from evo_clrs.slots import Slot

_MODULE_NAME = re.compile(r"(?<=\bname: str=)'\w*'")


def answer(lesson: Lesson, slot: Slot) -> str:
    """Returns the reply that gives a lesson's program, "" if no reply to its prompt does.

    Args:
      lesson: the program and what was asked; edits tell the ratio of its counts and its changes,
        where these are known.
      slot: what programs fill.
    """
    if lesson.prompt.endswith(patches.OPENING):
        return edited(lesson.source, lesson.parents, lesson.counts, lesson.changes)
    _, opening, body = lesson.source.partition(slot.opening)
    return opening + body


def edited(
    source: str,
    parents: Sequence[str],
    counts: Sequence[float] = (),
    changes: Sequence[str] = (),
) -> str:
    """Returns a program as edits of the parent that is nearest in text, "" if they are none.

    Args:
      source: the program.
      parents: those that a prompt shows, in order.
      counts: parameters of the models with each parent and with the program, in this order; the
        reply tells the ratio where they are given.
      changes: what the reply says of them, a line each.
    """
    texts = [_edits(source, parent) for parent in parents]
    found = [(len(text), number, text) for number, text in enumerate(texts) if text]
    if not found:
        return ""
    _, number, text = min(found)
    ratio = told(counts[-1] / counts[number]) if counts else ""
    lines = "".join(f"# {change}\n" for change in changes)
    return f" {number + 1}{ratio}\n{lines}{text}"


def told(ratio: float) -> str:
    """Returns how a reply says what share of its parent's parameters its program has."""
    return f", parameters x {ratio:.2f}"


def changes(reply: str) -> tuple[str, ...]:
    """Returns what a reply says of its edits, a line each."""
    lines = itertools.takewhile(lambda line: line.startswith("# "), reply.splitlines()[1:])
    return tuple(line.removeprefix("# ") for line in lines)


@functools.lru_cache(maxsize=100_000)
def _edits(source: str, parent: str) -> str:
    """Returns a program as edits of another, "" where they are equal or no edits are found."""
    try:
        old, new = _bare(parent), _bare(source)
        return patches.write(patches.between(old, _like(old, new)))
    except ValueError:
        return ""


@functools.lru_cache(maxsize=100_000)
def _bare(source: str) -> str:
    return program.bare(source)


def _like(old: str, new: str) -> str:
    """Returns a program with the imports and the module's name of another.

    Imports that it lacks are added when the reply is read, and what a module is called by default
    is nothing to learn.
    """
    imports = [line for line in old.splitlines(True) if line.startswith("import ")]
    code = [line for line in new.splitlines(True) if not line.startswith("import ")]
    named = _MODULE_NAME.search(old)
    text = "".join([*imports, *code])
    return _MODULE_NAME.sub(lambda _: named[0], text, count=1) if named else text
