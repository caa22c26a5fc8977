"""Each kind of edit, on the gallery programs."""

import ast
import copy
import random

import pytest

from evo_clrs.errors import Rejected
from evo_clrs.gates import static
from evo_clrs.proposers.grammar.by_slot import GRAMMARS
from evo_clrs.proposers.grammar.clean import clean, normal_form
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.edits import KINDS
from evo_clrs.proposers.grammar.edits.reduction import reduced, reductions
from evo_clrs.proposers.grammar.layout import write
from evo_clrs.proposers.grammar.values import ShapeError
from tests.proposers.grammar.gallery import FREE_STYLE, PROGRAMS, draft_of

DRAFTS = {(slot, name): draft_of(slot, source) for slot, name, source in PROGRAMS}


def edited(kind: str, slot_name: str, name: str, seed: int, crowded: bool = False):
    """Returns the program after one edit and words for it, None where none was made."""
    parent = DRAFTS[slot_name, name]
    mates = [draft for (slot, other), draft in DRAFTS.items() if slot == slot_name != other]
    rng = random.Random(f"{kind} {name} {seed}")
    draft = Draft(copy.deepcopy(parent.tree), parent.slot, mates, crowded)
    try:
        change = KINDS[kind](draft, rng)
        if change is None:
            return None
        return Draft(clean(draft.tree, parent.slot), parent.slot), change
    except (LookupError, ShapeError):
        return None


@pytest.mark.parametrize("slot_name", ["processor", "triplet"])
@pytest.mark.parametrize("kind", KINDS)
def test_children_are_programs_of_the_slot(kind, slot_name):
    made, fitting, changes = 0, 0, set()
    for slot, name, _ in PROGRAMS:
        for seed in range(6 if slot == slot_name else 0):
            result = edited(kind, slot, name, seed)
            if result is None:
                continue
            child, change = result
            made += 1
            changes.add(change)
            source = write(child, "Title.", [change])
            try:
                static.check(source, child.slot)
            except Rejected as rejected:
                pytest.fail(f"{rejected}\n{source}")
            same = normal_form(child.tree) == normal_form(DRAFTS[slot, name].tree)
            fitting += child.shapes.fits(child.slot) and not same
    assert made >= 20
    assert fitting / made > 0.7
    assert len(changes) > 1 or kind in ("crossover",)


@pytest.mark.parametrize("slot_name", GRAMMARS)
def test_every_kind_has_a_weight(slot_name):
    grammar = GRAMMARS[slot_name]
    assert set(grammar.weights) == set(grammar.edits)
    assert slot_name == "network" or set(grammar.edits) == set(KINDS)
    assert min(grammar.weights.values()) > 0


@pytest.mark.parametrize("how", ["max", "min", "sum", "mean", "softmax", "top-k", "logsumexp"])
def test_reductions_are_recognised_after_they_were_made(how):
    parent = DRAFTS["triplet", "v1_standard"]
    draft = Draft(copy.deepcopy(parent.tree), parent.slot)
    (target,) = reductions(draft)
    draft.replace(target.site, reduced(draft, target, how, random.Random(0)))
    child = Draft(clean(draft.tree, parent.slot), parent.slot)
    assert child.shapes.fits(child.slot)
    (again,) = reductions(child)
    assert (again.how, again.axis, again.mask) == (how, 1, None)


def test_masks_follow_the_reduction():
    parent = DRAFTS["processor", "pgn"]
    for how, wanted in [("mean", "jnp.where(is_edge, mixed, 0.0)"), ("min", "mixed, 1e6)")]:
        draft = Draft(copy.deepcopy(parent.tree), parent.slot)
        (target,) = reductions(draft)
        assert target.how == "max" and target.mask is not None
        draft.replace(target.site, reduced(draft, target, how, random.Random(0)))
        text = write(Draft(clean(draft.tree, parent.slot), parent.slot), "Title.", [])
        assert wanted in text
        assert "-1e6" not in text


def test_width_keeps_the_output():
    for seed in range(20):
        result = edited("width", "processor", "triplet_gmpnn", seed)
        assert result is None or result[0].shapes.fits(result[0].slot)


def test_crossover_brings_what_it_depends_on():
    found = False
    for seed in range(40):
        result = edited("crossover", "processor", "deep_sets", seed)
        if result is not None:
            text = ast.unparse(ast.fix_missing_locations(result[0].tree))
            found = found or "is_edge" in text and "adj_mat" in text.partition("hidden")[2]
    assert found


def test_crowded_programs_shrink():
    def length(draft: Draft) -> int:
        return len(ast.unparse(draft.tree))

    changes = []
    for kind in ("depth", "inputs", "residual", "norm", "gate"):
        for name in ("triplet_gmpnn", "pairwise_products", "gru_mpnn"):
            for seed in range(6):
                result = edited(kind, "processor", name, seed, crowded=True)
                if result is not None:
                    changes.append(length(result[0]) - length(DRAFTS["processor", name]))
    assert sum(change <= 0 for change in changes) / len(changes) > 0.7


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"width"}))  # all its widths hang together
def test_free_style_programs_can_be_edited(kind):
    parent = draft_of("processor", FREE_STYLE)
    made = 0
    for seed in range(20):
        draft = Draft(copy.deepcopy(parent.tree), parent.slot, [DRAFTS["processor", "gmpnn"]])
        try:
            if KINDS[kind](draft, random.Random(seed)) is None:
                continue
            child = Draft(clean(draft.tree, parent.slot), parent.slot)
        except (LookupError, ShapeError):
            continue
        static.check(write(child, "Title.", []), child.slot)
        made += child.shapes.fits(child.slot)
    assert made > 0
