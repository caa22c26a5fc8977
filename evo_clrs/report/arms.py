"""Ways to search against each other, as tables and curves."""

import dataclasses
from collections.abc import Sequence

from evo_clrs.comparison.arms import Comparison, Curve, Row
from evo_clrs.report import svg
from evo_clrs.report.comparisons import p_value
from evo_clrs.report.grid import Grid, Sheet
from evo_clrs.report.text import number

_WIDTH, _HEIGHT, _TOP = 860, 330, 64
_LEFT, _RIGHT = 84, 560
_STYLES = 6  # of curves, in the style sheet


def sheet(comparisons: Sequence[Comparison], notes: Sequence[str] = ()) -> Sheet:
    """Returns comparisons, one for each problem, with their tables and curves."""
    return Sheet(
        name="proposers",
        grids=[_grid(comparison) for comparison in comparisons],
        notes=notes,
        commands=(),
        data={"problems": [dataclasses.asdict(comparison) for comparison in comparisons]},
        plot=_plot(comparisons),
    )


def _grid(comparison: Comparison) -> Grid:
    rows = []
    for row in comparison.rows:
        p, corrected, smallest = (
            "" if value is None else p_value(value)
            for value in (row.p, row.corrected, row.smallest)
        )
        rows.append(
            (
                row.arm,
                str(len(row.seeds)),
                number(row.mean),
                _between(row.interval),
                "baseline" if row.arm == comparison.baseline else _number(row.difference),
                _between(row.difference_interval),
                *(p, corrected, smallest),
                _number(row.detectable),
                _verdict(row),
            )
        )
    caption = (
        f"Best fitness among the first {comparison.budget} scored children of a run, mean "
        "over run seeds (higher is better); a score from the cache counts in full, seeds are no "
        "children. Intervals are percentile bootstrap ones of 95 %, too narrow with few runs. "
        f"difference: to {comparison.baseline}, paired by run seed. p: Wilcoxon's signed-rank "
        "test, two-sided; corrected p: Holm over the arms; least p: the smallest corrected p that "
        "so many pairs can give. detectable: the difference that a paired t test with these pairs "
        "and their spread finds with 80 % power at 0.05 over the arms."
    )
    headings = (
        *("arm", "runs", "best fitness", "95 % interval", "difference", "95 % interval"),
        *("p", "corrected p", "least p", "detectable", "verdict"),
    )
    return Grid(comparison.problem, caption, headings, rows)


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _between(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{number(interval[0])} to {number(interval[1])}"


def _verdict(row: Row) -> str:
    if row.corrected is None or row.smallest is None or row.difference is None:
        return ""
    if row.corrected <= 0.05:
        return "better" if row.difference > 0 else "worse"
    return "too few runs" if row.smallest > 0.05 else "not shown"


def _plot(comparisons: Sequence[Comparison]) -> str:
    """Returns the curves of all problems, one below the other, as an SVG file's text."""
    if not comparisons:
        return ""
    parts: list[str] = []
    for place, comparison in enumerate(comparisons):
        parts += _curves(comparison, _TOP + place * _HEIGHT)
    height = _HEIGHT * len(comparisons) + 24
    return svg.file(_WIDTH, height, "Best fitness so far, by arm", parts)


def _curves(comparison: Comparison, top: float) -> list[str]:
    """Returns the curves of a problem.

    The first children may be so bad that all else would be pressed into a line: values below all
    those after a quarter of the budget are shown at the lower edge.
    """
    early = comparison.budget // 4
    values = [
        value
        for curve in comparison.curves
        for bound in (curve.low, curve.high)
        for value in bound[early:] or bound
    ]
    x = svg.Scale(1, max(comparison.budget, 2), _LEFT, _RIGHT)
    y = svg.Scale(*svg.padded(values, 0.08), top + _HEIGHT - 120, top)
    parts = [svg.text(4, top - 40, comparison.problem, "strong")]
    parts += svg.axes(x, y, "scored children", "best fitness so far (mean, 95 % interval)")
    for number_, curve in enumerate(comparison.curves):
        parts += _drawn(curve, x, y, f"arm a{number_ % _STYLES}")
        at = top + 14 + 24 * number_
        parts.append(svg.path([(_RIGHT + 28, at - 4), (_RIGHT + 56, at - 4)], f"arm a{number_}"))
        parts.append(svg.text(_RIGHT + 64, at, curve.arm, "label"))
    return parts


def _drawn(curve: Curve, x: svg.Scale, y: svg.Scale, style: str) -> list[str]:
    """Returns a curve with the bounds of its interval."""
    parts = []
    for values, kind in ((curve.low, " bound"), (curve.high, " bound"), (curve.mean, "")):
        places = [(x(count), y(value)) for count, value in enumerate(values, 1)]
        parts.append(svg.path(places, style + kind))
    return parts
