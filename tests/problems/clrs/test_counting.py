"""Parameters counted without training, against published counts and known answers."""

import pytest

from evo_clrs import programs
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.clrs.counting import Counted, count, size_in
from evo_clrs.problems.clrs.published import TABLE3
from evo_clrs.slots import TRIPLET


@pytest.fixture(scope="module")
def jail():
    with Jail() as jail:
        yield jail


def counted(jail, name, task):
    graph = jail.trace(TRIPLET, programs.load("triplet")[name], (size_in(task),))
    return count("triplet", graph, task)


def test_where_edges_are_read_the_whole_model_is_live(jail):
    published = TABLE3["bfs"].parameters
    assert counted(jail, "v1_standard", "bfs") == Counted(published, published, inert=False)


def test_where_no_decoder_reads_edges_the_triplet_function_is_dead(jail):
    """The standard function has 11,448 parameters, none of which can matter on minimum."""
    published = TABLE3["minimum"].parameters
    dead = Counted(published, published - 11_448, inert=True)
    assert counted(jail, "v1_standard", "minimum") == dead


def test_a_winner_has_the_published_count(jail):
    """QuadNodeMinMax on articulation points: 497,969 in the paper."""
    found = counted(jail, "quad_node_min_max", "articulation_points")
    assert found == Counted(497_969, 497_969, inert=False)


@pytest.mark.slow
@pytest.mark.parametrize("task", [task for task in TABLE3 if task != "quickselect"])
def test_every_published_count(jail, task):
    """Not quickselect: the library has gained a hint for it since, with 641 parameters."""
    assert counted(jail, "v1_standard", task).parameters == TABLE3[task].parameters
