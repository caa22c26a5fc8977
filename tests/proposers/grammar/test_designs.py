"""The grammar on design slots."""

import collections
import dataclasses

import hypothesis
import pytest
import scipy.stats
from hypothesis import strategies as st

from evo_clrs import records, slots, spaces
from evo_clrs.proposers.grammar.designs import KINDS, TRAITS
from evo_clrs.proposers.grammar.proposer import Grammar

SLOTS = [slots.CELL, slots.MACRO, slots.SIZES]
OPERATIONS = [name for name in records.OPERATIONS if name != "principles"]

# Parameters of designs of NAS-Bench-Macro, as published in its table for CIFAR-10.
MACRO_PARAMETERS = {
    "00000000": 387882,
    "10000000": 396298,
    "20000000": 409834,
    "01012100": 857450,
    "02012100": 890666,
    "12012100": 899082,
    "02012200": 1055402,
    "11111111": 1588874,
    "21111111": 1602410,
    "11112111": 1704458,
    "11111112": 2016650,
    "22222222": 2932586,
}


def ask(slot, *designs, samples=1, index=0, seed=0, accuracies=None, **fields):
    """Returns the proposals for children of these designs."""
    accuracies = accuracies or [None] * len(designs)
    parents = tuple(
        records.Parent(
            program="",
            source=design if isinstance(design, str) else slot.space.write(design),
            metrics={} if accuracy is None else {"val_accuracy": accuracy},
        )
        for design, accuracy in zip(designs, accuracies, strict=True)
    )
    request = records.Request(
        index=index,
        round=0,
        parents=parents,
        targets={},
        temperatures=(1.0,) * samples,
        **fields,
    )
    return Grammar().propose(request, slot, "", seed)


def children(slot, *designs, **settings):
    """Returns the children of these designs as choices."""
    return [slot.space.read(child.source) for child in ask(slot, *designs, **settings)]


def differing(first, second):
    """Returns the places where two designs differ."""
    return [place for place, choice in enumerate(first) if choice != second[place]]


def designs_of(slot):
    return st.tuples(*(st.integers(0, len(place.options) - 1) for place in slot.space.places))


def allowed_of(slot):
    subsets = [
        st.lists(st.sampled_from(place.options), min_size=1, unique=True).map(tuple)
        for place in slot.space.places
    ]
    return st.just(()) | st.tuples(*subsets)


