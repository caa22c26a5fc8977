"""Programs against a baseline, as tables and a plot."""

import dataclasses
import statistics
from collections.abc import Sequence

from evo_clrs import statistics as paired_tests
from evo_clrs.comparison.paired import Comparison, Overall, Row
from evo_clrs.report import svg
from evo_clrs.report.grid import Grid, Sheet
from evo_clrs.report.text import line, plural

_WIDTH, _ROW, _TOP = 860, 26, 56
_LEFT, _RIGHT = 250, 610
_PROGRAMS_SHOWN = 32  # letters of a name in the plot


def sheet(comparison: Comparison) -> Sheet:
    """Returns a comparison with its tables: by task, over tasks, and what is left out."""
    return Sheet(
        name="comparison",
        grids=_grids(comparison),
        notes=comparison.notes,
        commands=comparison.commands,
        data={"unit": "percent", **dataclasses.asdict(comparison)},
        plot=plot(comparison),
    )


def _grids(comparison: Comparison) -> list[Grid]:
    rows, overall = comparison.rows, comparison.overall
    found = [
        _by_task(comparison, baseline, [row for row in rows if row.baseline == baseline])
        for baseline in dict.fromkeys(row.baseline for row in rows)
    ]
    found += [
        _over_tasks(comparison, baseline, [row for row in overall if row.baseline == baseline])
        for baseline in dict.fromkeys(row.baseline for row in overall)
    ]
    if comparison.left_out:
        told = [
            (entry.program, entry.task, " ".join(map(str, entry.seeds)) or "all", entry.why)
            for entry in comparison.left_out
        ]
        caption = _with_protocol(comparison, "These pairs count in no figure above.")
        found.append(Grid("Left out", caption, ("program", "task", "seeds", "why"), told, texts=4))
    return found


def _by_task(comparison: Comparison, baseline: str, rows: Sequence[Row]) -> Grid:
    told, last = [], ""
    for row in rows:
        told.append(
            (
                "" if row.program == last else row.program,
                row.task,
                str(len(row.seeds)),
                f"{statistics.fmean(row.baseline_scores):.2f}",
                f"{statistics.fmean(row.scores):.2f}",
                points(row.difference),
                between(row.interval),
                p_value(row.p),
                p_value(row.corrected),
                p_value(row.smallest),
                "none" if row.detectable is None else f"{row.detectable:.2f}",
                _verdict(row),
            )
        )
        last = row.program
    headings = (
        *("program", "task", "seeds", "baseline", "score", "difference", "95 % interval"),
        *("p", "corrected p", "least p", "detectable", "verdict"),
    )
    title = f"Against {baseline}, paired by seed"
    return Grid(title, _with_protocol(comparison, _about(comparison)), headings, told, texts=2)


def _about(comparison: Comparison) -> str:
    looked_at = plural(comparison.looked_at, "program")
    return (
        "Test accuracy in percent, mean over the seeds both have. difference: program less "
        "baseline, paired by seed, with its percentile bootstrap interval, uncorrected, which is "
        "too narrow with few seeds: it holds the true mean about 75 times in 100 with 3, 85 with "
        "5, 90 with 10. p: Wilcoxon's signed-rank test, two-sided. corrected p: times the "
        f"{looked_at} looked at ({comparison.looked_at_from}), then Holm over the tasks of the "
        f"program; held to {comparison.level:g}. least p: the smallest corrected p that the number "
        "of seeds can give any one task, 2^(1 - seeds) times tasks times programs looked at. "
        "detectable: the true difference that a paired t test with these seeds and the spread seen "
        f"finds with {100 * comparison.power:.0f} % power at {comparison.level:g} divided by tasks "
        f"and programs looked at; none: beyond 100 points, or no spread. {needed(comparison)}"
    )


def _over_tasks(comparison: Comparison, baseline: str, rows: Sequence[Overall]) -> Grid:
    told = [
        (
            row.program,
            str(row.tasks),
            points(row.difference),
            between(row.interval),
            p_value(row.p),
            p_value(row.corrected),
            p_value(row.smallest),
            _verdict(row),
        )
        for row in rows
    ]
    headings = (
        *("program", "tasks", "difference", "95 % interval", "p", "corrected p", "least p"),
        "verdict",
    )
    caption = (
        "Mean over tasks of the mean difference, in points; the interval draws seeds within tasks. "
        "p: Wilcoxon's signed-rank test over the tasks' mean differences; corrected p: times the "
        f"{plural(comparison.looked_at, 'program')} looked at."
    )
    return Grid(
        f"Against {baseline}, over tasks", _with_protocol(comparison, caption), headings, told
    )


def needed(comparison: Comparison) -> str:
    """Returns how many seeds it takes for any significance, in words; empty where there are enough.

    The count is that of the program with the most tasks.
    """
    lacking = [row for row in comparison.rows if row.verdict == "unattainable"]
    if not lacking:
        return ""
    tasks = max(sum(r.program == row.program for r in comparison.rows) for row in lacking)
    seeds = paired_tests.pairs_needed(comparison.level / (tasks * comparison.looked_at))
    return (
        f"With so few seeds no difference, however large, can be significant in "
        f"{plural(len(lacking), 'row')}: {plural(tasks, 'task')} and "
        f"{plural(comparison.looked_at, 'program')} looked at take {seeds} seeds."
    )


