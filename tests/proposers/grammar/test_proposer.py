"""The proposer as the loop sees it."""

import ast
import dataclasses
import hashlib
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


# Hashes of what `vary`, EvoPrompting's operation, proposed before there were other operations.
VARIED = {
    "processor": {
        (0, 0): "18978b830afc320a",
        (0, 5): "eba4ad214ccfe97a",
        (1, 0): "627ad10e0173f96c",
        (1, 5): "16597d770baf8c3e",
        (2, 0): "021d62fd32c5593a",
        (2, 5): "99609918432f4751",
    },
    "triplet": {
        (0, 0): "c898158adc69acfa",
        (0, 5): "56615d0e6360d18b",
        (1, 0): "356682a400287cd2",
        (1, 5): "288ae3878b00f95f",
        (2, 0): "c47a9a1e8d48a3fe",
        (2, 5): "027621c8372eb7d5",
    },
}


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_variations_are_what_they_always_were(slot):
    seeds = list(programs.seeds(slot.name).values())
    for (seed, index), expected in VARIED[slot.name].items():
        parents = seeds[:3] if index == 0 else seeds[1:4]
        children = Grammar().propose(request_for(*parents, samples=3, index=index), slot, "", seed)
        told = "\0".join(f"{child.source}|{','.join(child.edits)}" for child in children)
        assert hashlib.sha256(told.encode()).hexdigest()[:16] == expected


def propose(slot, operation, accuracies=(0.5, 0.9, 0.9, 0.1), samples=12, kinds=()):
    """Returns the seeds asked with, as many as accuracies, and their children."""
    sources = list(programs.seeds(slot.name).values())[: len(accuracies)]
    request = request_for(*sources, samples=samples)
    parents = tuple(
        dataclasses.replace(parent, metrics={"val_accuracy": accuracy})
        for parent, accuracy in zip(request.parents, accuracies, strict=True)
    )
    request = dataclasses.replace(request, parents=parents, operation=operation, kinds=kinds)
    children = Grammar().propose(request, slot, "", 0)
    for child in children:
        static.check(child.source, slot)
        assert program.identity(child.source) not in map(program.identity, sources)
    return sources, children


def alone(slot, source, operation, **settings):
    """Returns the children of one parent."""
    request = dataclasses.replace(request_for(source, samples=12), operation=operation, **settings)
    return Grammar().propose(request, slot, "", 0)


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_a_mutation_is_one_edit_of_the_first_parent(slot):
    sources, children = propose(slot, "mutate", kinds=("norm", "activation"))
    assert {child.edits for child in children} == {("norm",), ("activation",)}
    # These kinds need no other parent, so that the first one alone has the same children.
    assert alone(slot, sources[0], "mutate", kinds=("norm", "activation")) == children
    assert {len(child.edits) for child in propose(slot, "mutate")[1]} == {1}


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_a_crossover_puts_a_part_of_another_parent_into_the_first(slot):
    sources, children = propose(slot, "crossover")
    assert {child.edits for child in children} == {("crossover",)}
    assert len({child.source for child in children}) > 6
    assert alone(slot, sources[0], "crossover") == alone(slot, sources[0], "vary")


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_improving_varies_the_most_accurate_parent_the_last_of_equals(slot):
    sources, children = propose(slot, "improve", kinds=("norm",))
    assert alone(slot, sources[2], "vary", kinds=("norm",)) == children
    assert {kind for child in children for kind in child.edits} == {"norm"}


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_random_programs_are_many_edits_away(slot):
    _, children = propose(slot, "random")
    counts = [len(child.edits) for child in children]
    assert min(counts) >= 3 and max(counts) <= 10 and sum(counts) / 12 > 5
    assert len({program.identity(child.source) for child in children}) == 12


def test_kinds_that_the_slot_lacks_do_not_restrict():
    assert propose(slots.TRIPLET, "vary", kinds=("grow",)) == propose(slots.TRIPLET, "vary")
    _, named = propose(slots.TRIPLET, "vary", kinds=("grow", "depth", "norm"))
    assert {kind for child in named for kind in child.edits} == {"depth", "norm"}


def test_there_are_no_words():
    request = request_for(SOURCES["triplet"][0], samples=2)
    request = dataclasses.replace(request, operation="principles")
    nothing = records.Proposal(source="")
    assert Grammar().propose(request, slots.TRIPLET, "", 0) == [nothing, nothing]


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
