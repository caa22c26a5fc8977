"""The exact text of prompts."""

import dataclasses

import pytest

from evo_clrs import spaces
from evo_clrs.proposers import prompts
from evo_clrs.records import OPERATIONS, Parent, Request
from evo_clrs.slots import CELL, MACRO, PROCESSOR, SLOTS, TRIPLET
from evo_clrs.strategies import principles
from evo_clrs.strategies.evoprompting import targets

FIRST = Parent("aa", '"""Doc."""\n\nx = 1\n\n', {"num_params": 5300, "val_accuracy": 0.848})
SECOND = Parent("bb", "y = 2\n", {"num_params": 5400, "val_accuracy": 0.8})


def request(instruction: str = "") -> Request:
    parents = (FIRST, SECOND)
    return Request(0, 0, parents, targets(parents), (0.2,), instruction)


def test_the_header_is_that_of_the_paper():
    header = prompts.header({"num_params": 4800, "val_accuracy": 0.865})
    assert header == "\"\"\"Metrics: {'num_params': '4800', 'val_accuracy': '0.865'}\"\"\"\n"


def test_a_prompt_shows_parents_then_targets_then_the_opening():
    assert prompts.build(request(), TRIPLET) == (
        "\"\"\"Metrics: {'num_params': '5300', 'val_accuracy': '0.848'}\"\"\"\n"
        '"""Doc."""\n'
        "\n"
        "x = 1\n"
        "\n"
        "\n"
        "\"\"\"Metrics: {'num_params': '5400', 'val_accuracy': '0.800'}\"\"\"\n"
        "y = 2\n"
        "\n"
        "\n"
        "\"\"\"Metrics: {'num_params': '4800', 'val_accuracy': '0.865'}\"\"\"\n"
        "def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):\n"
    )


def test_the_opening_is_the_slots():
    assert prompts.build(request(), PROCESSOR).endswith(
        '"""\nclass Processor(clrs.processors.Processor):\n'
    )


def test_an_instruction_stands_first_as_a_comment():
    text = prompts.build(request("Make it small.\n\nKeep it simple."), TRIPLET)
    assert text.startswith('# Make it small.\n#\n# Keep it simple.\n"""Metrics')


def test_figures_read_back_from_a_store_are_written_alike():
    # A database may give whole numbers back as floats.
    assert prompts.header({"num_params": 4800.0, "val_accuracy": 1}) == prompts.header(
        {"num_params": 4800, "val_accuracy": 1.0}
    )


def test_a_few_shot_prompt_on_a_design_slot_is_that_of_the_paper_too():
    cell = spaces.MACRO.write((2, 2, 2, 2, 2, 2, 2, 2))
    shown = Request(
        0, 0, (Parent("aa", cell, {"val_accuracy": 0.9}),), {"val_accuracy": 1.0}, (1.0,)
    )
    assert prompts.build(shown, MACRO) == (
        '"""Metrics: {\'val_accuracy\': \'0.900\'}"""\n'
        + f"{cell}\n\n"
        + '"""Metrics: {\'val_accuracy\': \'1.000\'}"""\n'
        + "def build_network(x):\n"
    )


def test_a_mutation_says_so_unless_it_has_words_of_its_own():
    mutation = dataclasses.replace(request(), operation="mutate")
    assert prompts.build(mutation, TRIPLET) == (
        "# Make one small change to the first program.\n" + prompts.build(request(), TRIPLET)
    )
    worded = dataclasses.replace(request("Add a layer."), operation="mutate")
    assert prompts.build(worded, TRIPLET) == prompts.build(request("Add a layer."), TRIPLET)


def test_a_random_design_is_asked_for_in_two_comments_and_the_opening():
    drawn = Request(0, 0, (), {}, (1.0,), operation="random")
    about, task, opening = prompts.build(drawn, CELL).splitlines()
    assert about == f"# {CELL.about}"
    assert task == "# Write any program of this kind, drawn at random."
    assert opening == "def build_cell(x0):"


def test_allowed_options_are_told_place_by_place():
    allowed = (("identity",), *[("mb3_k3", "mb6_k5")] * 7)
    drawn = Request(0, 0, (), {}, (1.0,), operation="random", allowed=allowed)
    lines = prompts.build(drawn, MACRO).splitlines()
    assert "# Use no other options than these." in lines
    assert "# layer 1: identity" in lines
    assert "# layer 8: mb3_k3, mb6_k5" in lines


HISTORY = (
    Parent("aa", spaces.CELL.write((0, 0, 0, 0, 0, 0)), {"val_accuracy": 0.1}),
    Parent("bb", spaces.CELL.write((3, 3, 3, 1, 3, 3)), {"val_accuracy": 0.91607}),
)


def test_an_improvement_shows_options_by_number_and_the_whole_history_in_order():
    text = prompts.build(Request(0, 0, HISTORY, {}, (0.0,), operation="improve"), CELL)
    assert text.startswith("You are an expert in neural architecture search.")
    assert "  0: none\n  1: skip_connect\n  2: nor_conv_1x1\n" in text
    first = text.index("Design 1, validation accuracy 10.00%:\n\n" + HISTORY[0].source)
    second = text.index("Design 2, validation accuracy 91.61%:\n\n" + HISTORY[1].source)
    assert first < second
    assert text.endswith("\ndef build_cell(x0):\n")


def test_an_improvement_on_nothing_says_so():
    text = prompts.build(Request(0, 0, (), {}, (0.0,), operation="improve"), CELL)
    assert "No design was trained yet." in text


def test_a_parent_without_an_accuracy_is_no_part_of_the_history():
    refused = Parent("cc", spaces.CELL.write((3, 3, 3, 3, 3, 3)), {})
    asked = Request(0, 0, (*HISTORY, refused), {}, (0.0,), "Too large: {it}.", "improve")
    text = prompts.build(asked, CELL)
    assert refused.source not in text
    assert "Too large: {it}.\n" in text


def test_principles_are_asked_for_in_the_form_that_is_read():
    asked = Request(0, 0, HISTORY, {}, (0.0,), "Keep two.", operation="principles")
    text = prompts.build(asked, CELL)
    assert "Keep two.\n" in text and HISTORY[1].source in text
    reply = text.replace("option, option", "nor_conv_3x3, skip_connect")
    assert principles.read_kept(reply, spaces.CELL) == (("skip_connect", "nor_conv_3x3"),) * 6


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "principles"])
@pytest.mark.parametrize("slot", SLOTS)
def test_every_prompt_for_programs_ends_with_the_opening(slot, operation):
    asked = dataclasses.replace(request(), operation=operation)
    assert prompts.build(asked, SLOTS[slot]).endswith(SLOTS[slot].opening)
