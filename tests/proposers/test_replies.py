"""Programs read from replies: continuations, fences, prose, several blocks, cut-off ends, edits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo_clrs import programs
from evo_clrs.gates import static
from evo_clrs.proposers import replies
from evo_clrs.slots import CELL, PROCESSOR, SLOTS, TRIPLET

V1 = programs.load("triplet")["v1_standard"]
BODY = V1.partition(TRIPLET.opening)[2]
CODE = V1[V1.index("import haiku") :]
FEW_SHOT = f"parents\n{TRIPLET.opening}"
NEXT = """

\"\"\"Metrics: {'num_params': '1'}\"\"\"
import haiku as hk


def get_triplet_msgs(z):
    return z
"""


def read(text, prompt="Write a program.", slot=TRIPLET, shown=(), cut=""):
    return replies.read(text, prompt, slot, shown, cut)


def test_a_continuation_gets_its_opening_and_the_imports_it_uses():
    found = read(BODY, FEW_SHOT)
    assert found == replies.Read(CODE)
    static.check(found.source, TRIPLET)


def test_a_continuation_ends_where_the_next_program_begins():
    assert read(BODY + NEXT, FEW_SHOT) == replies.Read(CODE)


def test_a_continuation_that_begins_at_the_margin_is_indented():
    flat = "\n".join(line[4:] for line in BODY.splitlines())
    assert read(flat, FEW_SHOT).source == CODE


def test_a_chat_model_may_answer_a_few_shot_prompt_with_the_whole_program():
    assert read(f"Sure!\n```python\n{V1}```\nGood luck.", FEW_SHOT).source == V1


@pytest.mark.parametrize(
    "text",
    [
        V1,
        f"```python\n{V1}```",
        f"```py\n{V1}\n```\n",
        f"Here it is:\n\n```\n{V1}```\nIt uses less.",
        f"Here it is:\n\n{V1}\n\nIt uses less, I think.",
        f"```python\n{V1}",
    ],
    ids=["bare", "fenced", "short name", "prose around", "no fence", "no end of the fence"],
)
def test_an_answer_may_have_fences_and_prose_around_its_program(text):
    assert read(text) == replies.Read(V1)


def test_of_several_blocks_the_last_with_the_definition_is_taken():
    text = f"First\n```python\n{V1}```\nor\n```python\n{CODE}```\nrun\n```\npython x.py\n```\n"
    found = read(text)
    assert found.source == CODE
    assert found.note == "the last of 2 blocks with the definition, of 3"


@pytest.mark.parametrize(
    ("text", "cut", "note"),
    [
        ("", "", "empty reply"),
        ("I am sorry.", "", "the reply holds no code"),
        ("```python\nx = 1\n```", "", "no block defines `get_triplet_msgs`"),
        ("I will", "cut off at 2 tokens", "cut off at 2 tokens: the reply holds no code"),
        (
            f"```python\n{V1[:-30]}",
            "cut off at 400 tokens",
            "cut off at 400 tokens: the reply does not end",
        ),
    ],
)
def test_a_reply_without_a_program_says_why(text, cut, note):
    assert read(text, cut=cut) == replies.Read("", note)


def test_a_program_that_was_whole_before_the_cut_is_taken():
    assert read(BODY + NEXT, FEW_SHOT, cut="cut off at 9 tokens") == replies.Read(
        CODE, "cut off at 9 tokens"
    )


def test_words_are_kept_as_they_are():
    assert replies.read("Keep it.\n", "", CELL, (), words=True).source == "Keep it."


def test_edits_apply_to_a_program_shown():
    text = (
        "I take the sum.\n```python\n<<<<<<< SEARCH\n    reduced = jnp.max(triplets, axis=1)  "
        "# [B, N, N, K]\n=======\n    reduced = jnp.sum(triplets, axis=1)\n>>>>>>> REPLACE\n```"
    )
    found = read(text, shown=("x = 1\n", V1))
    assert "jnp.sum(triplets, axis=1)" in found.source
    static.check(found.source, TRIPLET)


def test_edits_that_do_not_fit_say_why():
    text = "<<<<<<< SEARCH\nnothing\n=======\nsomething\n>>>>>>> REPLACE"
    assert read(text, shown=(V1,)) == replies.Read(
        "", "edit 1: its search lines are in no program shown: `nothing`"
    )


@pytest.mark.parametrize("slot", ["processor", "triplet", "network"])
def test_every_packaged_program_is_read_back_from_a_continuation(slot):
    """Also through what a model would write after it."""
    for source in programs.load(slot).values():
        before, opening, body = source.partition(SLOTS[slot].opening)
        if not opening or "\ndef " in before:  # it opens in other words, or has helpers above
            continue
        found = read(body + NEXT, f"parents\n{opening}", SLOTS[slot])
        static.check(found.source, SLOTS[slot])
        assert found.source.endswith(opening + body)


@given(st.text(alphabet="ab \n`\"'<>=#(){}:", max_size=80))
def test_no_reply_breaks_the_reader(text):
    for prompt in ("Write.", PROCESSOR.opening):
        found = replies.read(text, prompt, PROCESSOR, (V1,))
        assert found.source or found.note
