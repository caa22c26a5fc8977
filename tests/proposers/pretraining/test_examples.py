"""Examples: the prompts of a search, with parameter counts that are computed."""

import dataclasses

import pytest

from evo_clrs import program, programs
from evo_clrs.proposers.pretraining import corpus, examples

AROUND = examples.Surroundings({"H": 128, "K": 8}, 512_515)  # of bfs in the published protocol
STANDARD, MAX_MEAN, OUTPUT_MLP = (
    program.bare(programs.load("triplet")[name])
    for name in ("v1_standard", "max_mean", "v2_output_mlp")
)
FAMILY = corpus.Family(
    "triplet",
    (STANDARD, STANDARD),
    (corpus.Child(MAX_MEAN, ("inputs: less",)), corpus.Child(OUTPUT_MLP, ("depth: more",))),
)


def requests(family, *place):
    return [request for _, request in examples.requests(family, AROUND, 0, *place)]


def test_counts_are_those_of_the_paper():
    """Table 3: bfs has 523,963 parameters with the standard function; Max-Mean has 1,032 fewer."""
    asked = requests(FAMILY)[0]
    assert [parent.metrics["num_params"] for parent in asked.parents] == [523_963] * 2
    assert asked.targets["num_params"] == 522_900


def test_the_accuracy_asked_for_is_the_search_s():
    for asked in requests(FAMILY):
        best = max(parent.metrics["val_accuracy"] for parent in asked.parents)
        assert asked.targets["val_accuracy"] == min(1.0, round(1.02 * best, 3))


def test_accuracies_differ_from_draw_to_draw():
    drawn = {requests(FAMILY, n)[0].targets["val_accuracy"] for n in range(5)}
    assert len(drawn) == 5
    assert requests(FAMILY, 1) == requests(FAMILY, 1)


def test_a_child_whose_parameters_the_text_does_not_tell_is_left_out():
    looped = STANDARD.replace("graph = ", "for _ in range(2):\n        graph = ")
    children = (corpus.Child(looped, ()), FAMILY.children[1])
    assert len(requests(dataclasses.replace(FAMILY, children=children))) == 1
    assert requests(dataclasses.replace(FAMILY, parents=(looped, STANDARD))) == []


def test_a_tree_holds_the_prompts_of_a_search_and_what_should_be_written():
    pytest.importorskip("transformers")
    from evo_clrs.proposers.pretraining import tokens

    tokenizer = tokens.learn([*examples.texts(FAMILY), STANDARD], 500)
    (tree,) = examples.examples([FAMILY], {"triplet": [AROUND]}, tokenizer, 0, 1)
    assert len(tree) == len(tree.trunk) + sum(len(b.asked) + len(b.reply) for b in tree.branches)
    wanted = ["522900", "540500"]  # the second one by 16,512 more (supplement, v2)
    for branch, count in zip(tree.branches, wanted, strict=True):
        prompt = tokenizer.decode([*tree.trunk, *branch.asked])
        assert prompt.count("'num_params': '523963'") == 2
        assert f"'num_params': '{count}'" in prompt
        assert prompt.endswith("\n# Program")
        reply = tokenizer.decode(branch.reply)
        assert reply.startswith((" 1", " 2")) and reply.endswith("REPLACE\n" + tokens.END)
    assert tree.branches[0].asked[:1] != tree.branches[1].asked[:1]
