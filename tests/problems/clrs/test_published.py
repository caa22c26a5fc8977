"""The published table against its own bottom line, and against the tasks and programs there are."""

import statistics

import pytest

from evo_clrs import programs
from evo_clrs.problems.clrs.published import TABLE3
from evo_clrs.problems.clrs.tasks import TASKS


def test_the_means_are_those_that_the_paper_and_its_source_print():
    def mean(column):
        return statistics.fmean(getattr(row, column).mean for row in TABLE3.values())

    assert mean("best") == pytest.approx(80.88, abs=0.005)
    assert mean("rerun") == pytest.approx(76.54, abs=0.015)
    assert mean("ibarz") == pytest.approx(75.98, abs=0.005)


def test_it_has_a_row_for_every_task():
    assert tuple(TABLE3) == TASKS


def test_every_winner_is_in_the_gallery():
    winners = {row.winner for row in TABLE3.values()} - {""}
    assert winners == set(programs.gallery("triplet"))


def test_21_of_30_rows_name_their_winner():
    assert sum(bool(row.winner) for row in TABLE3.values()) == 21
