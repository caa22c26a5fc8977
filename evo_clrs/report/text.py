"""Words and numbers for people; whatever a program or a model wrote is made harmless here."""

import html
import math
import re
import unicodedata
from collections.abc import Sequence

import rich.markup

from evo_clrs.records import Candidate

# Terminal sequences as a whole: control (colours, cursor), system (titles, links), two-character.
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b.|\x9b[0-?]*[ -/]*[@-~]",
    re.DOTALL,
)
_KEPT = "\n\t"
# Controls (escape sequences start with one), surrogates, and formats, which can turn text around.
_HARMFUL = frozenset(("Cc", "Cs", "Cf"))


def clean(text: str) -> str:
    """Returns the text without control characters, so without terminal sequences."""
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCE.sub("", text)
    return "".join(c for c in text if c in _KEPT or unicodedata.category(c) not in _HARMFUL)


def line(text: str, length: int = 160) -> str:
    """Returns the text as one clean line of at most `length` characters."""
    words = " ".join(clean(text).split())
    return words if len(words) <= length else words[: length - 1] + "…"


def for_html(value: object) -> str:
    """Returns the value's text, clean and escaped for HTML content and quoted attributes."""
    return html.escape(clean(str(value)), quote=True)


def for_terminal(value: object, length: int = 160) -> str:
    """Returns the value's text as one clean line that rich prints as it is."""
    return rich.markup.escape(line(str(value), length))


def number(value: float | int | None) -> str:
    """Returns a number as a person writes it: `11,448`, `0.8650`, `-1,204`, `1.2e-05`."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return str(float(value))
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.4f}" if 0.001 <= abs(value) < 10 else f"{value:.4g}"


def short(value: float) -> str:
    """Returns a number for an axis: `120k`, `1.5M`, `0.85`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Returns a span of time: `4.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def title(candidate: Candidate) -> str:
    """Returns what to call a candidate: the seed's name, or its number."""
    return line(candidate.name, 40) if candidate.name else f"#{candidate.index}"


def plural(count: int, noun: str) -> str:
    """Returns `1 program`, `2 programs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def joined(words: Sequence[str]) -> str:
    """Returns the words with commas, a dash for none."""
    return ", ".join(line(word, 60) for word in words) or "–"
