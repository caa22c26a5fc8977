"""Plots put marks where the data says."""

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from evo_clrs.report import plots, svg
from evo_clrs.report.analysis import MEASURES, Family, Point

ACCURACY, ERROR, FITNESS = MEASURES


def marks(picture, kind="circle"):
    return [e.attrib for e in ElementTree.fromstring(picture).iter(kind)]


def test_a_scale_maps_its_ends_and_keeps_within():
    scale = svg.Scale(10, 1000, 0, 100, log=True)
    assert scale(10) == pytest.approx(0)
    assert scale(100) == pytest.approx(50)
    assert scale(1e9) == pytest.approx(100)
    assert svg.Scale(-1, 1, 300, 100)(0) == pytest.approx(200)


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [
        (0, 70, False),
        (-25_312, -6_000, False),
        (0.61, 0.62, False),
        (3e4, 5e5, True),
        (9, 11, True),
    ],
)
def test_ticks_are_few_round_and_within(low, high, log):
    ticks = svg.Scale(low, high, 0, 1, log).ticks(5)
    assert 3 <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))
    assert all(low <= tick <= high for tick in ticks)
    assert all(len(f"{tick:.3g}") <= 9 and float(f"{tick:.3g}") == tick for tick in ticks)


def test_best_over_time_has_a_mark_for_each_score_and_steps_up():
    scored = [(0, -9.0, "seed", True), (1, -5.0, "#1", False), (4, -7.0, "#4", False)]
    picture = plots.best_over_time(scored, [(0, -9.0), (1, -5.0)])
    dots = marks(picture)
    assert len(dots) == 2 and len(marks(picture, "polygon")) == 1
    higher, lower = (float(dot["cy"]) for dot in dots)
    assert higher < lower  # downwards in pixels
    path = next(p for p in marks(picture, "path") if p["class"] == "best-line")["d"]
    places = [tuple(map(float, pair.split())) for pair in path[1:].split("L")]
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)
    assert places[-1][1] == pytest.approx(higher)


def test_a_far_worse_score_stands_at_the_lower_edge_and_says_so():
    scored = [(i, -10.0 - i, f"#{i}", False) for i in range(10)] + [(10, -1e6, "#10", False)]
    picture = plots.best_over_time(scored, [(0, -10.0)])
    off = [dot for dot in marks(picture) if dot["class"].endswith(plots.OFF)]
    assert len(off) == 1
    assert float(off[0]["cy"]) == max(float(dot["cy"]) for dot in marks(picture))
    assert "below this scale" in picture and "-1,000,000" in picture


@pytest.mark.parametrize(("measure", "front"), [(ACCURACY, {0, 2}), (ERROR, {0, 1})])
def test_size_against_score_marks_the_front(measure, front):
    found = [
        Point(0, "#0", 100, 0.5, False),
        Point(1, "#1", 200, 0.3, False),
        Point(2, "#2", 300, 0.9, False),
    ]
    picture = plots.size_against_score(found, measure, best=2)
    on_front = {
        int(re.search(r"#(\d)", element[0].text)[1])
        for element in ElementTree.fromstring(picture).iter("circle")
        if "front" in element.attrib["class"]
    }
    assert on_front == front
    assert "best: #2" in picture


def test_bars_are_as_long_as_the_counts():
    picture = plots.stages({"static": 10, "trace": 0, "scored": 40})
    widths = [float(bar["width"]) for bar in marks(picture, "rect")]
    assert widths[1] == 0
    assert widths[2] == pytest.approx(4 * widths[0])
    assert "10 (20 %)" in picture and "40 (80 %)" in picture


def test_shares_fill_the_bar():
    picture = plots.spent([("tracing", 1.0), ("training", 3.0)])
    widths = [float(bar["width"]) for bar in marks(picture, "rect")]
    assert widths[1] == pytest.approx(3 * widths[0])
    assert plots.spent([("tracing", 0.0)]) == ""


def test_boxes_of_a_family_do_not_overlap_and_lines_pass_between_them():
    layers = ((0, 1, 2, 3), (4, 5), (6,), (7,))
    edges = ((0, 4), (1, 4), (2, 5), (3, 5), (4, 6), (5, 6), (6, 7), (0, 7), (3, 6), (1, 7))
    picture = plots.family_tree(
        Family(layers, edges, False), lambda index: (f"#{index}", "", "", index < 4)
    )
    boxes = [
        tuple(float(box[key]) for key in ("x", "y", "width", "height"))
        for box in marks(picture, "rect")
    ]
    assert len(boxes) == 8
    for i, (x, y, width, height) in enumerate(boxes):
        for x2, y2, width2, height2 in boxes[:i]:
            assert x >= x2 + width2 or x2 >= x + width or y >= y2 + height2 or y2 >= y + height
    lines = [line["d"] for line in marks(picture, "path")]
    assert len(lines) == len(edges)
    for line in lines:
        for x1, y1 in re.findall(r"L([\d.]+) ([\d.]+)", line)[1:]:  # where it passes a row
            for x, y, width, height in boxes:
                inside = x < float(x1) < x + width and y < float(y1) - 1 < y + height
                assert not inside


def test_one_score_or_none_is_drawn_too():
    assert plots.best_over_time([], []) == ""
    assert plots.size_against_score([], ACCURACY, None) == ""
    assert plots.stages({"scored": 0}) == ""
    for value in (0.0, -5.0, 1e-12, 3e9):
        picture = plots.best_over_time([(0, value, "s", True)], [(0, value)])
        assert "nan" not in picture and len(marks(picture, "polygon")) == 1
        picture = plots.size_against_score([Point(0, "s", 5, value, True)], FITNESS, 0)
        assert "nan" not in picture and math.isfinite(len(marks(picture, "polygon")))
