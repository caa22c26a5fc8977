"""Drawing in SVG: scales, axes and marks; colours come from the page's style sheet."""

import dataclasses
import math
from collections.abc import Sequence

from evo_clrs.report.style import SHEET
from evo_clrs.report.text import for_html, short

_GROUND = '<rect width="100%" height="100%" fill="var(--card)"/>'


@dataclasses.dataclass(frozen=True)
class Scale:
    """Maps values to positions.

    Attributes:
      low, high: range of values.
      start, end: their positions in pixels.
      log: whether equal ratios, not differences, are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Returns the position of a value, kept within the range."""
        low, high, value = (
            (math.log(self.low), math.log(self.high), math.log(max(value, self.low)))
            if self.log
            else (self.low, self.high, value)
        )
        share = (min(max(value, low), high) - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Returns round values within the range, about `count` of them."""
        if not self.log:
            return round_values(self.low, self.high, count)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
            found = [step * 10.0**power for power in powers for step in steps]
            found = [value for value in found if self.low <= value <= self.high]
            if len(found) >= 3:
                return found
        return round_values(self.low, self.high, count)


def round_values(low: float, high: float, count: int) -> list[float]:
    """Returns multiples of 1, 2 or 5 times a power of ten from low to high, about `count`."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(multiple * step, 12) for multiple in range(first, last + 1)]


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """Returns a range that holds the values with some room on both sides."""
    low, high = min(values), max(values)
    room = (high - low) * share or abs(high) * share or 1.0
    return low - room, high + room


def padded_log(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """Returns a range for a log scale that holds the positive values with some room."""
    low, high = padded([math.log(value) for value in values], share)
    return math.exp(low), math.exp(high)


def drawing(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    """Returns an inline SVG element that fills the width it is given."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{for_html(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def file(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    """Returns the text of an SVG file that carries its own style sheet and ground."""
    inner = drawing(width, height, label, [f"<style>{SHEET}</style>", _GROUND, *parts])
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    return inner.replace("<svg ", head, 1) + "\n"


def text(x: float, y: float, words: object, style: str = "", anchor: str = "start") -> str:
    """Returns a text element; style is a class name."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">'
        f"{for_html(words)}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """Returns a straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def path(places: Sequence[tuple[float, float]], style: str) -> str:
    """Returns a line through places."""
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return f'<path d="M{steps}" class="{style}"/>'


def dot(x: float, y: float, radius: float, style: str, tip: str) -> str:
    """Returns a disc with a tip that shows when it is pointed at."""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{style}">'
        f"<title>{for_html(tip)}</title></circle>"
    )


def diamond(x: float, y: float, radius: float, style: str, tip: str) -> str:
    """Returns a diamond with a tip."""
    corners = f"{x:.1f},{y - radius:.1f} {x + radius:.1f},{y:.1f} "
    corners += f"{x:.1f},{y + radius:.1f} {x - radius:.1f},{y:.1f}"
    return f'<polygon points="{corners}" class="{style}"><title>{for_html(tip)}</title></polygon>'


def axes(x: Scale, y: Scale, x_label: str, y_label: str) -> list[str]:
    """Returns grid lines, ticks and labels; the y label stands above the axis, unturned."""
    parts = []
    for value in y.ticks(5):
        parts.append(line(x.start, y(value), x.end, y(value), "grid"))
        parts.append(text(x.start - 8, y(value) + 4, _minus(short(value)), "tick", "end"))
    for value in x.ticks(6):
        parts.append(line(x(value), y.start, x(value), y.start + 5, "axis"))
        parts.append(text(x(value), y.start + 20, _minus(short(value)), "tick", "middle"))
    parts.append(line(x.start, y.start, x.end, y.start, "axis"))
    parts.append(text((x.start + x.end) / 2, y.start + 42, x_label, "label", "middle"))
    parts.append(text(4, y.end - 16, y_label, "label"))
    return parts


def _minus(words: str) -> str:
    return words.replace("-", "−")
