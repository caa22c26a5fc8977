"""The official numbers of cells."""

import pytest

from evo_clrs.problems.cells import order
from evo_clrs.spaces import CELL
from tests.problems.cells.tables import NUMBER_0, NUMBER_11, NUMBER_284, every_arch

# Source: the arch strings inside files 000000, 000011 and 000284 of NATS-tss-v1_0-3ffb9-simple.
NUMBERED = {0: NUMBER_0, 11: NUMBER_11, 284: NUMBER_284}


@pytest.mark.parametrize("number", NUMBERED)
def test_numbers_are_those_of_the_official_files(number):
    assert order.at(number) == NUMBERED[number]
    assert order.index(NUMBERED[number]) == number


def test_every_cell_has_one_number():
    assert sorted(order.index(arch) for arch in every_arch(CELL)) == list(range(15_625))
    assert all(order.index(order.at(number)) == number for number in range(0, 15_625, 97))


def test_there_are_no_other_numbers():
    for number in (-1, 15_625):
        with pytest.raises(IndexError, match=f"below 15,625, got {number}"):
            order.at(number)
    with pytest.raises(ValueError, match="arch string"):
        order.index("02012100")
