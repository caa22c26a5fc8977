"""Which of several replies is kept: what can be told of a program before anything runs it."""

import pytest

from evo_clrs import programs
from evo_clrs.proposers import choosing
from evo_clrs.proposers.grammar.parameters import count_parameters
from evo_clrs.records import Parent, Proposal, Request
from evo_clrs.slots import PROCESSOR, TRIPLET

SEEDS = programs.load("processor")
SIZES = {"B": 1, "N": 4, "H": 32, "K": 8}
OUTSIDE = 17_123  # parameters of a model beside its processor


def count(source, slot=PROCESSOR):
    return count_parameters(source, slot, SIZES)


def parent(name):
    source = SEEDS[name]
    return Parent(name, source, {"num_params": OUTSIDE + count(source), "val_accuracy": 0.5})


PARENTS = (parent("pgn"), parent("gru_mpnn"))


def asking(wanted):
    return Request(0, 0, PARENTS, {"num_params": wanted}, (0.8,))


def test_width_and_surroundings_follow_from_two_parents():
    """H is 32 nowhere but in the parents' numbers."""
    told = choosing.expected(SEEDS["gmpnn"], PARENTS, PROCESSOR)
    assert told == OUTSIDE + count(SEEDS["gmpnn"])


def test_one_parent_gives_the_ratio():
    told = choosing.expected(SEEDS["pgn"], PARENTS[:1], PROCESSOR)
    assert told == PARENTS[0].metrics["num_params"]


def test_nothing_is_expected_where_the_text_does_not_tell():
    assert choosing.expected("no program (", PARENTS, PROCESSOR) is None
    assert choosing.expected(SEEDS["gmpnn"], (), PROCESSOR) is None


@pytest.mark.parametrize("name", ["gmpnn", "gat"])
def test_of_whole_programs_the_nearest_in_parameters_is_kept(name):
    others = [Proposal(SEEDS[other]) for other in ("gat", "gmpnn")]
    kept = choosing.best(others, asking(OUTSIDE + count(SEEDS[name])), PROCESSOR)
    assert kept.source == SEEDS[name]


BROKEN = {
    "nothing read": Proposal("", note="no code"),
    "no program": Proposal("class Processor(:"),
    "a name that does not stand": Proposal(
        SEEDS["gmpnn"].replace("        return node, None", "        return node + lost, None")
    ),
    "a parent again": Proposal(SEEDS["pgn"]),
}


@pytest.mark.parametrize("trouble", BROKEN)
def test_a_whole_new_program_goes_before(trouble):
    proposals = [BROKEN[trouble], Proposal(SEEDS["gmpnn"])]
    assert choosing.best(proposals, asking(OUTSIDE), PROCESSOR).source == SEEDS["gmpnn"]


def test_shapes_that_are_sure_to_fail_go_last():
    good = programs.load("triplet")["v3_sum"]
    *above, last = good.rstrip("\n").split("\n")
    wrong = "    reduced = reduced + jnp.concatenate([graph_fts, graph_fts], axis=-1)"
    bad = "\n".join([*above, wrong, last]) + "\n"
    request = Request(0, 0, (), {}, (0.8,))
    assert choosing.merit(Proposal(bad), request, TRIPLET).misfit == 2
    assert choosing.merit(Proposal(good), request, TRIPLET).misfit < 2
    assert choosing.best([Proposal(bad), Proposal(good)], request, TRIPLET).source == good


def test_all_that_was_written_is_counted():
    proposals = [
        Proposal(SEEDS["pgn"], prompt_tokens=100, completion_tokens=20, seconds=0.5),
        Proposal(SEEDS["gmpnn"], completion_tokens=30, seconds=0.25),
    ]
    kept = choosing.best(proposals, asking(OUTSIDE), PROCESSOR)
    assert (kept.prompt_tokens, kept.completion_tokens, kept.seconds) == (100, 50, 0.75)
