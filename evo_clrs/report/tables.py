"""A run as tables in the terminal."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import rich.console
import rich.table

from evo_clrs.records import Candidate
from evo_clrs.report import analysis
from evo_clrs.report.text import duration, for_terminal, joined, number, title
from evo_clrs.store import Store, summarise

_LEDGER = (
    ("lm_seconds", "writing programs"),
    ("trace_seconds", "tracing"),
    ("compile_seconds", "compiling"),
    ("train_seconds", "training"),
    ("score_seconds", "scoring"),
)


_PRINCIPLES_SHOWN = 60  # lines; a model may write any number


def tables(store: Store, top: int = 10, common: int = 12) -> list[rich.table.Table]:
    """Returns all tables of a run, the most telling last, where a terminal leaves the eye.

    Args:
      store: the run.
      top: how many of the best programs to list.
      common: how many of the commonest reasons for rejection to list.
    """
    candidates = store.candidates()
    summary = summarise(store)
    made = [
        _edits(candidates),
        _ledger(summary["ledger"]),
        _repairs(analysis.repairs(store, candidates)),
        _stages(candidates),
        _reasons(candidates, common),
        _top(candidates, top),
        seeds_against_best(store),
    ]
    return [table for table in made if table.row_count]


def print_tables(store: Store, console: rich.console.Console | None = None) -> None:
    """Prints all tables of a run."""
    console = console or rich.console.Console()
    for table in tables(store):
        console.print(table)
        console.print()


def show_result(store: Store, console: rich.console.Console | None = None) -> None:
    """Prints how a run ended: the seeds against the best, and how many programs that took."""
    console = console or rich.console.Console()
    table = seeds_against_best(store)
    if table.row_count:
        console.print(table)
    if winner := analysis.announcement(store):
        console.print(f"winner: {for_terminal(winner, 1000)}", highlight=False)
    for text in analysis.principles(store)[-1:]:
        console.print("Principles at the end", style="bold")
        lines = text.splitlines()
        for words in lines[:_PRINCIPLES_SHOWN]:
            console.print(for_terminal(words, 1000), highlight=False)
        if len(lines) > _PRINCIPLES_SHOWN:
            console.print("… the page of launch.report shows all", style="dim")
    counts = summarise(store)["counts"]
    rest = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n)
    console.print(rest or "no proposals yet", style="dim", highlight=False)


def seeds_against_best(store: Store) -> rich.table.Table:
    """Returns the table of seeds against the best programs.

    It shows selection scores, data the search never saw, where the run has come that far, and
    validation scores before.
    """
    shown = comparison(store)
    table = _table("Seeds against the best" + ("" if shown.selected else ", in the search so far"))
    table.caption = for_terminal(analysis.remark(store)) if shown.selected else None
    table.add_column("program")
    table.add_column("parameters", justify="right")
    table.add_column("change", justify="right")
    table.add_column(shown.measure, justify="right")
    table.add_column("fitness", justify="right")
    for row in shown.rows:
        style = "" if row.seed else "bold"
        cells = for_terminal(row.name), number(row.size), row.change, number(row.score)
        table.add_row(*cells, number(row.fitness), style=style)
    return table


@dataclasses.dataclass(frozen=True)
class Row:
    """A program in a comparison.

    Attributes:
      name: what to call it.
      seed: whether it is a seed.
      size: its parameters.
      change: parameters against the fittest seed, in per cent.
      score: how good it is.
      fitness: what the search would maximise, with this score in it.
    """

    name: str
    seed: bool
    size: float
    change: str
    score: float
    fitness: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Seeds against the best programs, fittest first.

    Attributes:
      rows: the programs.
      measure: name of the score.
      selected: whether scores are on selection data.
    """

    rows: tuple[Row, ...]
    measure: str
    selected: bool


def comparison(store: Store) -> Comparison:
    """Returns seeds against best programs, by `selection` events if there are any.

    The data of such an event holds `candidate`, its index, and `metrics`, where `accuracy` is the
    score on selection data and `fitness` the fitness with that score.
    """
    candidates = store.candidates()
    by_index = {candidate.index: candidate for candidate in candidates}
    selection = {
        event.data["candidate"]: event.data["metrics"]
        for event in store.events("selection")
        if "accuracy" in event.data.get("metrics", {}) and event.data["candidate"] in by_index
    }
    measure = analysis.measure_of(candidates)
    if measure is None:
        return Comparison((), "score", False)
    if selection:
        measure = analysis.Measure("accuracy", "selection accuracy", 1)
    held = selection or {
        c.index: c.evaluation.metrics
        for c in (*_seeds(candidates), *analysis.ranked(candidates)[:3])
        if c.evaluation is not None
    }
    found = [
        (by_index[index], metrics["num_params"], metrics[measure.metric], metrics["fitness"])
        for index, metrics in held.items()
        if {"num_params", "fitness", measure.metric} <= set(metrics)
    ]
    found.sort(key=lambda row: (-row[3], row[1], row[0].index))
    base = next((size for c, size, _, _ in found if c.request is None), None)
    rows = tuple(
        Row(title(c), c.request is None, size, _change(size, base), score, fitness)
        for c, size, score, fitness in found
    )
    return Comparison(rows, measure.label, bool(selection))


