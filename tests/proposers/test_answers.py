"""What a model should have written: read as a reply, it gives the program again."""

import pytest

from evo_clrs import program, programs
from evo_clrs.proposers import answers, patches, prompts, replies
from evo_clrs.proposers.base import Lesson
from evo_clrs.proposers.pretraining import corpus
from evo_clrs.records import Parent, Request
from evo_clrs.slots import SLOTS, TRIPLET

STANDARD, MLPS = (programs.load("triplet")[name] for name in ("v1_standard", "v4_node_mlps"))


@pytest.mark.parametrize("name", ["processor", "triplet", "network"])
def test_edits_read_as_a_reply_give_the_child(name, monkeypatch):
    monkeypatch.setattr(corpus, "CHUNK", 3)
    slot = SLOTS[name]
    read = 0
    for family in corpus.families(slot, 5):
        prompt = "...\n" + patches.OPENING
        for child in family.children:
            reply = answers.answer(Lesson(prompt, family.parents, child.source), slot)
            found = replies.read(reply, prompt, slot, family.parents)
            assert not found.note
            assert _code(found.source) == _code(child.source)
            read += 1
    assert read > 10


def _code(source):
    """Returns what a program computes, without its imports and what its module is called."""
    text = program.normal_form(source)
    kept = [line for line in text.splitlines() if not line.startswith("import ")]
    return "\n".join(line for line in kept if "name: str=" not in line)


def test_the_program_that_is_nearest_is_edited_and_named():
    changed = MLPS.replace("jnp.max(", "jnp.min(")
    for parents, number in (((STANDARD, MLPS), 2), ((MLPS, STANDARD), 1)):
        text = answers.edited(changed, parents, (100, 200, 90), ("reduction: max becomes min",))
        ratio = 90 / (200 if number == 2 else 100)
        first, second, third = text.splitlines()[:3]
        assert first == f" {number}, parameters x {ratio:.2f}"
        assert second == "# reduction: max becomes min"
        assert third == "<<<<<<< SEARCH"
        assert "min(" in text and text.count("SEARCH") == 1


def test_an_answer_tells_sizes_as_measured_and_changes_as_the_reply_did():
    written = "1, parameters x 0.90\n# reduction: max becomes min\n# width: H\n<<<<<<< SEARCH\n"
    changes = answers.changes(written)
    assert changes == ("reduction: max becomes min", "width: H")
    prompt, changed = "...\n" + patches.OPENING, MLPS.replace("jnp.max(", "jnp.min(")
    lesson = Lesson(prompt, (STANDARD, MLPS), changed, (100.0, 200.0, 150.0), changes)
    reply = answers.answer(lesson, TRIPLET)
    assert reply.startswith(" 2, parameters x 0.75\n# reduction: max becomes min\n# width: H\n<<<")
    assert answers.changes("") == answers.changes(MLPS) == ()


def test_a_number_says_which_of_two_like_programs_is_meant():
    """The edit fits both: the first would be taken, were it not for the number."""
    first, second = STANDARD, STANDARD.replace("jnp.max(", "jnp.min(")
    child = second.replace("hk.Linear(out_size)", "hk.Linear(out_size, with_bias=False)")
    assert child != second != first
    prompt = "...\n" + patches.OPENING
    reply = answers.answer(Lesson(prompt, (first, second), child), TRIPLET)
    assert reply.startswith(" 2\n")
    assert "min(" in replies.read(reply, prompt, TRIPLET, (first, second)).source
    assert "min(" not in replies.read(reply, "Edit one:", TRIPLET, (first, second)).source


def test_a_program_that_goes_on_from_the_opening_is_the_rest_of_it():
    request = Request(0, 0, (Parent("a", STANDARD, {}),), {"num_params": 100}, (1.0,))
    prompt = prompts.load("paper").build(request, TRIPLET)
    lesson = Lesson(prompt, (STANDARD,), MLPS)
    assert answers.answer(lesson, TRIPLET) == MLPS[MLPS.index(TRIPLET.opening) :]


def test_there_is_no_answer_that_gives_a_parent_again_or_a_program_without_the_opening():
    prompt = "...\n" + patches.OPENING
    opening = "...\n" + TRIPLET.opening
    assert answers.answer(Lesson(prompt, (STANDARD,), STANDARD), TRIPLET) == ""
    assert answers.answer(Lesson(opening, (), "x = 1\n"), TRIPLET) == ""
    assert answers.answer(Lesson(prompt, (STANDARD,), "not a program ("), TRIPLET) == ""
