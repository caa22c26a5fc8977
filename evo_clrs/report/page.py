"""A run as one HTML page that needs nothing else: no script, font, picture or network.

Everything that a program, a model or a person wrote goes through `for_html`.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evo_clrs.records import Candidate
from evo_clrs.report import analysis, plots
from evo_clrs.report.code import differences, plain
from evo_clrs.report.style import SHEET
from evo_clrs.report.tables import comparison, ledger_rows
from evo_clrs.report.text import clean, duration, for_html, joined, line, number, plural, title
from evo_clrs.store import Event, Store, summarise

# The browser itself refuses anything from elsewhere, should an escape ever be missed.
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
"""
_REASONS_SHOWN = 8
_EVENT_WORDS = 400

_DOT = '<svg viewBox="0 0 22 12"><circle cx="11" cy="6" r="4" class="{}"/></svg>'
_DIAMOND = (
    '<svg viewBox="0 0 22 12"><polygon points="11,0.5 16.5,6 11,11.5 5.5,6" class="seed"/></svg>'
)
_BLOCK = (
    '<svg viewBox="0 0 22 12"><rect x="5" width="12" height="12" rx="2" class="share{}"/></svg>'
)
_LINE = '<svg viewBox="0 0 22 12"><path d="M0 6L22 6" class="{}"/></svg>'


def page(store: Store) -> str:
    """Returns the page of a run as one HTML text."""
    candidates = store.candidates()
    summary = summarise(store)
    best = analysis.winner(store)
    name = summary["run"] or "a run in memory"
    sections = [
        _header(name, summary, analysis.note(store)),
        _tiles(candidates, summary),
        _pair(_best_over_time(candidates), _size_against_score(candidates, best)),
        _comparison(store),
        _principles(analysis.principles(store)),
        _pair(_stages(candidates), _reasons(candidates)),
        _family(candidates, best),
        _code(candidates, best),
        _top(candidates),
        _pair(_edits(candidates), _ledger(summary["ledger"])),
        _settings(store.identity),
        _events(store.events()),
    ]
    made = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    foot = f"<footer>Made by evo_clrs on {for_html(made)} from the record of the run.</footer>"
    head = _HEAD.format(title=for_html(f"{name} · evo_clrs"), style=SHEET)
    return f"{head}<body><main>{''.join(sections)}{foot}</main></body>\n</html>\n"


def _section(heading: str, note: str, *parts: str) -> str:
    """Returns a section; note is our own HTML. Nothing if all parts are empty."""
    if not any(parts):
        return ""
    words = f'<p class="note">{note}</p>' if note else ""
    return f"<section><h2>{for_html(heading)}</h2>{words}{''.join(parts)}</section>"


def _pair(*sections: str) -> str:
    there = [section for section in sections if section]
    return f'<div class="pair">{"".join(there)}</div>' if there else ""


def _table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0, styles: Any = None
) -> str:
    """Returns a table of unescaped texts.

    Args:
      headings: one for each column.
      rows: one text for each column.
      numbers: how many columns at the right are numbers.
      styles: optional class for each row.
    """
    rows = list(rows)
    if not rows:
        return ""
    kinds = ["" if i < len(headings) - numbers else ' class="n"' for i in range(len(headings))]
    parts = ['<div class="scroll"><table><thead><tr>']
    parts += [f"<th{kind}>{for_html(h)}</th>" for kind, h in zip(kinds, headings, strict=True)]
    parts.append("</tr></thead><tbody>")
    for row, style in zip(rows, styles or [""] * len(rows), strict=True):
        cells = [f"<td{kind}>{for_html(c)}</td>" for kind, c in zip(kinds, row, strict=True)]
        parts.append(f'<tr class="{style}">{"".join(cells)}</tr>')
    return "".join([*parts, "</tbody></table></div>"])


def _minus(words: str) -> str:
    """Returns a number's text with a true minus sign."""
    return "−" + words[1:] if words.startswith("-") else words


def _number(value: float | None) -> str:
    return _minus(number(value))


def _header(name: str, summary: Mapping[str, Any], note: str) -> str:
    about = [
        (key, summary[key])
        for key in ("problem", "task", "slot", "strategy", "lm", "seed")
        if summary[key] is not None
    ]
    words = " · ".join(f"{for_html(key)} <b>{for_html(value)}</b>" for key, value in about)
    told = f"<p>{for_html(note)}</p>" if note else ""
    return f"<header><h1>{for_html(name)}</h1><p>{words}</p>{told}</header>"