def _with_protocol(comparison: Comparison, caption: str) -> str:
    return f"{_sentence(comparison.reduced)} {caption}" if comparison.reduced else caption


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + "."


def _verdict(row: Row | Overall) -> str:
    if row.verdict == "unattainable":
        return "too few seeds" if isinstance(row, Row) else "too few tasks"
    return "not shown" if row.verdict == "open" else row.verdict


def points(value: float) -> str:
    """Returns a difference with its sign: `+1.20`, `−0.35`."""
    return f"{value:+.2f}".replace("-", "−")


def between(interval: tuple[float, float] | None) -> str:
    """Returns an interval in words, a dash for none."""
    return "–" if interval is None else f"{points(interval[0])} to {points(interval[1])}"


def p_value(value: float) -> str:
    """Returns a p value: `0.031`, `<0.001`, `1`."""
    return "<0.001" if value < 0.001 else f"{value:.2g}" if value < 0.0995 else f"{value:.2f}"


def plot(comparison: Comparison) -> str:
    """Returns a plot of all differences with their intervals and seeds, as an SVG file's text."""
    if not comparison.rows:
        return ""
    groups = _groups(comparison)
    lines = sum(len(rows) + 1 + (overall is not None) for rows, overall in groups)
    height = _TOP + _ROW * lines + 96
    x = svg.Scale(*_range(comparison), _LEFT, _RIGHT)
    bottom = _TOP + _ROW * lines + 6
    parts = [svg.text(14, 24, "Difference to the baseline", "strong")]
    for value in x.ticks(6):
        parts.append(svg.line(x(value), _TOP - 8, x(value), bottom, "grid"))
        parts.append(svg.text(x(value), bottom + 18, _tick(value), "tick", "middle"))
    parts.append(svg.line(x(0), _TOP - 8, x(0), bottom, "zero"))
    middle = (_LEFT + _RIGHT) / 2
    label = "points of test accuracy, program less baseline (right is better)"
    parts.append(svg.text(middle, bottom + 40, label, "label", "middle"))
    y = _TOP + 8.0
    for rows, overall in groups:
        first = rows[0]
        name = f"{line(first.program, _PROGRAMS_SHOWN)} against {line(first.baseline, 24)}"
        parts.append(svg.text(14, y + 4, name, "strong halo"))
        y += _ROW
        for row in rows:
            parts += _drawn(x, y, row)
            y += _ROW
        if overall is not None:
            parts += _drawn_overall(x, y, overall)
            y += _ROW
    about = "small: each seed; large: mean, with 95 % bootstrap interval; p: corrected"
    parts.append(svg.text(middle, bottom + 60, about, "faint", "middle"))
    if comparison.reduced:
        parts.append(svg.text(14, bottom + 82, line(comparison.reduced, 130), "faint"))
    return svg.file(_WIDTH, height, "Differences to the baseline", parts)


def _groups(comparison: Comparison) -> list[tuple[Sequence[Row], Overall | None]]:
    names = dict.fromkeys(row.program for row in comparison.rows)
    over = {overall.program: overall for overall in comparison.overall}
    return [([r for r in comparison.rows if r.program == name], over.get(name)) for name in names]


def _range(comparison: Comparison) -> tuple[float, float]:
    """Returns a range that holds zero, every seed and every interval."""
    values = [0.0]
    for row in comparison.rows:
        values += [a - b for a, b in zip(row.scores, row.baseline_scores, strict=True)]
        values += row.interval or ()
    return svg.padded(values, 0.08)


def _drawn(x: svg.Scale, y: float, row: Row) -> list[str]:
    style = row.verdict if row.verdict in ("better", "worse") else "program front"
    parts = [svg.text(_LEFT - 14, y + 4, line(row.task, 34), "label", "end")]
    if row.interval is not None:
        parts.append(svg.line(x(row.interval[0]), y, x(row.interval[1]), y, "interval"))
    for seed, a, b in zip(row.seeds, row.scores, row.baseline_scores, strict=True):
        tip = f"{row.task}, seed {seed}: {a:.2f} against {b:.2f}"
        parts.append(svg.dot(x(a - b), y, 2.6, "each", tip))
    tip = f"{row.task}: {points(row.difference)} ({between(row.interval)})"
    parts.append(svg.dot(x(row.difference), y, 5, style, tip))
    return [*parts, _told(y, row)]


def _drawn_overall(x: svg.Scale, y: float, row: Overall) -> list[str]:
    parts = [svg.text(_LEFT - 14, y + 4, f"mean of {row.tasks} tasks", "label", "end")]
    if row.interval is not None:
        parts.append(svg.line(x(row.interval[0]), y, x(row.interval[1]), y, "interval"))
    tip = f"mean of {row.tasks} tasks: {points(row.difference)} ({between(row.interval)})"
    parts.append(svg.diamond(x(row.difference), y, 6.5, "seed", tip))
    return [*parts, _told(y, row)]


def _tick(value: float) -> str:
    return f"{value:+g}".replace("-", "−") if value else "0"


def _told(y: float, row: Row | Overall) -> str:
    words = f"{points(row.difference)} · p {p_value(row.corrected)} · {_verdict(row)}"
    return svg.text(_RIGHT + 14, y + 4, words, "tick")
