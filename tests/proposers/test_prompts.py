"""The exact text of prompts."""

from evo_clrs.proposers import prompts
from evo_clrs.records import Parent, Request
from evo_clrs.slots import PROCESSOR, TRIPLET
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
