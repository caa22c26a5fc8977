"""The corpus: children that a reply could write, with their parents, kept chunk by chunk."""

import ast
import json

import pytest

from evo_clrs import program, slots
from evo_clrs.gates import static
from evo_clrs.programs import seeds
from evo_clrs.proposers import replies
from evo_clrs.proposers.grammar.survey import survey_proposals
from evo_clrs.proposers.pretraining import corpus


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(corpus, "CHUNK", 12)


@pytest.mark.parametrize("name", ["processor", "triplet", "network"])
def test_a_child_read_as_a_reply_is_the_program_that_the_grammar_proposed(name, short):
    slot = slots.SLOTS[name]
    proposed = {
        program.identity(proposal.source)
        for _, proposal in survey_proposals(slot, seeds(name), 12, 3)
    }
    families = list(corpus.families(slot, 3))
    assert len(families) >= 8
    for family in families:
        reply = family.child.removeprefix(slot.opening)
        read = replies.read("\n" + reply, slot.opening, slot, ())
        static.check(read.source, slot)
        assert program.identity(read.source) in proposed
        assert len(family.parents) == 2


def test_a_child_begins_with_what_was_changed(short):
    for family in corpus.families(slots.TRIPLET, 3):
        first = family.child.removeprefix(slots.TRIPLET.opening).splitlines()[0]
        kind, _, change = first.removeprefix("    # ").partition(": ")
        assert kind.isalpha() and change


def test_parents_hold_no_comments_and_no_docstrings(short):
    for family in corpus.families(slots.TRIPLET, 3):
        for parent in family.parents:
            assert "#" not in parent and ast.get_docstring(ast.parse(parent)) is None


def test_chunks_are_kept_and_read_again(tmp_path, short):
    first = list(corpus.make(tmp_path, {"network": [0, 1]}))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "network-0.jsonl",
        "network-1.jsonl",
    ]
    line = json.dumps({"slot": "network", "parents": ["x"], "child": "y"})
    (tmp_path / "network-1.jsonl").write_text(line + "\n")
    again = list(corpus.make(tmp_path, {"network": [0, 1]}))
    assert again[0] == first[0]
    assert again[1] == [corpus.Family("network", ("x",), "y")]