def ledger_rows(ledger: dict[str, Any]) -> list[tuple[str, float]]:
    """Returns (what, seconds of work) of a summary's ledger."""
    return [(name, ledger[key]) for key, name in _LEDGER]


def _table(heading: str) -> rich.table.Table:
    return rich.table.Table(title=heading, title_justify="left", title_style="bold")


def _seeds(candidates: Sequence[Candidate]) -> list[Candidate]:
    return analysis.ranked(c for c in candidates if c.request is None)


def _change(size: float, base: float | None) -> str:
    if not base:
        return "–"
    return "same" if size == base else f"{100 * (size - base) / base:+.1f} %"


def _top(candidates: Sequence[Candidate], count: int) -> rich.table.Table:
    measure = analysis.measure_of(candidates)
    best = analysis.distinct(analysis.ranked(candidates))
    table = _table("Fittest programs of the search")
    for heading in ("rank", "program", "identity", "edits"):
        table.add_column(heading, justify="right" if heading == "rank" else "left")
    for heading in ("parameters", measure.label if measure else "score", "fitness"):
        table.add_column(heading, justify="right")
    for rank, candidate in enumerate(best[:count], start=1):
        assert candidate.evaluation is not None and measure is not None
        metrics = candidate.evaluation.metrics
        table.add_row(
            str(rank),
            for_terminal(title(candidate)),
            for_terminal(candidate.program[:8]),
            for_terminal("seed" if candidate.request is None else joined(candidate.edits), 50),
            number(metrics.get("num_params")),
            number(metrics.get(measure.metric)),
            number(metrics.get("fitness")),
        )
    return table


def _stages(candidates: Sequence[Candidate]) -> rich.table.Table:
    counts = analysis.stage_counts(candidates)
    total = sum(counts.values())
    table = _table(f"Where {total} proposals ended")
    table.add_column("stage")
    table.add_column("proposals", justify="right")
    table.add_column("share", justify="right")
    for stage, count in counts.items():
        if count:
            table.add_row(analysis.STAGE_NAMES[stage], f"{count:,}", f"{100 * count / total:.0f} %")
    return table


def _reasons(candidates: Sequence[Candidate], count: int) -> rich.table.Table:
    table = _table("Commonest reasons for rejection")
    table.add_column("stage")
    table.add_column("reason", overflow="fold")
    table.add_column("times", justify="right")
    found = [
        (times, stage, reason)
        for stage, entries in analysis.reasons(candidates).items()
        for reason, times in entries
    ]
    for times, stage, reason in sorted(found, key=lambda row: -row[0])[:count]:
        table.add_row(analysis.STAGE_NAMES[stage], for_terminal(reason), str(times))
    return table


def _repairs(found: analysis.Repairs) -> rich.table.Table:
    table = _table("Refused replies that were sent back")
    table.add_column("what came of them")
    table.add_column("replies", justify="right")
    table.add_column("share", justify="right")
    if found.sent:
        for name in ("sent", "passed", "scored"):
            count = getattr(found, name)
            words = {"sent": "sent back", "passed": "then passed gate and jail"}.get(name, name)
            table.add_row(words, f"{count:,}", f"{100 * count / found.sent:.0f} %")
    return table


def _edits(candidates: Sequence[Candidate]) -> rich.table.Table:
    table = _table("Kinds of edits")
    table.add_column("edit")
    for heading in ("proposed", "scored", "fitter than parents", "best fitness"):
        table.add_column(heading, justify="right")
    for edit in analysis.edits(candidates):
        counts = map(str, (edit.proposed, edit.scored, edit.improved))
        table.add_row(for_terminal(edit.kind, 40), *counts, number(edit.best))
    return table


def _ledger(ledger: dict[str, Any]) -> rich.table.Table:
    table = _table("Time and tokens spent")
    table.add_column("on")
    table.add_column("spent", justify="right")
    for name, seconds in ledger_rows(ledger):
        table.add_row(name, duration(seconds))
    table.add_row("wall clock", duration(ledger["wall_seconds"]))
    tokens = ledger["lm_prompt_tokens"], ledger["lm_completion_tokens"]
    if any(tokens):
        table.add_row("tokens read, written", f"{tokens[0]:,}, {tokens[1]:,}")
    return table
