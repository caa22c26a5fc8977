"""Keeps the search lines of edits to lines that stand in the program edited, as they are written.

A small model knows what it wants to change and slips when it copies: one wrong name in thirty, and
the edit fits nowhere. So at each token of the lines to search for, only tokens are let through with
which they still stand in the program, and the lines may end only where they stand at one place.
All else is the model's own, and among what is let through it chooses by its own probabilities.

References: constrained decoding, e.g. Scholak, Schucher, Bahdanau, "PICARD: Parsing Incrementally
for Constrained Auto-Regressive Decoding from Language Models", EMNLP 2021,
https://arxiv.org/abs/2109.05093.
"""

import collections
import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any

from evo_clrs import program
from evo_clrs.proposers import patches

_SEARCH = "<" * 7 + " SEARCH"
_MIDDLE = "=" * 7 + "\n"
_NUMBER = re.compile(r" ?(\d{1,3})\b")
_SAMPLE = "    z_1 = hk.Linear(self.out_size)(z) + 1.5\n\n<<<<<<< SEARCH\n=======\n"


class Pieces:
    """The tokens of a tokenizer as texts; none where texts of tokens do not join to the whole."""

    def __init__(self, tokenizer: Any):
        """Decodes every token."""
        self._by_letter: dict[str, list[tuple[int, str]]] = collections.defaultdict(list)
        texts = [_text(tokenizer, token) for token in range(len(tokenizer))]
        tokens = tokenizer(_SAMPLE, add_special_tokens=False)["input_ids"]
        if "".join(texts[token] for token in tokens) == _SAMPLE:
            for token, text in enumerate(texts):
                if text and token not in tokenizer.all_special_ids:
                    self._by_letter[text[0]].append((token, text))
        self.longest = max((len(text) for _, text in self), default=0)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        for group in self._by_letter.values():
            yield from group

    def starting(self, wanted: str, beyond: bool = False) -> Iterator[int]:
        """Yields the tokens that a text starts with, or, `beyond`, that start with all of it."""
        for token, text in self._by_letter.get(wanted[:1], ()):
            if wanted.startswith(text) or beyond and text.startswith(wanted):
                yield token


class Guide:
    """Says which tokens may follow a reply that goes on from `patches.OPENING`."""

    def __init__(self, pieces: Pieces, programs: Sequence[str]):
        """Takes the programs that edits may apply to, in the order of their numbers.

        Args:
          pieces: tokens of the model.
          programs: sources, of which the bare text is edited (`program.bare`).
        """
        self._pieces = pieces
        self._programs = programs

    def allowed(self, text: str) -> Sequence[int] | None:
        """Returns the tokens that may come next, None where any may.

        Args:
          text: what was written up to now.
        """
        before, mark, typed = text.rpartition(_SEARCH)
        if not self._pieces.longest or not mark or "\n" + _MIDDLE in typed:
            return None
        lines = self._lines(before)
        if not lines:
            return None
        found = set(self._following(lines, typed))
        return sorted(found) or None

    def _following(self, lines: Sequence[str], typed: str) -> Iterator[int]:
        """Yields the tokens that leave search lines that stand among lines."""
        ends = typed.rfind("\n") + 1
        if typed[ends:].startswith("="):  # within the mark that ends the lines
            yield from self._pieces.starting(_MIDDLE[len(typed) - ends :], beyond=True)
            return
        for start, line in enumerate(lines):
            if not line.strip():
                continue
            whole = "\n" + "\n".join(lines[start:]) + "\n"
            if not whole.startswith(typed):
                continue
            rest = whole[len(typed) :]
            yield from self._pieces.starting(rest)
            for end in _line_ends(whole, len(typed)):
                # A token may go on from a line's end to the mark and beyond.
                if _count(lines, whole[1 : end - 1].split("\n")) == 1:
                    wanted = whole[len(typed) : end] + _MIDDLE
                    yield from self._pieces.starting(wanted, beyond=True)
                if end > len(typed) + self._pieces.longest:
                    break

    def _lines(self, before: str) -> list[str]:
        """Returns the lines of the program that is edited, after the edits that were written."""
        named = _NUMBER.match(before)
        if named is None or not 0 < int(named[1]) <= len(self._programs):
            return []
        return _edited(self._programs[int(named[1]) - 1], before)


@functools.lru_cache(maxsize=256)
def _edited(source: str, before: str) -> list[str]:
    try:
        text = program.bare(source)
        return patches.apply(patches.read(before), [text]).rstrip("\n").split("\n")
    except ValueError:
        return []


def _line_ends(text: str, start: int) -> Iterator[int]:
    """Yields the places after each line end of a text, from `start` on, the first letter's not."""
    place = max(start, 1)
    if text[place - 1] == "\n" and place > 1:
        yield place
    while (found := text.find("\n", place)) >= 0:
        place = found + 1
        yield place


def _count(lines: Sequence[str], searched: Sequence[str]) -> int:
    """Returns at how many places lines stand among others, wherever they are indented to."""
    wanted = "\n".join(line.strip() for line in searched).strip("\n").split("\n")
    stripped = [line.strip() for line in lines]
    places = range(len(lines) - len(wanted) + 1)
    return sum(stripped[at : at + len(wanted)] == wanted for at in places)


def _text(tokenizer: Any, token: int) -> str:
    return tokenizer.decode([token], clean_up_tokenization_spaces=False)
