"""Parameters and FLOPs of cells, against what the official files record."""

import pytest

from evo_clrs.problems.cells import cell_costs
from evo_clrs.spaces import CELL
from tests.problems.cells.tables import NUMBER_0, NUMBER_11, NUMBER_284, SKIP

# Megaflops and mega-parameters. Source: NATS-tss-v1_0-3ffb9-simple, numbers 0, 11 and 284.
RECORDED = [
    (NUMBER_0, "cifar10", 15.64737, 0.129306),
    (NUMBER_0, "cifar100", 15.65322, 0.135156),
    (NUMBER_0, "imagenet16-120", 3.91948, 0.136456),
    (NUMBER_11, "cifar10", 113.95137, 0.802426),
    (NUMBER_11, "cifar100", 113.95722, 0.808276),
    (NUMBER_11, "imagenet16-120", 28.49548, 0.809576),
    (NUMBER_284, "cifar10", 11.71521, 0.101306),
    (NUMBER_284, "cifar100", 11.72106, 0.107156),
    (NUMBER_284, "imagenet16-120", 2.93644, 0.108456),
]


@pytest.mark.parametrize(("arch", "data", "megaflops", "megaparameters"), RECORDED)
def test_costs_are_the_recorded_ones_to_the_last_digit(arch, data, megaflops, megaparameters):
    choices = CELL.from_arch(arch)
    assert cell_costs.flops(choices, data) == round(megaflops * 1e6)
    assert cell_costs.parameters(choices, data) == round(megaparameters * 1e6)


def cell(e01, e02, e12, e03, e13, e23):
    names = {"-": "none", "s": "skip_connect", "1": "nor_conv_1x1", "3": "nor_conv_3x3"}
    edges = (e01, e02, e12, e03, e13, e23)
    return tuple(CELL.operations.index(names[edge]) for edge in edges)


@pytest.mark.parametrize(
    ("edges", "live"),
    [
        ("333333", (0, 1, 2, 3, 4, 5)),
        ("33333-", (0, 3, 4)),  # node 2 leads nowhere
        ("-33333", (1, 3, 5)),  # node 1 is fed by nothing
        ("3-3--3", (0, 2, 5)),  # one chain
        ("3-33--", (3,)),  # the chain is cut at its end, the way past it is open
        ("3-3-3-", (0, 4)),
        ("33----", ()),  # nothing reaches the output
        ("----33", ()),  # the input reaches nothing
        ("------", ()),
    ],
)
def test_edges_are_live_on_a_way_from_input_to_output(edges, live):
    assert cell_costs.live_edges(cell(*edges)) == live


def test_dead_edges_do_not_count_as_live_parameters():
    data = "cifar10"
    whole, cut = cell(*"333333"), cell(*"33333-")
    edge = sum(5 * (9 * width * width + 2 * width) for width in (16, 32, 64))
    assert cell_costs.live_parameters(whole, data) == cell_costs.parameters(whole, data)
    assert cell_costs.parameters(whole, data) - cell_costs.parameters(cut, data) == edge
    assert cell_costs.parameters(cut, data) - cell_costs.live_parameters(cut, data) == 2 * edge


def test_a_cut_network_is_left_with_its_head():
    """Two numbers for each of 64 channels, and a linear layer to 100 classes."""
    assert cell_costs.live_parameters(cell(*"------"), "cifar100") == 2 * 64 + 64 * 100 + 100


def test_a_cell_without_convolutions_costs_what_is_around_it():
    around = cell_costs.parameters(CELL.from_arch(SKIP), "cifar10")
    assert around == 73_306  # of number 284, less one 1x1 convolution: 101,306 - 28,000
    assert cell_costs.live_parameters(CELL.from_arch(SKIP), "cifar10") == around
    assert cell_costs.flops(CELL.from_arch(SKIP), "cifar10") == 7_783_050