def _tiles(candidates: Sequence[Candidate], summary: Mapping[str, Any]) -> str:
    best, seed = summary["best"], summary["seeds_best"]
    measure = analysis.measure_of(candidates)
    tiles = []
    if best is not None and measure is not None:
        before = (lambda key: f"best seed {_number(seed['metrics'].get(key))}") if seed else None
        for key, label in {
            "fitness": "best fitness",
            measure.metric: measure.label,
            "num_params": "parameters",
        }.items():
            if key in best["metrics"]:
                below = before(key) if before else ""
                tiles.append((label, _number(best["metrics"][key]), below))
    counts, wall = summary["counts"], summary["ledger"]["wall_seconds"]
    tiles.append(
        ("proposals", _number(counts["proposed"]), f"{counts['scored']:,} trained and scored")
    )
    tiles.append(("wall clock", duration(wall), plural(len(candidates), "program") + " looked at"))
    cells = [
        f'<div class="tile"><span>{for_html(label)}</span><b>{for_html(value)}</b>'
        f"<span>{for_html(below)}</span></div>"
        for label, value, below in tiles
    ]
    return f'<div class="tiles">{"".join(cells)}</div>'


def _best_over_time(candidates: Sequence[Candidate]) -> str:
    scored = [
        (c.index, value, title(c), c.request is None)
        for c in candidates
        if (value := analysis.fitness(c)) is not None
    ]
    legend = [
        (_DIAMOND, "seed"),
        (_DOT.format("program"), "program"),
        (_LINE.format("best-line"), "best so far"),
    ]
    plot = plots.best_over_time(scored, analysis.best_so_far(candidates))
    if plots.OFF in plot:
        legend.append((_DOT.format("program off"), "below the scale"))
    return _section("Best over time", "", plot, _legend(legend) if plot else "")


def _size_against_score(candidates: Sequence[Candidate], best: Candidate | None) -> str:
    measure = analysis.measure_of(candidates)
    if measure is None:
        return ""
    found = analysis.points(candidates, measure)
    legend = [
        (_DIAMOND, "seed"),
        (_DOT.format("program"), "program"),
        (_DOT.format("program front"), "on the front"),
        (_LINE.format("front-line"), "Pareto front"),
    ]
    plot = plots.size_against_score(found, measure, best.index if best else None)
    return _section("Size against score", "", plot, _legend(legend) if plot else "")


def _principles(learnt: Sequence[str]) -> str:
    """Returns what a strategy learnt in words, oldest first."""
    note = "What the strategy learnt of its source, and how it changed that on the way."
    return _section("Principles", note, *(f"<pre>{for_html(text)}</pre>" for text in learnt))


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<li>{mark}{for_html(words)}</li>" for mark, words in entries)
    return f'<ul class="legend">{items}</ul>'


def _comparison(store: Store) -> str:
    shown = comparison(store)
    note = "Scores of the search itself, which flatter the winner; selection scores come last."
    if shown.selected:
        note = for_html(analysis.remark(store)) or (
            "Trained again from fresh seeds and scored on selection data, which the search never "
            "saw."
        )
    table = _table(
        ("program", "parameters", "against fittest seed", shown.measure, "fitness"),
        [
            (
                row.name + (" (seed)" if row.seed else ""),
                _number(row.size),
                _minus(row.change),
                _number(row.score),
                _number(row.fitness),
            )
            for row in shown.rows
        ],
        4,
        ["" if row.seed else "child" for row in shown.rows],
    )
    winner = analysis.announcement(store)
    told = f"<p><b>Winner:</b> {for_html(winner)}.</p>" if winner else ""
    return _section("Seeds against the best", note, told, table)


def _stages(candidates: Sequence[Candidate]) -> str:
    counts = analysis.stage_counts(candidates)
    note = "In the order of the way from text to score; each proposal is counted once."
    return _section("Where proposals ended", note, plots.stages(counts))


def _reasons(candidates: Sequence[Candidate]) -> str:
    found = [
        (times, analysis.STAGE_NAMES[stage], reason)
        for stage, entries in analysis.reasons(candidates).items()
        for reason, times in entries
    ]
    found.sort(key=lambda row: -row[0])
    more = len(found) - _REASONS_SHOWN
    note = "The commonest reasons." + (
        f" {plural(more, 'rarer one')} not shown." if more > 0 else ""
    )
    rows = [(stage, reason, f"{times:,}") for times, stage, reason in found[:_REASONS_SHOWN]]
    table = _table(("stage", "reason", "times"), rows, 1)
    return _section("Why programs were rejected", note, table)


