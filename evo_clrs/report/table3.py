"""What was reached beside EvoPrompting's Table 3, as tables."""

import dataclasses

from evo_clrs.comparison.table3 import Entry, Reached, Table
from evo_clrs.problems.clrs.published import Score
from evo_clrs.report.grid import Grid, Sheet
from evo_clrs.report.text import number, plural

_ABOUT = (
    "Out-of-distribution test accuracy at n = 64 in percent. Published: EvoPrompting (2023), Table "
    "3: for Triplet-GMPNN its authors' re-run and Ibarz et al. (2022), for the others the best of "
    "five functions for each task; what their ± is, and how many seeds, is not stated. Reached: "
    "mean ± standard deviation over the seeds; – is not trained, and an inert program never is. "
    "Parameters, live ones (that can change a prediction) and whether the program is inert "
    "(cannot) are counted here at width 128; of a program from elsewhere, as its results tell."
)
_PIVOT = (
    " The library has gained a hint for quickselect since, with 641 parameters in Triplet-GMPNN."
)
_STAR = " * reduced protocol, not comparable with what is published."


def sheet(table: Table) -> Sheet:
    """Returns published and reached scores with their table."""
    return Sheet(
        name="table3",
        grids=[_grid(table)],
        notes=table.notes,
        commands=table.commands,
        data={"unit": "percent", **dataclasses.asdict(table)},
    )


def _grid(table: Table) -> Grid:
    lead = table.reduced[:1].upper() + table.reduced[1:] + ". " if table.reduced else ""
    starred = any(e.reached is not None and not e.reached.full_protocol for e in table.entries)
    about = lead + _ABOUT + (_STAR if starred else "") + _PIVOT
    headings = (
        *("task", "program", "published", "Ibarz 2022", "reached", "seeds"),
        *("published parameters", "parameters", "live", "inert"),
    )
    rows, last = [], ""
    for entry in table.entries:
        rows.append(("" if entry.task == last else entry.task, *_cells(entry)))
        last = entry.task
    count = len({entry.task for entry in table.entries})
    title = f"Published and reached on {plural(count, 'task')}"
    return Grid(title, about, headings, rows, texts=2)


def _cells(entry: Entry) -> tuple[str, ...]:
    return (
        entry.program or "(best found, not named)",
        _score(entry.published),
        _score(entry.published_ibarz),
        _reached(entry.reached),
        "–" if entry.reached is None else str(len(entry.reached.seeds)),
        number(entry.published_parameters),
        number(entry.parameters),
        number(entry.live_parameters),
        "–" if entry.inert is None else "inert" if entry.inert else "no",
    )


def _score(score: Score | None) -> str:
    return "–" if score is None else f"{score.mean:.2f} ± {score.spread:.2f}"


def _reached(reached: Reached | None) -> str:
    if reached is None:
        return "–"
    star = "" if reached.full_protocol else "*"
    spread = "" if reached.spread is None else f" ± {reached.spread:.2f}"
    return f"{reached.mean:.2f}{spread}{star}"