any_slot = st.sampled_from(SLOTS)
damaged = st.sampled_from(["", "def (", "x = 1", "def build_cell(x0):\n    return x0\n"])


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(data=st.data(), slot=any_slot, operation=st.sampled_from(OPERATIONS))
def test_any_request_is_answered_with_allowed_designs(data, slot, operation):
    parents = data.draw(st.lists(designs_of(slot) | damaged, max_size=6))
    names = [*KINDS, "attention", "sparkle"]
    request = {
        "samples": data.draw(st.integers(1, 4)),
        "seed": data.draw(st.integers(0, 2**63 - 1)),
        "index": data.draw(st.integers(0, 10_000)),
        "operation": operation,
        "kinds": tuple(data.draw(st.lists(st.sampled_from(names), max_size=3))),
        "allowed": data.draw(allowed_of(slot)),
    }
    proposals = ask(slot, *parents, **request)
    assert proposals == ask(slot, *parents, **request)
    assert len(proposals) == request["samples"]
    for proposal in proposals:
        choices = slot.space.read(proposal.source)
        assert proposal.source == slot.space.write(choices)
        assert set(proposal.edits) <= {*KINDS, "random"} and len(proposal.edits) <= 3
        for place, choice, options in zip(
            slot.space.places, choices, request["allowed"], strict=False
        ):
            assert place.options[choice] in options


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(data=st.data(), slot=any_slot, operation=st.sampled_from(OPERATIONS))
def test_a_sample_depends_on_its_position_alone(data, slot, operation):
    parents = data.draw(st.lists(designs_of(slot), min_size=1, max_size=4))
    many = ask(slot, *parents, samples=5, operation=operation)
    assert ask(slot, *parents, samples=2, operation=operation) == many[:2]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_words_and_temperatures_do_not_matter(operation):
    parents = (0, 1, 2, 3, 4, 0), (3, 3, 3, 3, 3, 3)
    source, other = map(slots.CELL.space.write, parents)
    request = records.Request(
        index=3,
        round=0,
        parents=(records.Parent("a", source, {}), records.Parent("b", other, {})),
        targets={},
        temperatures=(1.0,) * 8,
        operation=operation,
    )
    worded = dataclasses.replace(
        request, instruction="Use no pooling.", targets={"num_params": 1.0}, temperatures=(0.2,) * 8
    )
    plain = Grammar().propose(request, slots.CELL, "", 5)
    assert Grammar().propose(worded, slots.CELL, "a prompt", 5) == plain
    assert len({child.source for child in plain}) > 1


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(data=st.data(), slot=any_slot, seed=st.integers(0, 2**63 - 1))
def test_a_mutation_changes_exactly_one_place_of_the_first_parent(data, slot, seed):
    parents = data.draw(st.lists(designs_of(slot), min_size=1, max_size=3))
    (child,) = ask(slot, *parents, operation="mutate", seed=seed)
    assert len(differing(slot.space.read(child.source), parents[0])) == 1
    assert child.edits == ("replace",)


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_mutations_reach_all_neighbours_equally_often(slot):
    parent = tuple(number % 3 for number in range(len(slot.space.places)))
    found = collections.Counter(children(slot, parent, operation="mutate", samples=5000))
    neighbours = sum(len(place.options) - 1 for place in slot.space.places)
    assert len(found) == neighbours
    assert scipy.stats.chisquare(list(found.values())).pvalue > 0.001


def test_random_designs_are_uniform_among_the_allowed_ones():
    allowed = (("identity", "mb6_k5"),) * 3 + (("mb3_k3",),) * 5
    drawn = children(
        slots.MACRO, (1,) * 8, operation="random", samples=4000, allowed=allowed, kinds=("grow",)
    )
    found = collections.Counter(drawn)
    assert len(found) == 2**3
    assert scipy.stats.chisquare(list(found.values())).pvalue > 0.001


@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_parents_designs_are_drawn_at_random(operation):
    at_random = ask(slots.SIZES, operation="random", samples=20)
    assert ask(slots.SIZES, operation=operation, samples=20) == at_random
    assert ask(slots.SIZES, "def (", operation=operation, samples=20) == at_random
    assert {child.edits for child in at_random} == {("random",)}


def test_a_mutation_moves_what_is_not_allowed_and_changes_one_other_place():
    allowed = (("nor_conv_1x1", "nor_conv_3x3"),) * 6
    parent = (0, 2, 3, 2, 4, 3)  # two of six places are not allowed
    for child in children(slots.CELL, parent, operation="mutate", samples=200, allowed=allowed):
        assert set(child) <= {2, 3}
        assert len(differing(child, parent)) in (2, 3)  # the change may fall on a moved place


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(data=st.data(), slot=any_slot, seed=st.integers(0, 2**63 - 1))
def test_crossover_takes_places_from_both_parents(data, slot, seed):
    first, second = data.draw(st.tuples(designs_of(slot), designs_of(slot)))
    hypothesis.assume(len(differing(first, second)) >= 2)
    (child,) = ask(slot, first, second, operation="crossover", seed=seed)
    choices = slot.space.read(child.source)
    assert choices not in (first, second)
    assert all(choice in pair for choice, *pair in zip(choices, first, second, strict=True))
    assert child.edits == ("crossover",)


def test_crossovers_are_all_equally_likely():
    found = collections.Counter(
        children(slots.CELL, (0,) * 6, (1, 2, 3, 4, 0, 0), operation="crossover", samples=3000)
    )
    assert len(found) == 2**4 - 2
    assert scipy.stats.chisquare(list(found.values())).pvalue > 0.001


