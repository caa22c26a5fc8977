"""The proposer as the loop sees it."""

import ast
import dataclasses
import subprocess
import sys

import hypothesis
import pytest
from hypothesis import strategies as st

from evo_clrs import program, programs, proposers, records, slots
from evo_clrs.errors import UserError
from evo_clrs.gates import static
from evo_clrs.proposers.grammar.edits import KINDS
from evo_clrs.proposers.grammar.proposer import MAX_BYTES, Grammar
from evo_clrs.proposers.grammar.survey import survey_proposals
from tests.proposers.grammar.gallery import FREE_STYLE, imported, request_for

SLOTS = [slots.PROCESSOR, slots.TRIPLET]
SOURCES = {slot.name: list(programs.load(slot.name).values()) for slot in SLOTS}
SOURCES["processor"].append(FREE_STYLE)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    slot=st.sampled_from(SLOTS),
    picks=st.lists(st.integers(0, 1000), min_size=1, max_size=4),
    seed=st.integers(0, 2**63 - 1),
    index=st.integers(0, 10_000),
)
def test_children_of_any_parents_are_programs_of_the_slot(slot, picks, seed, index):
    sources = [SOURCES[slot.name][pick % len(SOURCES[slot.name])] for pick in picks]
    request = request_for(*sources, index=index)
    (child,) = Grammar().propose(request, slot, "", seed)
    assert Grammar().propose(request, slot, "another prompt", seed) == [child]
    static.check(child.source, slot)
    assert imported(child.source) <= set(slot.imports)
    assert len(child.source.encode()) <= MAX_BYTES
    assert 1 <= len(child.edits) <= 3 and set(child.edits) <= set(KINDS)
    assert program.identity(child.source) not in map(program.identity, sources)
    assert ast.get_docstring(ast.parse(child.source))


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_a_sample_depends_on_its_position_alone(slot):
    sources = SOURCES[slot.name][:2]
    many = Grammar().propose(request_for(*sources, samples=4), slot, "", 7)
    few = Grammar().propose(request_for(*sources, samples=2), slot, "", 7)
    assert len(many) == 4 and many[:2] == few
    assert len({child.source for child in many}) == 4


def test_seeds_and_requests_give_different_children():
    slot, sources = slots.PROCESSOR, SOURCES["processor"][:2]
    children = {
        Grammar().propose(request_for(*sources, index=index), slot, "", seed)[0].source
        for index in range(3)
        for seed in range(3)
    }
    assert len(children) == 9


def test_unreadable_parents_are_left_out():
    slot, good = slots.TRIPLET, SOURCES["triplet"][0]
    (child,) = Grammar().propose(request_for("def (", "x = 1", good), slot, "", 0)
    static.check(child.source, slot)
    deep = good.replace("axis=1)", f"axis={'-' * 2000}1)")
    (nothing,) = Grammar().propose(request_for("def (", "\0", deep), slot, "", 0)
    assert nothing == records.Proposal(source="")


def test_the_registry_makes_proposers_by_name():
    assert proposers.make("grammar").name == "grammar"
    with pytest.raises(UserError, match="'oracle'.*grammar"):
        proposers.make("oracle")


def test_a_slot_without_a_grammar_is_an_error():
    slot = dataclasses.replace(slots.TRIPLET, name="novel")
    with pytest.raises(UserError, match="'novel'"):
        Grammar().propose(request_for(SOURCES["triplet"][0]), slot, "", 0)


def test_proposing_needs_no_jax():
    code = (
        "import sys, evo_clrs.proposers.grammar.survey; "
        "sys.exit(any(name in sys.modules for name in ('jax', 'haiku', 'clrs')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_a_survey_shows_every_kind_of_edit(slot):
    seeds = programs.seeds(slot.name)
    count = 150
    surveyed = list(survey_proposals(slot, seeds, count, seed=1))
    assert [p.source for _, p in surveyed[:5]] == [
        p.source for _, p in survey_proposals(slot, seeds, 5, seed=1)
    ]
    shares = {kind: sum(kind in p.edits for _, p in surveyed) / count for kind in KINDS}
    assert min(shares.values()) >= 0.02, shares
    assert len({program.identity(p.source) for _, p in surveyed}) > 0.95 * count
    known = set(seeds.values())
    grown = [parents for parents, _ in surveyed if not set(parents) <= known]
    assert len(grown) > count / 4  # many parents are children themselves