def _family(candidates: Sequence[Candidate], best: Candidate | None) -> str:
    if best is None or best.request is None:
        return ""
    tree = analysis.family(candidates, best.index)
    by_index = {candidate.index: candidate for candidate in candidates}

    def words(index: int) -> tuple[str, str, str, bool]:
        candidate = by_index[index]
        value = analysis.fitness(candidate)
        seed = candidate.request is None
        made = "seed" if seed else joined(candidate.edits)
        return title(candidate), f"fitness {_number(value)}", clean(made), seed

    note = "Programs that stood in the prompts it came from, oldest first, with the edits made."
    if tree.cut:
        note += " Earlier generations are left out."
    picture = f'<div class="scroll">{plots.family_tree(tree, words)}</div>'
    return _section("Family tree of the best program", note, picture)


def _code(candidates: Sequence[Candidate], best: Candidate | None) -> str:
    if best is None:
        return ""
    parents = analysis.parents_of(candidates, best.index)
    heading = f"Code of the best program, {title(best)}"
    note = f"Program <code>{for_html(best.program)}</code>. "
    if not parents:
        return _section(heading, note + "It has no parents.", plain(best.source))
    note += "Lines that it added are green, lines of the parent that it dropped are red."
    shown = [
        differences(f"against {title(parent)}", parent.source, best.source, number_ == 0)
        for number_, parent in enumerate(parents)
    ]
    return _section(heading, note, *shown)


def _top(candidates: Sequence[Candidate], count: int = 12) -> str:
    measure = analysis.measure_of(candidates)
    if measure is None:
        return ""
    rows, shown = [], analysis.distinct(analysis.ranked(candidates))
    for rank, candidate in enumerate(shown[:count], start=1):
        metrics = candidate.evaluation.metrics if candidate.evaluation is not None else {}
        rows.append(
            (
                f"{rank}. {title(candidate)}",
                line(candidate.program)[:8],
                "seed" if candidate.request is None else joined(candidate.edits),
                _number(metrics.get("num_params")),
                _number(metrics.get(measure.metric)),
                _number(metrics.get("fitness")),
            )
        )
    headings = ("program", "identity", "edits", "parameters", measure.label, "fitness")
    return _section("Fittest programs of the search", "", _table(headings, rows, 3))


def _edits(candidates: Sequence[Candidate]) -> str:
    rows = [
        (edit.kind, str(edit.proposed), str(edit.scored), str(edit.improved), _number(edit.best))
        for edit in analysis.edits(candidates)
    ]
    headings = ("edit", "proposed", "scored", "fitter than parents", "best fitness")
    note = "A proposal made by several edits counts under each."
    return _section("Kinds of edits", note, _table(headings, rows, 4))


def _ledger(ledger: Mapping[str, Any]) -> str:
    work = ledger_rows(dict(ledger))
    total = sum(seconds for _, seconds in work)
    rows = [(name, duration(seconds)) for name, seconds in work]
    rows.append(("all work, over all workers", duration(total)))
    rows.append(("wall clock, over all resumes", duration(ledger["wall_seconds"])))
    if ledger["lm_prompt_tokens"] or ledger["lm_completion_tokens"]:
        rows.append(("tokens read by the language model", f"{ledger['lm_prompt_tokens']:,}"))
        rows.append(("tokens written by it", f"{ledger['lm_completion_tokens']:,}"))
    bar, legend = plots.spent(work), ""
    if bar:
        shares = [f"{name} {100 * seconds / total:.0f} %" for name, seconds in work]
        legend = _legend([(_BLOCK.format(n), words) for n, words in enumerate(shares)])
    note = "Time of work by what it went into, and tokens."
    return _section("Ledger", note, bar, legend, _table(("", ""), rows, 1))


def _settings(identity: Mapping[str, Any]) -> str:
    rows = [(line(key, 60), line(str(value), 300)) for key, value in identity.items()]
    note = "What the run is; a folder is resumed only under the same settings."
    return _section("Settings", note, _table(("setting", "value"), rows))


def _events(events: Sequence[Event]) -> str:
    rows = []
    for event in events:
        if event.kind == "selection":
            continue  # shown as seeds against the best
        when = datetime.datetime.fromtimestamp(event.time).strftime("%Y-%m-%d %H:%M:%S")
        data = ", ".join(f"{key}: {value}" for key, value in event.data.items())
        rows.append((when, line(event.kind, 40), line(data, _EVENT_WORDS)))
    return _section("What happened", "", _table(("time", "event", "particulars"), rows))
