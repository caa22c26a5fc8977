"""Keeps a reply of edits to edits that fit, as it is written.

A small model knows what it wants to change and slips when it copies: one wrong name in thirty, and
the edit fits nowhere or uses what is not there. So a token is let through only if

- lines to search for still stand in the program edited, and end only where they stand at one place;
- a line in their place uses names that stand there, and ends as a whole statement;
- the reply ends with a program that differs from what it edits, uses no name that is not there, and
  is not sure to fail by its shapes, as far as the grammar's rules tell; as long as it is, the next
  edit is of the first line at fault.

All else is the model's own, and among what is let through it chooses by its own probabilities.

References: constrained decoding, e.g. Scholak, Schucher, Bahdanau, "PICARD: Parsing Incrementally
for Constrained Auto-Regressive Decoding from Language Models", EMNLP 2021,
https://arxiv.org/abs/2109.05093.
"""

import collections
import dataclasses
import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any

from evo_clrs import program
from evo_clrs.proposers import patches, statements
from evo_clrs.proposers.grammar import shapes
from evo_clrs.proposers.grammar.values import ShapeError
from evo_clrs.slots import SLOTS, Slot

_SEARCH = "<" * 7 + " SEARCH"
_MIDDLE = "=" * 7 + "\n"
_REPLACE = ">" * 7 + " REPLACE"
_NUMBER = re.compile(r" ?(\d{1,3})\b")
_SAMPLE = "    z_1 = hk.Linear(self.out_size)(z) + 1.5\n\n<<<<<<< SEARCH\n=======\n"
_MOST_EDITS = 8  # of a reply that is guided; beyond, it may end as it is


class Pieces:
    """The tokens of a tokenizer as texts; none where texts of tokens do not join to the whole."""

    def __init__(self, tokenizer: Any):
        """Decodes every token."""
        texts = [_text(tokenizer, token) for token in range(len(tokenizer))]
        tokens = tokenizer(_SAMPLE, add_special_tokens=False)["input_ids"]
        joined = "".join(texts[token] for token in tokens) == _SAMPLE
        self.ends = frozenset(tokenizer.all_special_ids)
        self.texts = texts if joined else []
        self.longest = max(map(len, self.texts), default=0)
        self._by_letter: dict[str, list[int]] = collections.defaultdict(list)
        for token, text in enumerate(self.texts):
            if text and token not in self.ends:
                self._by_letter[text[0]].append(token)

    def starting(self, wanted: str, beyond: bool = False) -> Iterator[int]:
        """Yields the tokens that a text starts with, or, `beyond`, that start with all of it."""
        for token in self._by_letter.get(wanted[:1], ()):
            text = self.texts[token]
            if wanted.startswith(text) or beyond and text.startswith(wanted):
                yield token


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where in a reply the next token stands.

    Attributes:
      lines: of the program, after the edits before this one.
      known: names that are taken to stand in it.
      searched: what was written of the lines to search for, from the mark on; None outside.
      written: what was written of the lines in their place; None outside.
      edits: how many edits are whole.
      changed: whether these change anything.
      broken: the first line that cannot stay as it is, None if all can.
    """

    lines: tuple[str, ...]
    known: frozenset[str]
    searched: str | None
    written: str | None
    edits: int
    changed: bool
    broken: int | None


class Guide:
    """Says which tokens may follow a reply that goes on from `patches.OPENING`."""

    def __init__(
        self, pieces: Pieces, programs: Sequence[str], slot: Slot, told: Sequence[str] = ()
    ):
        """Takes the programs that edits may apply to, in the order of their numbers.

        Args:
          pieces: tokens of the model.
          programs: sources, of which the bare text is edited (`program.bare`).
          slot: what they fill.
          told: what a reply says after the number of each program; where it is empty, or there are
            none, what the model likes.
        """
        self._pieces = pieces
        self._told = told
        self._programs = programs
        self._slot = slot.name
        self._searching: tuple[_Place | None, frozenset[int]] = None, frozenset()

    def admits(self, text: str, token: int) -> bool:
        """Whether a token may follow what was written up to now."""
        place = self._place(text)
        if place is None:
            left = self._untold(text)
            piece = self._pieces.texts[token] if left else ""
            return not left or bool(piece) and (left.startswith(piece) or piece.startswith(left))
        if place.written is not None:
            piece = self._pieces.texts[token]
            return token not in self._pieces.ends and _writing(place).may_follow(piece)
        if place.searched is not None:
            return token in self._following(place)
        return token not in self._pieces.ends or _may_end(place)

    def _untold(self, text: str) -> str:
        """Returns what a reply has yet to say of the program that it edits."""
        named = _NUMBER.match(text)
        if not self._pieces.texts or named is None or not 0 < int(named[1]) <= len(self._told):
            return ""
        told = self._told[int(named[1]) - 1]
        written = text[named.end() :]
        return told[len(written) :] if told.startswith(written) else ""

    def _following(self, place: _Place) -> frozenset[int]:
        """Returns the tokens that may follow within lines to search for."""
        if place is not self._searching[0]:
            self._searching = place, frozenset(_following(place, self._pieces))
        return self._searching[1]

    def _place(self, text: str) -> _Place | None:
        """Returns where the next token stands, None where anything may follow."""
        named = _NUMBER.match(text)
        if not self._pieces.texts or named is None:
            return None
        if not 0 < int(named[1]) <= len(self._programs):
            return None
        return _place(self._programs[int(named[1]) - 1], text, self._slot)


@functools.lru_cache(maxsize=1024)
def _place(source: str, text: str, slot: str) -> _Place | None:
    before, mark, after = text.rpartition(_SEARCH)
    if not mark:
        return None
    searched, middle, written = after.partition("\n" + _MIDDLE)
    whole = bool(middle) and _REPLACE in written
    edited = _edited(source, text if whole else before)
    if edited is None:
        return None
    lines, edits = edited
    known = statements.unknown(source)
    return _Place(
        lines=lines,
        known=known,
        searched=None if whole else searched,
        written=written if middle and not whole else None,
        edits=edits,
        changed=edits > 0 and edited[:1] != (_edited(source, "") or ())[:1],
        broken=_broken(lines, known, slot) if edits else None,
    )


@functools.lru_cache(maxsize=1024)
def _broken(lines: tuple[str, ...], known: frozenset[str], slot: str) -> int | None:
    """Returns the first line whose names do not stand, or else whose shapes are sure not to do."""
    broken = statements.first_unread(lines)
    if broken is None:
        broken = statements.first_broken(lines, known)
    if broken is not None:
        return broken
    try:
        line = shapes.first_misfit(program.parse("\n".join(lines)), SLOTS[slot])
    except (ValueError, ShapeError, RecursionError, KeyError):
        return None
    return None if line is None else line - 1


@functools.lru_cache(maxsize=1024)
def _edited(source: str, text: str) -> tuple[tuple[str, ...], int] | None:
    """Returns the lines of a program after the edits in a text, and how many these are.

    None where they do not fit, or the source is no program.
    """
    try:
        edits = patches.read(text)
        return tuple(patches.apply(edits, [_bare(source)]).rstrip("\n").split("\n")), len(edits)
    except ValueError:
        return None


@functools.lru_cache(maxsize=256)
def _bare(source: str) -> str:
    return program.bare(source)


def _may_end(place: _Place) -> bool:
    """Whether a reply may end after its edits."""
    if place.edits >= _MOST_EDITS:
        return True
    return place.changed and place.broken is None


def _following(place: _Place, pieces: Pieces) -> Iterator[int]:
    """Yields the tokens that leave search lines that stand among the program's."""
    typed, lines = place.searched or "", place.lines
    ends = typed.rfind("\n") + 1
    if typed[ends:].startswith("="):  # within the mark that ends the lines
        yield from pieces.starting(_MIDDLE[len(typed) - ends :], beyond=True)
        return
    for start, line in enumerate(lines):
        if not line.strip() or place.broken not in (None, start):
            continue
        whole = "\n" + "\n".join(lines[start:]) + "\n"
        if not whole.startswith(typed):
            continue
        yield from pieces.starting(whole[len(typed) :])
        for end in _line_ends(whole, len(typed)):
            # A token may go on from a line's end to the mark and beyond.
            if len(_places(lines, whole[1 : end - 1].split("\n"))) == 1:
                yield from pieces.starting(whole[len(typed) : end] + _MIDDLE, beyond=True)
            if end > len(typed) + pieces.longest:
                break


