"""Arms as tables and curves: what a reader sees is what the data says."""

import re
import xml.etree.ElementTree as ElementTree

from evo_clrs.comparison import arms
from evo_clrs.comparison.arms import Arm
from evo_clrs.report import grid
from evo_clrs.report.arms import sheet

SVG = "{http://www.w3.org/2000/svg}"
BASE = Arm("grammar", {seed: (-9.0, -4.0 - seed) for seed in range(5)})
BETTER = Arm("embedded", {seed: (-8.0, -3.0 - seed) for seed in range(5)})
FOUND = arms.compare("mst_prim", [BASE, BETTER], "grammar", 2)


def cells(place):
    (table,) = sheet([FOUND]).grids
    return list(zip(table.headings, table.rows[place], strict=True))


def test_a_row_says_what_was_found():
    told = cells(1)
    assert told[:3] == [("arm", "embedded"), ("runs", "5"), ("best fitness", "-5")]
    assert told[4] == ("difference", "1")
    assert told[6:9] == [("p", "0.062"), ("corrected p", "0.062"), ("least p", "0.062")]
    assert told[-1] == ("verdict", "too few runs")


def test_the_baseline_has_no_test():
    told = cells(0)
    assert told[4] == ("difference", "baseline")
    assert {value for _, value in told[5:]} == {""}


def test_the_plot_draws_every_arm_with_its_interval(tmp_path):
    shown = sheet([FOUND, FOUND], ["a note"])
    root = ElementTree.fromstring(shown.plot)
    lines = [path.get("class") for path in root.iter(f"{SVG}path")]
    assert lines.count("arm a0") == lines.count("arm a1") == 4  # curve and key, on two problems
    assert lines.count("arm a0 bound") == 4
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert words.count("embedded") == 2 and words.count("mst_prim") == 2
    grid.keep(shown, tmp_path)
    assert "a note" in (tmp_path / "proposers.md").read_text()


def test_early_values_far_below_do_not_press_the_rest_into_a_line():
    runs = {seed: (-1e6, -5.0, -4.0, -3.0, -2.0 - seed) for seed in range(5)}
    found = arms.compare("mst_prim", [Arm("grammar", runs)], "grammar", 5)
    root = ElementTree.fromstring(sheet([found]).plot)
    curve = next(path for path in root.iter(f"{SVG}path") if path.get("class") == "arm a0")
    heights = [float(y) for y in re.findall(r"[ML ][\d.]+[ ,]([\d.]+)", curve.get("d"))]
    assert len(heights) == 5
    assert heights[1] - heights[-1] > 50  # in pixels, downwards
