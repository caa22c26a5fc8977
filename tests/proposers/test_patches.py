"""Search/replace edits: what fits, what does not, and what is said of it."""

import hypothesis
import pytest
from hypothesis import strategies as st

from evo_clrs.proposers import patches
from evo_clrs.proposers.patches import Edit

PROGRAM = "def f(x):\n    y = x + 1\n    z = x + 1\n    return y * z\n"


def test_edits_are_read_in_order():
    text = (
        "<<<<<<< SEARCH\na\n=======\nb\nc\n>>>>>>> REPLACE\nand\n"
        "<<<<<<< SEARCH\nd\n=======\n>>>>>>> REPLACE\n"
    )
    assert patches.read(text) == [Edit(("a",), ("b", "c")), Edit(("d",), ())]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< SEARCH\na\n=======\nb", "edit 1: it does not end with >>>>>>> REPLACE"),
        ("a\n>>>>>>> REPLACE", "edit 1: REPLACE without SEARCH and ======="),
        ("<<<<<<< SEARCH\na\n<<<<<<< SEARCH\n", "edit 1: a second SEARCH before its REPLACE"),
    ],
)
def test_a_missing_mark_is_told(text, message):
    with pytest.raises(ValueError, match=message):
        patches.read(text)


def test_lines_are_replaced():
    edit = Edit(("    return y * z",), ("    w = y * z", "    return w"))
    assert patches.apply([edit], [PROGRAM]).endswith("    w = y * z\n    return w\n")


def test_a_replacement_moves_with_lines_that_stand_further_in():
    edit = Edit(("return y * z",), ("if x:", "    return y", "return z"))
    assert patches.apply([edit], [PROGRAM]).endswith("    if x:\n        return y\n    return z\n")


def test_later_edits_see_what_earlier_ones_wrote():
    edits = [Edit(("    y = x + 1",), ("    y = x",)), Edit(("    y = x",), ("    y = 2",))]
    assert "    y = 2\n    z = x + 1\n" in patches.apply(edits, [PROGRAM])


def test_the_first_program_that_all_edits_fit_is_edited():
    other = "def g(x):\n    return x\n"
    edit = Edit(("    return x",), ("    return -x",))
    assert patches.apply([edit], [PROGRAM, other]) == "def g(x):\n    return -x\n"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Edit(("    w = 1",), ()), "edit 1: its search lines are in no program shown: `w = 1`"),
        (Edit(("    y = x + 1", "    y"), ()), "edit 1: its search lines are in no program"),
    ],
)
def test_lines_that_are_not_there_are_told(edit, message):
    with pytest.raises(ValueError, match=message):
        patches.apply([edit], [PROGRAM])


def test_lines_that_stand_twice_are_told():
    twice = PROGRAM.replace("z = x + 1", "y = x + 1")
    with pytest.raises(ValueError, match="edit 1: its search lines stand at 2 places"):
        patches.apply([Edit(("    y = x + 1",), ())], [twice])


def test_nothing_to_edit_is_told():
    with pytest.raises(ValueError, match="there is no program to edit"):
        patches.apply([Edit(("a",), ())], [])


LINES = st.lists(st.sampled_from(["a", "b", "    c", "", "    a", "d = 1", "  b"]), max_size=12)


@hypothesis.given(LINES, LINES)
def test_edits_between_two_programs_turn_one_into_the_other(before, after):
    old, new = ("\n".join([*lines, "end"]) + "\n" for lines in (before, after))
    edits = patches.read(patches.write(patches.between(old, new)))
    assert patches.apply(edits, [old]).splitlines() == new.strip("\n").splitlines()


def test_an_edit_between_has_no_more_lines_than_it_needs():
    new = PROGRAM.replace("    z = x + 1\n", "    z = x - 1\n")
    assert patches.between(PROGRAM, new) == [Edit(("    z = x + 1",), ("    z = x - 1",))]
    twice = PROGRAM.replace("    z", "    y")
    (edit,) = patches.between(twice, twice.replace("x + 1\n    y", "x - 1\n    y"))
    assert len(edit.search) == 2  # alone, the line stands at two places


def test_equal_programs_have_no_edits_between():
    assert patches.between(PROGRAM, PROGRAM) == []


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        (" 1\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n", False),
        (" 1\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n<<<<", False),
        (" 1\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n\n", False),
        (' 1\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n"""Metrics', True),
    ],
)
def test_a_text_has_ended_where_something_else_follows_an_edit(text, ended):
    assert patches.ended(text) == ended
