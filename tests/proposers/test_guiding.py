"""Guided search lines: whatever is drawn, they stand in the program at one place."""

import random

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from evo_clrs import program, programs  # noqa: E402
from evo_clrs.proposers import guiding, patches  # noqa: E402
from evo_clrs.proposers.pretraining import tokens  # noqa: E402
from evo_clrs.slots import PROCESSOR, TRIPLET  # noqa: E402

SOURCES = tuple(programs.load("processor").values())
BARE = [program.bare(source) for source in SOURCES]
MARKS = "\n<<<<<<< SEARCH\n    a = b\n=======\n    a = c\n>>>>>>> REPLACE\n"
TOKENIZER = tokens.learn([*BARE, *[MARKS] * 20], 700)
PIECES = guiding.Pieces(TOKENIZER)
FIRST = " 2\n<<<<<<< SEARCH"
SIMPLE = "def f(x):\n    y = x + x\n    z = y * x\n    return z\n"


def guided(sources, slot=PROCESSOR):
    return guiding.Guide(PIECES, sources, slot)


def piece(token):
    return TOKENIZER.decode([token], clean_up_tokenization_spaces=False)


def tokens_of(text):
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def allowed(guide, text):
    """Returns all tokens that may follow."""
    return [token for token in range(len(TOKENIZER)) if guide.admits(text, token)]


def letters(guide, text):
    """Returns the first letters of all that may follow."""
    return {piece(token)[0] for token in allowed(guide, text)}


def written(guide, text, more):
    """Goes on token by token as far as it is let through; returns what was written."""
    for token in tokens_of(more):
        if not guide.admits(text, token):
            return text
        text += piece(token)
    return text


@pytest.mark.parametrize("seed", range(40))
def test_search_lines_stand_at_one_place_whatever_is_drawn(seed):
    rng = random.Random(seed)
    chosen = rng.sample(SOURCES, 2)
    guide = guided(chosen)
    text = FIRST
    while "\n=======\n" not in text:
        text += piece(rng.choice(allowed(guide, text)))
    search = text.partition(" SEARCH\n")[2].partition("\n=======\n")[0]
    edit = patches.Edit(tuple(search.split("\n")), ("    pass",))
    assert "    pass\n" in patches.apply([edit], [program.bare(chosen[1])])


@pytest.mark.parametrize("number", range(0, len(BARE), 3))
def test_edits_between_two_programs_are_let_through(number):
    one, other = BARE[number], BARE[number - 1]
    edits = patches.write(patches.between(one, other))
    guide = guided((one,))
    text = written(guide, " 1\n", edits)
    assert len(text) > 40 and len(patches.read(text.rpartition("<<<<<<<")[0])) >= 1


def test_an_edit_may_be_written_as_it_should_be():
    edits = patches.write(patches.between(SIMPLE, SIMPLE.replace("y * x", "y * y")))
    guide = guided((SIMPLE,))
    assert written(guide, " 1\n", edits) == " 1\n" + edits


def test_lines_of_another_program_are_not_let_through():
    guide = guided(("x = 1\ny = 2\n", "z = 3\n"))
    assert {piece(token)[1:2] for token in allowed(guide, FIRST)} <= {"z", ""}
    assert guide.admits(" 3\n<<<<<<< SEARCH", 70)  # there is no such program


def test_a_second_edit_sees_what_the_first_one_wrote():
    guide = guided(("x = 1\n",))
    text = " 1\n<<<<<<< SEARCH\nx = 1\n=======\nq = 7\n>>>>>>> REPLACE\n<<<<<<< SEARCH\n"
    assert letters(guide, text) == {"q"}


def test_a_line_that_stands_twice_goes_on():
    guide = guided(("x = 1\nx = 1\ny = 2\n",))
    assert "=" not in letters(guide, " 1\n<<<<<<< SEARCH\nx = 1\n")


def test_a_line_in_the_place_of_others_uses_names_that_stand_there():
    guide = guided((SIMPLE,))
    text = " 1\n<<<<<<< SEARCH\n    y = x + x\n=======\n    y = x * "
    assert "x" in letters(guide, text)
    assert not letters(guide, text) & {"y", "q", ")", "\n", "\0"}


def test_a_reply_ends_when_it_changed_something_and_every_name_stands():
    guide = guided((SIMPLE,))
    end = TOKENIZER.eos_token_id
    edit = " 1\n<<<<<<< SEARCH\n    y = x + x\n=======\n    {} = x\n>>>>>>> REPLACE\n"
    assert guide.admits(edit.format("y"), end)
    assert not guide.admits(edit.format("y").replace("= x\n", "= x + x\n"), end)
    gone = edit.format("w")
    assert not guide.admits(gone, end)
    # The next edit is of the line that used the name that is gone.
    again = gone + "<<<<<<< SEARCH\n    "
    assert letters(guide, again) == {"z"}


def test_a_reply_does_not_end_with_shapes_that_are_sure_to_fail():
    source = program.bare(programs.load("triplet")["v1_standard"])
    guide, end = guided((source,), TRIPLET), TOKENIZER.eos_token_id
    edit = " 1\n<<<<<<< SEARCH\n    {}\n=======\n    {}\n>>>>>>> REPLACE\n"
    fine = edit.format("reduced = jnp.max(triplets, axis=1)", "reduced = jnp.min(triplets, axis=2)")
    assert guide.admits(fine, end)
    fails = fine.replace("axis=2", "axis=7")
    assert not guide.admits(fails, end)
    assert letters(guide, fails + "<<<<<<< SEARCH\n    ") == {"r"}  # that line once more
    falls_short = fine.replace("axis=2", "axis=(1, 2)")
    assert not guide.admits(falls_short, end)
    assert "return" in "".join(
        piece(token) for token in allowed(guide, falls_short + "<<<<<<< SEARCH\n    ")
    )


def test_a_tokenizer_whose_texts_do_not_join_guides_nothing():
    class Joined:
        all_special_ids = ()

        def __len__(self):
            return 3

        def __call__(self, text, add_special_tokens):
            return {"input_ids": [0, 1]}

        def decode(self, tokens, clean_up_tokenization_spaces):
            return "x"

    assert guiding.Guide(guiding.Pieces(Joined()), SOURCES, PROCESSOR).admits(FIRST, 1)


def test_a_reply_says_the_ratio_that_is_told_after_the_number_that_it_chose():
    guide = guiding.Guide(PIECES, SOURCES, PROCESSOR, [", parameters x 0.70\n"] * 2)
    told = " 2, parameters x 0.70\n"
    assert written(guide, "", told) == told
    assert written(guide, "", " 2, parameters x 1.30\n").startswith(" 2, parameters x ")
    assert "1.30" not in written(guide, "", " 2, parameters x 1.30\n")
