"""Published and reached scores side by side, and never in one column."""

import pytest

from evo_clrs.comparison import pairing, table3
from evo_clrs.problems.clrs.published import TABLE3
from evo_clrs.report.table3 import sheet
from tests.result_lines import SMALL, identity_of, seeds

EMPTY = pairing.Trainings({}, {}, ())


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A file of counts that the tests here share, as calls of the script do."""
    return tmp_path_factory.mktemp("counts") / "counts.json"


def cells(table):
    (grid,) = sheet(table).grids
    return [dict(zip(grid.headings, row, strict=True)) for row in grid.rows]


def test_nothing_trained_is_a_dash_with_the_command_that_trains_it(kept):
    table = table3.table(EMPTY, kept, ["bfs", "binary_search"])
    rows = cells(table)
    assert [row["reached"] for row in rows] == ["–"] * 4
    assert [row["program"] for row in rows] == [
        *("triplet_gmpnn", "max_mean", "triplet_gmpnn", "(best found, not named)"),
    ]
    assert rows[0]["published"] == "99.80 ± 0.04" and rows[0]["Ibarz 2022"] == "99.73 ± 0.04"
    assert rows[1]["published"] == "99.99 ± 0.01" and rows[1]["Ibarz 2022"] == "–"
    assert rows[3]["published"] == "77.98 ± 2.49" and rows[3]["parameters"] == "–"
    assert table.commands == (
        "python -m launch.train triplet_gmpnn --tasks=bfs,binary_search --seeds=0,1,2",
        "python -m launch.train max_mean --tasks=bfs --seeds=0,1,2",
    )


def test_counts_are_the_methods_own_and_kept(kept):
    (row, winner) = table3.table(EMPTY, kept, ["bfs"]).entries
    assert row.parameters == row.live_parameters == row.published_parameters == 523_963
    assert winner.parameters == 523_963 - 1_032  # MaxMean, by the paper's own parameters
    assert row.inert is False
    told: list[str] = []
    (dead, _) = table3.table(EMPTY, kept, ["binary_search"]).entries
    assert table3.table(EMPTY, kept, ["binary_search"], told.append).entries[0] == dead
    assert not told  # it was not counted again
    # The processor is not inert there, its triplet function of 11,448 parameters is.
    assert dead.inert is False and dead.live_parameters == dead.parameters - 11_448


def test_an_inert_winner_is_named_and_no_command_would_train_it(kept):
    table = table3.table(EMPTY, kept, ["minimum"])
    winner = table.entries[1]
    assert winner.program == "div2_mean" and winner.inert is True
    assert [row["inert"] for row in cells(table)] == ["no", "inert"]
    assert not any("div2_mean" in command for command in table.commands)


def test_damaged_counts_are_counted_again(tmp_path):
    file = tmp_path / "counts.json"
    file.write_text('{"triplet": 3}')
    told = []
    (row, _) = table3.table(EMPTY, file, ["binary_search"], told.append).entries
    assert row.parameters == 262_204
    assert told == ["counting parameters of triplet_gmpnn on binary_search"]


def test_reached_scores_come_from_result_lines_only(kept):
    trained = pairing.gather(
        [
            *seeds("v1_standard", "bfs", [0.5, 0.7], slot="triplet"),
            *seeds("max_mean", "bfs", [0.25], slot="triplet", options=SMALL),
            *seeds("mine", "bfs", [0.9], slot="triplet", parameters=77, live_parameters=70),
        ]
    )
    table = table3.table(trained, kept, ["bfs"])
    rows = {row["program"]: row for row in cells(table)}
    assert rows["v1_standard"]["reached"] == "60.00 ± 14.14"
    assert rows["max_mean"]["reached"] == "25.00*"
    assert rows["mine"] | {"task": ""} == {
        "task": "",
        "program": "mine",
        "published": "–",
        "Ibarz 2022": "–",
        "reached": "90.00",
        "seeds": "1",
        "published parameters": "–",
        "parameters": "77",
        "live": "70",
        "inert": "no",
    }
    (caption,) = [grid.caption for grid in sheet(table).grids]
    assert caption.startswith("Reduced protocol, not comparable with published scores: train_steps")
    assert not table.commands


def test_no_published_score_is_ever_called_reached(kept):
    """Every figure of the table, at every task: none of them is reached where nothing ran."""
    table = table3.table(EMPTY, kept, ["bfs", "binary_search"])
    assert all(entry.reached is None for entry in table.entries)
    figures = {f"{s.mean:.2f}" for row in TABLE3.values() for s in (row.best, row.rerun, row.ibarz)}
    for row in cells(table):
        assert not any(figure in row["reached"] for figure in figures)


def test_a_name_that_is_taken_earns_no_published_score(kept):
    """A program called as the winner is called, with another text."""
    impostor = seeds("max_mean", "bfs", [0.1], slot="triplet", program="f" * 16)
    entries = table3.table(pairing.gather(impostor), kept, ["bfs"]).entries
    reached = [entry for entry in entries if entry.reached is not None]
    assert [entry.published for entry in reached] == [None]
    renamed = seeds(
        "mine", "bfs", [0.1], slot="triplet", program=identity_of("max_mean", "triplet")
    )
    entries = table3.table(pairing.gather(renamed), kept, ["bfs"]).entries
    assert entries[1].program == "mine" and entries[1].published == TABLE3["bfs"].best
