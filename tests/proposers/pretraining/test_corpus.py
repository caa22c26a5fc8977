"""The corpus: children with their parents, kept chunk by chunk."""

import ast
import json

import pytest

from evo_clrs import program, slots
from evo_clrs.gates import static
from evo_clrs.programs import seeds
from evo_clrs.proposers.pretraining import corpus
from evo_clrs.proposers.replies import with_imports


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(corpus, "CHUNK", 8)


@pytest.mark.parametrize("name", ["processor", "triplet", "network"])
def test_children_pass_the_static_gate_and_differ_from_their_parents_and_each_other(name, short):
    slot = slots.SLOTS[name]
    families = list(corpus.families(slot, 3))
    assert len(families) >= 6
    for family in families:
        assert len(family.parents) == 2
        known = {program.identity(parent) for parent in family.parents}
        children = {program.identity(child.source) for child in family.children}
        assert len(children) == len(family.children) >= 1
        assert known.isdisjoint(children)
        for child in family.children:
            static.check(with_imports(child.source, slot), slot)


def test_parents_are_children_of_before_or_seeds(short):
    known = {program.identity(source) for source in seeds("triplet").values()}
    grown = 0
    for family in corpus.families(slots.TRIPLET, 3):
        parents = {program.identity(parent) for parent in family.parents}
        assert parents <= known
        grown += not parents <= {program.identity(s) for s in seeds("triplet").values()}
        known |= {program.identity(child.source) for child in family.children}
    assert grown > 3


def test_a_child_tells_what_was_changed(short):
    for family in corpus.families(slots.TRIPLET, 3):
        for child in family.children:
            assert child.changes
            for told in child.changes:
                kind, _, change = told.partition(": ")
                assert kind.isalpha() and change


def test_texts_hold_no_comments_and_no_docstrings(short):
    for family in corpus.families(slots.TRIPLET, 3):
        for text in (*family.parents, *(child.source for child in family.children)):
            assert "#" not in text and ast.get_docstring(ast.parse(text)) is None


def test_chunks_are_kept_and_read_again(tmp_path, short):
    first = list(corpus.make(tmp_path, {"network": [0, 1]}))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "network-0.jsonl",
        "network-1.jsonl",
    ]
    child = {"source": "y", "changes": ["depth: less"]}
    line = json.dumps({"slot": "network", "parents": ["x"], "children": [child]})
    (tmp_path / "network-1.jsonl").write_text(line + "\n")
    again = list(corpus.make(tmp_path, {"network": [0, 1]}))
    assert again[0] == first[0]
    assert again[1] == [corpus.Family("network", ("x",), (corpus.Child("y", ("depth: less",)),))]