@pytest.mark.parametrize("operation", ["crossover", "vary", "improve"])
@pytest.mark.parametrize("others", [[], [(0, 1, 2, 3, 4, 0)], [(0, 1, 2, 3, 4, 1)]])
def test_no_parent_is_proposed_again(operation, others):
    parents = [(0, 1, 2, 3, 4, 0), *others]
    found = children(slots.CELL, *parents, operation=operation, samples=200)
    assert not set(found) & set(parents)
    assert len(set(found)) > 20


def test_the_last_unseen_design_is_found():
    allowed = (("mb3_k3", "mb6_k5"),) * 2 + (("identity",),) * 6
    seen = [(1, 1, *(0,) * 6), (1, 2, *(0,) * 6), (2, 2, *(0,) * 6)]
    for operation in ("crossover", "vary", "improve"):
        found = children(slots.MACRO, *seen, operation=operation, samples=20, allowed=allowed)
        assert set(found) == {(2, 1, *(0,) * 6)}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_only_allowed_design_is_proposed(operation):
    allowed = (("channels_16",),) * 5
    for parent in ((1,) * 5, (0, 1, 2, 3, 4)):
        found = children(slots.SIZES, parent, operation=operation, samples=3, allowed=allowed)
        assert set(found) == {(1,) * 5}


def test_improving_starts_from_the_most_accurate_parent_the_last_of_equals():
    parents = [(0,) * 8, (1,) * 8, (2,) * 8, (0, 1) * 4]
    for accuracies, best in [
        ([0.1, 0.9, 0.3, None], parents[1]),
        ([0.9, 0.1, 0.9, 0.2], parents[2]),
        ([None] * 4, parents[3]),
    ]:
        found = children(
            slots.MACRO,
            *parents,
            operation="improve",
            accuracies=accuracies,
            kinds=("replace",),
            samples=50,
        )
        assert all(1 <= len(differing(child, best)) <= 3 for child in found)


def test_variations_start_from_every_parent():
    parents = [(0,) * 8, (1,) * 8, (2,) * 8]
    found = children(slots.MACRO, *parents, kinds=("replace",), samples=100)
    assert {
        parent for parent in parents for child in found if len(differing(child, parent)) <= 3
    } == set(parents)