def _line_ends(text: str, start: int) -> Iterator[int]:
    """Yields the places after each line end of a text, from `start` on, the first letter's not."""
    place = max(start, 1)
    if text[place - 1] == "\n" and place > 1:
        yield place
    while (found := text.find("\n", place)) >= 0:
        place = found + 1
        yield place


class _Writing:
    """Lines that are written in the place of others."""

    def __init__(self, place: _Place):
        assert place.searched is not None and place.written is not None
        found = _places(place.lines, place.searched[1:].split("\n"))
        *whole, self._last = place.written.split("\n")
        self._above = (*place.lines[: found[0] if found else 0], *whole)
        self._known = place.known
        self._keyword_names = statements.keywords("\n".join(place.lines))

    def may_follow(self, piece: str) -> bool:
        """Whether a text may follow."""
        *whole, last = (self._last + piece).split("\n")
        above = self._above
        for line in whole:
            if line.startswith(">"):
                return line == _REPLACE
            if line.strip() and not statements.is_whole(line, self._names(above, line)):
                return False
            above = (*above, line)
            if statements.first_unread(above) is not None:
                return False
        if last.startswith(">"):
            return _REPLACE.startswith(last)
        return statements.may_go_on(last, self._names(above, last), self._keyword_names)

    def _names(self, above: tuple[str, ...], line: str) -> frozenset[str]:
        return _standing(above, len(line) - len(line.lstrip(" ")), self._known)


@functools.lru_cache(maxsize=256)
def _writing(place: _Place) -> _Writing:
    return _Writing(place)


@functools.lru_cache(maxsize=1024)
def _standing(above: tuple[str, ...], indent: int, known: frozenset[str]) -> frozenset[str]:
    return statements.visible(above, indent) | known


def _places(lines: Sequence[str], searched: Sequence[str]) -> list[int]:
    """Returns where lines stand among others, wherever they are indented to."""
    wanted = "\n".join(line.strip() for line in searched).strip("\n").split("\n")
    stripped = [line.strip() for line in lines]
    places = range(len(lines) - len(wanted) + 1)
    return [at for at in places if stripped[at : at + len(wanted)] == wanted]


def _text(tokenizer: Any, token: int) -> str:
    return tokenizer.decode([token], clean_up_tokenization_spaces=False)
