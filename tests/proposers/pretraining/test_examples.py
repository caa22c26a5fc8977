"""Examples: the prompts of a search, with parameter counts that are computed."""

import dataclasses

import pytest

from evo_clrs import program, programs
from evo_clrs.proposers.pretraining import corpus, examples
from evo_clrs.slots import TRIPLET

AROUND = examples.Surroundings({"H": 128, "K": 8}, 512_515)  # of bfs in the published protocol
STANDARD, MAX_MEAN = (
    program.bare(programs.load("triplet")[name]) for name in ("v1_standard", "max_mean")
)
CHILD = TRIPLET.opening + MAX_MEAN.partition(TRIPLET.opening)[2]
FAMILY = corpus.Family("triplet", (STANDARD, STANDARD), CHILD)


def test_counts_are_those_of_the_paper():
    """Table 3: bfs has 523,963 parameters with the standard function; Max-Mean has 1,032 fewer."""
    asked = examples.request(FAMILY, AROUND, 0)
    assert [parent.metrics["num_params"] for parent in asked.parents] == [523_963] * 2
    assert asked.targets["num_params"] == 522_900


def test_the_accuracy_asked_for_is_the_search_s():
    asked = examples.request(FAMILY, AROUND, 0)
    best = max(parent.metrics["val_accuracy"] for parent in asked.parents)
    assert asked.targets["val_accuracy"] == min(1.0, round(1.02 * best, 3))


def test_accuracies_differ_from_draw_to_draw():
    drawn = {examples.request(FAMILY, AROUND, 0, n).targets["val_accuracy"] for n in range(5)}
    assert len(drawn) == 5
    assert examples.request(FAMILY, AROUND, 0, 1) == examples.request(FAMILY, AROUND, 0, 1)


def test_a_family_whose_parameters_the_text_does_not_tell_is_left_out():
    looped = STANDARD.replace("graph = ", "for _ in range(2):\n        graph = ")
    assert examples.request(dataclasses.replace(FAMILY, child=looped), AROUND, 0) is None


def test_examples_are_what_sampling_reads_and_what_it_should_write():
    pytest.importorskip("transformers")
    from evo_clrs.proposers.pretraining import tokens

    tokenizer = tokens.learn([STANDARD, MAX_MEAN] * 3, 400)
    (made,) = examples.examples([FAMILY], {"triplet": [AROUND]}, tokenizer, 0, 0)
    prompt, written = tokenizer.decode(made.prompt), tokenizer.decode(made.program)
    assert prompt.count("'num_params': '523963'") == 2
    assert "'num_params': '522900'" in prompt
    assert prompt.endswith(
        "\ndef get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):"
    )
    assert written == "\n" + CHILD.removeprefix(TRIPLET.opening) + tokens.END
