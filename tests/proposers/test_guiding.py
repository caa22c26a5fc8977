"""Guided search lines: whatever is drawn, they stand in the program at one place."""

import random

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from evo_clrs import program, programs  # noqa: E402
from evo_clrs.proposers import guiding, patches  # noqa: E402
from evo_clrs.proposers.pretraining import tokens  # noqa: E402

SOURCES = tuple(programs.load("processor").values())
BARE = [program.bare(source) for source in SOURCES]
MARKS = "\n<<<<<<< SEARCH\n    a = b\n=======\n    a = c\n>>>>>>> REPLACE\n"
TOKENIZER = tokens.learn([*BARE, *[MARKS] * 20], 700)
PIECES = guiding.Pieces(TOKENIZER)
FIRST = " 2\n<<<<<<< SEARCH"


def piece(token):
    return TOKENIZER.decode([token], clean_up_tokenization_spaces=False)


def drawn(guide, text, rng):
    """Goes on with tokens drawn from those that are let through, until the search lines end."""
    while (allowed := guide.allowed(text)) is not None:
        text += piece(rng.choice(allowed))
    return text


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_drawn_stands_at_one_place(seed):
    rng = random.Random(seed)
    chosen = rng.sample(SOURCES, 2)
    text = drawn(guiding.Guide(PIECES, chosen), FIRST, rng)
    search = text.partition(" SEARCH\n")[2].partition("\n=======\n")[0]
    edit = patches.Edit(tuple(search.split("\n")), ("    pass",))
    assert "    pass\n" in patches.apply([edit], [program.bare(chosen[1])])


def test_a_line_may_be_written_token_by_token_as_it_stands():
    guide = guiding.Guide(PIECES, SOURCES)
    line = next(line for line in BARE[1].splitlines() if BARE[1].count(line) == 1 and "hk." in line)
    text = FIRST
    for token in TOKENIZER(f"\n{line}\n=======\n")["input_ids"]:
        assert token in guide.allowed(text)
        text += piece(token)
    assert guide.allowed(text) is None


def test_lines_of_another_program_or_of_none_are_not_let_through():
    guide = guiding.Guide(PIECES, ("x = 1\ny = 2\n", "z = 3\n"))
    assert {piece(token)[1:2] for token in guide.allowed(FIRST)} <= {"z", ""}
    assert guide.allowed(" 3\n<<<<<<< SEARCH") is None  # there is no such program


def test_a_second_edit_sees_what_the_first_one_wrote():
    guide = guiding.Guide(PIECES, ("x = 1\n", "x = 1\n"))
    text = " 1\n<<<<<<< SEARCH\nx = 1\n=======\nq = 7\n>>>>>>> REPLACE\n<<<<<<< SEARCH\n"
    assert {piece(token)[0] for token in guide.allowed(text)} == {"q"}


def test_a_line_that_stands_twice_goes_on():
    guide = guiding.Guide(PIECES, ("x = 1\nx = 1\ny = 2\n",))
    allowed = guide.allowed(" 1\n<<<<<<< SEARCH\nx = 1\n")
    assert not any(piece(token).startswith("=") for token in allowed)


def test_elsewhere_anything_may_follow():
    guide = guiding.Guide(PIECES, SOURCES)
    for text in ("", " 1\n", " 1\n<<<<<<< SEARCH\nx\n=======\n", " 1\n# depth: less\n<<<<<<"):
        assert guide.allowed(text) is None


def test_a_tokenizer_whose_texts_do_not_join_guides_nothing():
    class Joined:
        all_special_ids = ()

        def __len__(self):
            return 3

        def __call__(self, text, add_special_tokens):
            return {"input_ids": [0, 1]}

        def decode(self, tokens, clean_up_tokenization_spaces):
            return "x"

    guide = guiding.Guide(guiding.Pieces(Joined()), SOURCES)
    assert guide.allowed(FIRST) is None