@pytest.mark.parametrize(
    "slot, kind, changes",
    [
        # From each option the options that may take its place, by number.
        (slots.CELL, "grow", "0>23 1>23 2>3 4>23"),
        (slots.CELL, "shrink", "2>014 3>0124"),
        (slots.CELL, "depth", "0>23 1>23 2>014 3>014 4>23"),
        (slots.CELL, "kernel", "2>3 3>2"),
        (slots.CELL, "residual", "0>1 2>1 3>1 4>1"),
        (slots.CELL, "pooling", "0>4 1>4 2>4 3>4"),
        (slots.CELL, "remove", "1>0 2>0 3>0 4>0"),
        (slots.MACRO, "grow", "0>12 1>2"),
        (slots.MACRO, "shrink", "1>0 2>01"),
        (slots.MACRO, "depth", "0>12 1>0 2>0"),
        (slots.MACRO, "width", "1>2 2>1"),
        (slots.MACRO, "remove", "1>0 2>0"),
        (slots.SIZES, "grow", "0>1234567 1>234567 2>34567 3>4567 4>567"),
        (slots.SIZES, "shrink", "1>0 2>01 3>012 4>0123"),
        (slots.SIZES, "width", "0>1234567 1>0234567 2>0134567 3>0124567 4>0123567"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_kind_of_edit_does_what_its_name_says(slot, kind, changes):
    places = slot.space.places
    parent = tuple(number % min(5, len(place.options)) for number, place in enumerate(places))
    proposals = ask(slot, parent, operation="mutate", kinds=(kind,), samples=400)
    assert {proposal.edits for proposal in proposals} == {(kind,)}
    found = collections.defaultdict(set)
    for proposal in proposals:
        child = slot.space.read(proposal.source)
        (place,) = differing(child, parent)
        found[parent[place]].add(child[place])
    assert changes == " ".join(
        f"{old}>{''.join(map(str, sorted(new)))}" for old, new in sorted(found.items())
    )


def test_growing_agrees_with_published_parameters():
    size = TRAITS["nasbench_macro"].parameters
    options = slots.MACRO.space.places[0].options
    compared = 0
    for first, fewer in MACRO_PARAMETERS.items():
        for second, more in MACRO_PARAMETERS.items():
            places = differing(first, second)
            if len(places) == 1 and fewer < more:
                old, new = (options[int(arch[places[0]])] for arch in (first, second))
                assert size[old] < size[new]
                compared += 1
    assert compared == 9


def test_a_swap_exchanges_two_places():
    parent = (0, 1, 2, 3, 4, 4)
    for child in ask(slots.CELL, parent, kinds=("swap",), samples=50):
        choices = slots.CELL.space.read(child.source)
        assert sorted(choices) == sorted(parent) and choices != parent
        assert set(child.edits) == {"swap"}


def test_named_kinds_are_the_only_ones_unless_none_of_them_can_be_done():
    parent, mate = (3,) * 6, (0, 1, 2, 3, 4, 0)
    found = ask(slots.CELL, parent, mate, kinds=("shrink", "norm"), samples=50)
    assert {kind for child in found for kind in child.edits} == {"shrink"}
    anything = ask(slots.CELL, parent, mate, samples=50)
    assert ask(slots.CELL, parent, mate, kinds=("norm",), samples=50) == anything
    stuck = ask(slots.CELL, (3,) * 6, kinds=("grow",), samples=50)  # nothing is larger
    assert all(child.edits and "grow" not in child.edits[:1] for child in stuck)
    (largest,) = ask(slots.CELL, (3,) * 6, kinds=("grow",), operation="mutate")
    assert largest.edits == ("replace",)


def test_every_kind_of_a_space_is_drawn():
    parents = [(0, 1, 2, 3, 4, 0), (3, 4, 1, 0, 2, 3)]
    drawn = {kind for child in ask(slots.CELL, *parents, samples=500) for kind in child.edits}
    assert drawn == set(KINDS) - {"width"}
    parents = [(0, 1, 2, 3, 4), (7, 6, 5, 4, 3)]
    drawn = {kind for child in ask(slots.SIZES, *parents, samples=500) for kind in child.edits}
    assert drawn == {"grow", "shrink", "width", "replace", "swap", "crossover"}


def test_a_space_that_nobody_described_can_be_searched():
    space = spaces.ChainSpace(
        name="toy",
        layers=("a", "b", "c"),
        options=("red", "green", "blue"),
        symbols="012",
        separator="",
        about="three colours",
    )
    slot = dataclasses.replace(slots.MACRO, name="toy", space=space)
    for operation in OPERATIONS:
        assert len(set(children(slot, (0, 1, 2), (2, 1, 1), operation=operation, samples=20))) > 1
    drawn = {k for child in ask(slot, (0, 1, 2), (2, 1, 1), samples=200) for k in child.edits}
    assert drawn == {"replace", "swap", "crossover"}


@pytest.mark.parametrize(
    "allowed, message",
    [
        ((("identity",),) * 7, "8 places, got 7"),
        ((("identity",),) * 7 + (("conv",),), "options of layer 8.*got conv"),
        ((("identity",),) * 7 + ((),), "options of layer 8.*got none"),
    ],
    ids=["places", "option", "empty"],
)
def test_options_of_another_space_are_refused(allowed, message):
    with pytest.raises(ValueError, match=message):
        ask(slots.MACRO, (0,) * 8, allowed=allowed)


def test_there_are_no_words():
    (nothing,) = ask(slots.CELL, (0,) * 6, operation="principles")
    assert nothing == records.Proposal(source="")
