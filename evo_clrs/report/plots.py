"""The plots of a report: functions of plain data that return inline SVG."""

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence

from evo_clrs.report import svg
from evo_clrs.report.analysis import STAGE_NAMES, Family, Measure, Point, pareto_front
from evo_clrs.report.text import for_html, number

OFF = " off"  # class of a mark that stands for a value outside the scale
_WIDTH, _HEIGHT = 560, 360
_BOX, _BOX_HEIGHT, _BOX_GAP, _RISE = 150, 62, 22, 44
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 548, 36, 306


def best_over_time(
    scored: Sequence[tuple[int, float, str, bool]], steps: Sequence[tuple[int, float]]
) -> str:
    """Returns the plot of every score and of the best so far, against programs looked at.

    Far worse programs would press the rest into a line; they are shown at the lower edge.

    Args:
      scored: (index, fitness, name, whether a seed) of each scored candidate.
      steps: (index, fitness) of each new best, in order.
    """
    if not scored:
        return ""
    values = sorted(value for _, value, _, _ in scored)
    middle = statistics.median(values)
    floor = min(steps[0][1], max(values[0], middle - 1.5 * (values[-1] - middle)))
    low, high = svg.padded([floor, values[-1]], 0.08)
    last = max(index for index, *_ in scored)
    x = svg.Scale(0, max(last + 1, 2), _LEFT, _RIGHT)
    y = svg.Scale(low, high, _BOTTOM, _TOP)
    dot = _radius(len(scored))
    parts = svg.axes(x, y, "programs looked at, seeds first", "fitness (higher is better)")
    for index, value, name, seed in scored:
        off = "" if value >= floor else ", below this scale"
        tip = f"{name}: fitness {number(value)}{off}"
        style = ("seed" if seed else "program") + (OFF if off else "")
        mark = svg.diamond if seed else svg.dot
        parts.append(mark(x(index + 1), y(value), 5.5 if seed else dot, style, tip))
    places: list[tuple[float, float]] = []
    for index, value in steps:
        if places:
            places.append((x(index + 1), places[-1][1]))
        places.append((x(index + 1), y(value)))
    places.append((x.end, places[-1][1]))
    parts.append(svg.path(places, "best-line"))
    place = (x.end, places[-1][1] - 9)
    parts.append(svg.text(*place, f"best {_minus(number(steps[-1][1]))}", "strong halo", "end"))
    return svg.drawing(_WIDTH, _HEIGHT, "Best fitness over the run", parts)


def size_against_score(found: Sequence[Point], measure: Measure, best: int | None) -> str:
    """Returns the plot of parameters against score, with the Pareto front.

    Args:
      found: the scored programs.
      measure: what the score is, and which way is better.
      best: index of the fittest program, to be named on the plot.
    """
    if not found:
        return ""
    sizes = [point.size for point in found]
    log = min(sizes) > 0 and max(sizes) > 4 * min(sizes)
    x = svg.Scale(*(svg.padded_log if log else svg.padded)(sizes, 0.08), _LEFT, _RIGHT, log)
    y = svg.Scale(*svg.padded([point.score for point in found], 0.1), _BOTTOM, _TOP)
    way = "higher" if measure.sign > 0 else "lower"
    parts = svg.axes(
        x,
        y,
        "parameters of the model" + (" (log scale)" if log else ""),
        (f"{measure.label} ({way} is better)"),
    )
    front = pareto_front(found, measure.sign)
    places = [(x(front[0].size), y.start)] if measure.sign > 0 else [(x(front[0].size), y.end)]
    for point in front:
        places.append((x(point.size), places[-1][1]))
        places.append((x(point.size), y(point.score)))
    places.append((x.end, places[-1][1]))
    parts.append(svg.path(places, "front-line"))
    dot = _radius(len(found))
    on_front = {point.index for point in front}
    for point in sorted(found, key=lambda p: (p.index == best, p.index in on_front)):
        tip = f"{point.title}: {number(point.size)} parameters, {measure.label} "
        tip += number(point.score)
        style = "seed" if point.seed else "program"
        style += " front" if point.index in on_front else ""
        style += " best" if point.index == best else ""
        mark = svg.diamond if point.seed else svg.dot
        radius = (5.5 if point.seed else dot) + (2.5 if point.index == best else 0)
        parts.append(mark(x(point.size), y(point.score), radius, style, tip))
    for point in found:
        if point.index == best:
            left = x(point.size) > (x.start + x.end) / 2
            place = (x(point.size) + (-11 if left else 11), y(point.score) - 9)
            parts.append(
                svg.text(*place, f"best: {point.title}", "strong halo", "end" if left else "start")
            )
    return svg.drawing(_WIDTH, _HEIGHT, "Size against score with the Pareto front", parts)


def stages(counts: Mapping[str, int]) -> str:
    """Returns bars of where proposals ended, in the order of the way."""
    total = sum(counts.values())
    if not total:
        return ""
    row, left = 34, 148
    widest = max(counts.values())
    bar = svg.Scale(0, widest, left, _WIDTH - 110)
    parts = []
    for place, (stage, count) in enumerate(counts.items()):
        y = 8 + place * row
        style = "bar scored" if stage == "scored" else "bar"
        parts.append(svg.text(left - 12, y + 17, STAGE_NAMES[stage], "label", "end"))
        width = max(bar(count) - left, 1.5 if count else 0)
        parts.append(
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="24" rx="3" class="{style}"/>'
        )
        words = f"{count:,} ({100 * count / total:.0f} %)" if count else "0"
        parts.append(svg.text(left + width + 9, y + 17, words, "strong" if count else "tick"))
    return svg.drawing(_WIDTH, 8 + row * len(counts), "Where proposals ended", parts)


