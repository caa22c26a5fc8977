"""Principles from replies of all sorts, and by counting."""

import math

import pytest

from evo_clrs.errors import UserError
from evo_clrs.records import Parent
from evo_clrs.spaces import CELL, MACRO
from evo_clrs.strategies import principles

KEPT = (
    ("nor_conv_1x1", "nor_conv_3x3"),
    ("nor_conv_1x1",),
    ("nor_conv_3x3",),
    ("skip_connect",),
    ("none", "nor_conv_3x3"),
    ("nor_conv_3x3",),
)
LINES = """\
edge 0 to 1: nor_conv_1x1, nor_conv_3x3
edge 0 to 2: nor_conv_1x1
edge 1 to 2: nor_conv_3x3
edge 0 to 3: skip_connect
edge 1 to 3: none, nor_conv_3x3
edge 2 to 3: nor_conv_3x3"""


def examples(*designs: tuple[int, ...]) -> list[Parent]:
    return [Parent("", CELL.write(choices), {"val_accuracy": 0.5}) for choices in designs]


@pytest.mark.parametrize(
    "reply",
    [
        LINES,
        f"Convolutions help; edge 0 to 3: a skip is good.\n\n```text\n{LINES}\n```\nGood luck!",
        "\n".join(f"- **{line.replace(':', '**:')}." for line in LINES.splitlines()),
        "\n".join(
            f"{n}. `{line.upper().split(':')[0]}`: {line.split(': ')[1]}"
            for n, line in enumerate(LINES.splitlines(), 1)
        ),
        LINES.replace(", ", " and "),
        LINES.replace(", ", "`, `"),
        "\n".join(reversed(LINES.splitlines())),
        LINES.replace(
            "edge 0 to 1: nor_conv_1x1, nor_conv_3x3",
            "edge 0 to 1: nor_conv_3x3, nor_conv_1x1, nor_conv_3x3",
        ),
        f"edge 0 to 1: avg_pool_3x3 is tempting\n\nBut:\n{LINES}",
    ],
    ids=["plain", "fence", "bullets", "numbers", "and", "quotes", "order", "repeated", "last"],
)
def test_replies_are_read_through_what_stands_around(reply):
    assert principles.read_kept(reply, CELL, 2) == KEPT


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "the reply is empty"),
        (" \n", "the reply is empty"),
        ("Use convolutions everywhere.", "it has no line `edge 0 to 1: OPTION, OPTION`"),
        (LINES.rpartition("\n")[0], "it has no line `edge 2 to 3: OPTION, OPTION`"),
        (LINES.replace("skip_connect", "conv_7x7"), "edge 0 to 3 has no option conv_7x7"),
        (LINES.replace("skip_connect", "any"), "edge 0 to 3 has no option any"),
        (LINES.replace("skip_connect", ""), "it keeps no option at edge 0 to 3"),
        (
            LINES.replace("none,", "none, skip_connect,"),
            "it keeps 3 options of at most 2 at edge 1 to 3",
        ),
    ],
    ids=["empty", "blank", "prose", "missing", "unknown", "word", "none", "many"],
)
def test_unusable_replies_are_refused_with_the_reason(reply, reason):
    with pytest.raises(ValueError, match="^" + reason):
        principles.read_kept(reply, CELL, 2)


def test_without_a_limit_any_number_may_be_kept():
    everything = "\n".join(f"{place.name}: {', '.join(place.options)}" for place in CELL.places)
    assert principles.read_kept(everything, CELL) == (CELL.operations,) * 6


def test_what_is_written_reads_back():
    assert principles.in_words(KEPT, CELL) == LINES
    assert principles.read_kept(principles.in_words(KEPT, CELL), CELL, 2) == KEPT


def test_options_are_counted_place_by_place_most_frequent_first():
    lessons = principles.read_lessons(
        examples((3, 0, 1, 1, 3, 4), (3, 2, 1, 2, 3, 4), (2, 1, 1, 1, 3, 4))
    )
    assert lessons.space is CELL
    assert [list(place.items()) for place in lessons.counts] == [
        [("nor_conv_3x3", 2), ("nor_conv_1x1", 1)],
        [("none", 1), ("skip_connect", 1), ("nor_conv_1x1", 1)],
        [("skip_connect", 3)],
        [("skip_connect", 2), ("nor_conv_1x1", 1)],
        [("nor_conv_3x3", 3)],
        [("avg_pool_3x3", 3)],
    ]


COUNTS = (
    {"nor_conv_3x3": 34, "nor_conv_1x1": 15, "avg_pool_3x3": 1},
    {"nor_conv_1x1": 27, "nor_conv_3x3": 15, "skip_connect": 4, "none": 3, "avg_pool_3x3": 1},
    {"nor_conv_3x3": 37, "nor_conv_1x1": 8, "avg_pool_3x3": 3, "skip_connect": 2},
    {"skip_connect": 34, "nor_conv_1x1": 15, "nor_conv_3x3": 1},
    {"nor_conv_3x3": 22, "nor_conv_1x1": 14, "skip_connect": 6, "none": 5, "avg_pool_3x3": 3},
    {"nor_conv_3x3": 27, "nor_conv_1x1": 22, "skip_connect": 1},
)


def size(kept: principles.Kept) -> int:
    return math.prod(map(len, kept))


def test_the_histogram_rule_keeps_32_cells_of_imagenet16_120():
    # COUNTS are those of its 50 best cells by validation accuracy; 32 cells are published.
    kept = principles.frequent(COUNTS, CELL, 10)
    assert size(kept) == 32
    assert kept == (
        ("nor_conv_1x1", "nor_conv_3x3"),
        ("nor_conv_1x1", "nor_conv_3x3"),
        ("nor_conv_3x3",),
        ("skip_connect", "nor_conv_1x1"),
        ("nor_conv_1x1", "nor_conv_3x3"),
        ("nor_conv_1x1", "nor_conv_3x3"),
    )


def test_a_limit_keeps_the_most_frequent_and_one_stays_in_any_case():
    assert size(principles.frequent(COUNTS, CELL, 1, limit=2)) == 2**6
    only = principles.frequent(COUNTS, CELL, 100)
    assert [place[0] for place in only] == [next(iter(place)) for place in COUNTS]
    assert size(only) == 1


def test_what_is_kept_is_widened_where_there_is_room():
    kept = principles.frequent(COUNTS, CELL, 10, limit=2)
    wider = principles.widened(kept, COUNTS, CELL, limit=2)
    assert wider[2] == ("nor_conv_1x1", "nor_conv_3x3")
    assert wider[:2] + wider[3:] == kept[:2] + kept[3:]
    boundless = principles.widened(kept, COUNTS, CELL)
    assert boundless[0] == ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    nothing_left = principles.widened((("nor_conv_3x3",),) * 6, ({"nor_conv_3x3": 50},) * 6, CELL)
    assert nothing_left == (("nor_conv_3x3",),) * 6


def test_the_space_is_that_of_the_examples():
    macro = [Parent("", MACRO.write((2,) * 8), {"val_accuracy": 0.9})]
    assert principles.read_lessons(macro).space is MACRO
    with pytest.raises(UserError, match="none of one space"):
        principles.read_lessons([*macro, *examples((0,) * 6)])
    with pytest.raises(UserError, match="none of one space"):
        principles.read_lessons([Parent("", "class Processor:\n    pass\n", {})])
    with pytest.raises(UserError, match="--source holds no designs"):
        principles.read_lessons([])
