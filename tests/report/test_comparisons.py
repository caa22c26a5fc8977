"""Comparisons as tables and a plot: what a reader sees is what the data says."""

import xml.etree.ElementTree as ElementTree

import pytest

from evo_clrs.comparison import paired, pairing
from evo_clrs.comparison.paired import LookedAt
from evo_clrs.report import grid
from evo_clrs.report.comparisons import p_value, points, sheet
from tests.result_lines import SMALL, result, seeds

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>|`x`\x1b[31m"


def shown(*results, looked_at=1):
    trainings = pairing.gather(results)
    chosen = pairing.choose(trainings, [])
    return sheet(paired.compare(trainings, chosen, "", [], LookedAt(looked_at, "told")))


def pair_of(task="bfs", name="gmpnn", count=4, **others):
    ours = [0.55 + 0.01 * seed for seed in range(count)]
    return [
        *seeds(name, task, ours, **others),
        *seeds("triplet_gmpnn", task, [0.5] * count, **others),
    ]


def test_a_row_says_what_was_found():
    (table,) = shown(*pair_of()).grids
    cells = dict(zip(table.headings, table.rows[0], strict=True))
    assert cells["program"] == "gmpnn" and cells["task"] == "bfs" and cells["seeds"] == "4"
    assert cells["baseline"] == "50.00" and cells["score"] == "56.50"
    assert cells["difference"] == "+6.50"
    assert cells["p"] == cells["least p"] == "0.12"
    assert cells["verdict"] == "too few seeds"
    assert "1 task and 1 program looked at take 6 seeds" in table.caption


def test_every_table_of_a_reduced_protocol_says_so_and_no_other():
    reduced = shown(
        *pair_of(options=SMALL),
        *pair_of("dfs", options=SMALL),
        result("gmpnn", "heapsort", options=SMALL),
        looked_at=2,
    )
    assert len(reduced.grids) == 3
    assert all("train_steps 300 (in full 10000)" in table.caption for table in reduced.grids)
    assert "reduced protocol" in reduced.plot
    full = shown(*pair_of(), *pair_of("dfs"))
    assert not any("educed" in table.caption for table in full.grids)
    assert "reduced protocol" not in full.plot


def test_the_plot_has_a_mark_for_every_seed_and_mean_where_the_data_says():
    plot = ElementTree.fromstring(shown(*pair_of(), *pair_of("dfs", count=3)).plot)
    seeds_ = [e for e in plot.iter(f"{SVG}circle") if e.get("class") == "each"]
    means = [e for e in plot.iter(f"{SVG}circle") if e.get("class") != "each"]
    assert len(seeds_) == 7 and len(means) == 2
    assert len(list(plot.iter(f"{SVG}polygon"))) == 1  # the mean over tasks
    (zero,) = [e for e in plot.iter(f"{SVG}line") if e.get("class") == "zero"]
    xs = [float(e.get("cx")) for e in seeds_[:4]]
    assert xs == sorted(xs) and float(zero.get("x1")) < xs[0]
    assert float(means[0].get("cx")) == pytest.approx(sum(xs) / 4, abs=0.1)


def test_what_someone_wrote_is_harmless_in_every_form(capsys):
    page = shown(*pair_of(name=HOSTILE), result(HOSTILE, seed=9))
    ElementTree.fromstring(page.plot)
    assert "<script>" not in page.plot
    markdown = grid.in_markdown(page)
    tables = [line for line in markdown.splitlines() if line.startswith("|")]
    assert "<script>" not in "".join(tables) and "\x1b" not in markdown
    widths = {line.replace("\\|", "").count("|") for line in tables if "bfs" in line}
    assert widths == {13, 5}  # the cells of the two tables, none of them split by the name
    grid.show(page)
    assert "\x1b[31m" not in capsys.readouterr().out


def test_numbers_as_people_write_them():
    assert [points(1.2), points(-0.354)] == ["+1.20", "−0.35"]
    assert [p_value(p) for p in (0.0001, 0.03125, 0.0625, 0.25, 1.0)] == [
        *("<0.001", "0.031", "0.062", "0.25", "1.00"),
    ]