def family_tree(tree: Family, words: Callable[[int], tuple[str, str, str, bool]]) -> str:
    """Returns the family tree of a program, seeds at the top.

    Args:
      tree: the ancestors.
      words: for an index, (name, result, how it was made, whether a seed).
    """
    places, width = _arranged(tree)
    parts = []
    for edge in tree.edges:
        way = [places[stop] for stop in _way(tree, edge)]
        steps = [f"M{way[0][0]:.1f} {way[0][1] + _BOX_HEIGHT / 2:.1f}"]
        for (x1, y1), (x2, y2) in itertools.pairwise(way):
            y1, y2 = y1 + _BOX_HEIGHT / 2, y2 - _BOX_HEIGHT / 2
            bend = (y2 - y1) / 2
            steps.append(f"L{x1:.1f} {y1:.1f}")  # straight past the boxes of a row between
            steps.append(f"C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}")
        parts.append(f'<path d="{"".join(steps)}" class="kin"/>')
    last = tree.layers[-1]
    for index in itertools.chain(*tree.layers):
        x, y = places[index]
        name, result, made, seed = words(index)
        style = "node seed-node" if seed else "node best-node" if index in last else "node"
        parts.append(
            f"<g><title>{for_html(f'{name}: {result}; {made}')}</title>"
            f'<rect x="{x - _BOX / 2:.1f}" y="{y - _BOX_HEIGHT / 2:.1f}" width="{_BOX}" '
            f'height="{_BOX_HEIGHT}" rx="7" class="{style}"/>'
        )
        parts.append(svg.text(x, y - 12, _cut(name, 20), "strong", "middle"))
        parts.append(svg.text(x, y + 5, _cut(result, 23), "tick", "middle"))
        parts.append(svg.text(x, y + 21, _cut(made, 24), "faint", "middle") + "</g>")
    height = round(places[last[0]][1] + _BOX_HEIGHT / 2 + 10)
    picture = svg.drawing(width, height, "Family tree of the best program", parts)
    return f'<div class="wide" style="width:{width}px">{picture}</div>'


# A stop of a line on its way down: a program, or (parent, child, row), a gap in a row between.
_Stop = int | tuple[int, int, int]


def _way(tree: Family, edge: tuple[int, int]) -> list[_Stop]:
    """Returns the stops of a line: its programs, and a gap in each row between them."""
    row = {index: level for level, layer in enumerate(tree.layers) for index in layer}
    parent, child = edge
    return [parent, *((*edge, level) for level in range(row[parent] + 1, row[child])), child]


def _arranged(tree: Family) -> tuple[dict[_Stop, tuple[float, float]], int]:
    """Returns the centre of every stop and the width of all.

    Each row is ordered by the mean place of what leads to it, which keeps crossings few.
    """
    rows: list[list[_Stop]] = [list(layer) for layer in tree.layers]
    above: dict[_Stop, list[_Stop]] = {}
    for edge in tree.edges:
        way = _way(tree, edge)
        for before, stop in itertools.pairwise(way):
            above.setdefault(stop, []).append(before)
            if isinstance(stop, tuple):
                rows[stop[2]].append(stop)

    def wide(stop: _Stop) -> float:
        return (_BOX if isinstance(stop, int) else 0) + _BOX_GAP

    width = max(420, *(sum(map(wide, row)) for row in rows))
    places: dict[_Stop, tuple[float, float]] = {}
    for level, row in enumerate(rows):
        keys = {stop: _mean([places[b][0] for b in above.get(stop, [])]) for stop in row}
        x = (width - sum(map(wide, row))) / 2
        for stop in sorted(row, key=lambda stop: (keys[stop], str(stop))):
            y = 10 + _BOX_HEIGHT / 2 + level * (_BOX_HEIGHT + _RISE)
            places[stop] = (x + wide(stop) / 2, y)
            x += wide(stop)
    return places, round(width)


def spent(rows: Sequence[tuple[str, float]]) -> str:
    """Returns one bar that shares out seconds of work; parts have the classes share0, share1..."""
    total = sum(seconds for _, seconds in rows)
    if total <= 0:
        return ""
    parts, x = [], 0.0
    for place, (name, seconds) in enumerate(rows):
        width = seconds / total * _WIDTH
        parts.append(
            f'<rect x="{x:.1f}" y="0" width="{width:.1f}" height="26" class="share{place}">'
            f"<title>{for_html(name)}</title></rect>"
        )
        x += width
    return svg.drawing(_WIDTH, 26, "Where the time went", parts)


def _radius(count: int) -> float:
    """Returns the radius of a dot among so many."""
    return 4.0 if count <= 300 else 3.0 if count <= 1000 else 2.2


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0


def _cut(words: str, length: int) -> str:
    return words if len(words) <= length else words[: length - 1] + "…"


def _minus(words: str) -> str:
    return words.replace("-", "−") if words[:1] == "-" else words
