"""What a comparison says, checked against values that follow from the definitions."""

import pytest

from evo_clrs.comparison import paired, pairing, picked
from evo_clrs.comparison.paired import LookedAt
from evo_clrs.errors import UserError
from evo_clrs.statistics import detectable_difference
from tests.result_lines import SMALL, result, seeds

BASELINE = "triplet_gmpnn"
TEN = [0.50 + 0.01 * i for i in range(10)]


def compare(results, looked_at=1, baseline="", tasks=(), names=()):
    trainings = pairing.gather(results)
    chosen = pairing.choose(trainings, names, baseline)
    return paired.compare(trainings, chosen, baseline, tasks, LookedAt(looked_at, "told"))


def better(by, name="gmpnn", task="bfs", count=10, **others):
    """The program is better by a little more with every seed: the mean is by + (count - 1) / 2."""
    scores = [0.01 * (by + i) + TEN[i] for i in range(count)]
    return [
        *seeds(name, task, scores, **others),
        *seeds(BASELINE, task, TEN[:count], **others),
    ]


def test_ten_seeds_that_all_agree():
    (row,) = compare(better(1)).rows
    assert row.difference == pytest.approx(5.5)
    assert row.p == row.corrected == row.smallest == pytest.approx(2 / 2**10)
    assert row.interval[0] < 5.5 < row.interval[1]
    # The spread of 1, 2, ..., 10 is sqrt(55 / 6).
    assert row.detectable == pytest.approx(detectable_difference((55 / 6) ** 0.5, 10))
    assert row.verdict == "better"


def test_holm_over_tasks_and_bonferroni_over_programs():
    results = [*better(1), *better(-20, task="dfs"), *better(-4.5, task="heapsort")]
    by_task = {row.task: row for row in compare(results, looked_at=5).rows}
    least = 2 / 2**10
    assert by_task["bfs"].corrected == pytest.approx(least * 5 * 3)
    assert by_task["dfs"].corrected == pytest.approx(least * 5 * 3)
    assert by_task["heapsort"].corrected == 1.0
    assert [row.smallest for row in by_task.values()] == pytest.approx([least * 5 * 3] * 3)
    assert [by_task[t].verdict for t in ("bfs", "dfs", "heapsort")] == ["better", "worse", "open"]


def test_three_seeds_can_show_nothing():
    (row,) = compare(better(40, count=3)).rows
    assert row.smallest == 0.25
    assert row.verdict == "unattainable"


def test_more_programs_looked_at_need_more_evidence():
    assert compare(better(1), looked_at=25).rows[0].verdict == "better"
    assert compare(better(1), looked_at=26).rows[0].verdict == "unattainable"


def test_one_pair_has_no_interval():
    (row,) = compare(better(1, count=1)).rows
    assert row.interval is None and row.detectable is None


def test_tasks_together():
    tasks = [f"{task}" for task in ("bfs", "dfs", "dijkstra", "heapsort", "minimum", "mst_prim")]
    (overall,) = compare([r for i, t in enumerate(tasks) for r in better(i, task=t)]).overall
    assert overall.tasks == 6
    assert overall.difference == pytest.approx(2.5 + 4.5)
    assert overall.p == pytest.approx(2 / 2**6)
    assert overall.verdict == "better"
    assert not compare(better(1)).overall  # one task says nothing over tasks


def test_inert_tasks_are_no_tests_to_correct_for():
    inert = better(1, task="minimum", inert=True)
    found = compare([*better(1), *inert])
    assert [row.task for row in found.rows] == ["bfs"]
    assert found.rows[0].corrected == pytest.approx(2 / 2**10)
    assert [(entry.task, entry.seeds) for entry in found.left_out] == [("minimum", ())]


def test_each_slot_has_its_baseline_and_another_can_be_named():
    results = [
        *better(1),
        *seeds("v3_sum", "bfs", TEN, slot="triplet"),
        *seeds("v1_standard", "bfs", TEN, slot="triplet"),
    ]
    assert {row.program: row.baseline for row in compare(results, looked_at=2).rows} == {
        "gmpnn": "triplet_gmpnn",
        "v3_sum": "v1_standard",
    }
    (row,) = compare(results, baseline="v3_sum", names=["gmpnn"]).rows
    assert row.baseline == "v3_sum"


def test_an_untrained_baseline_is_told_with_its_command():
    with pytest.raises(UserError) as told:
        compare(seeds("gmpnn", "bfs", [0.1, 0.2], options=SMALL))
    assert (
        "python -m launch.train triplet_gmpnn --tasks=bfs --seeds=0,1 "
        "--train_steps=300 --hidden_size=16"
    ) in str(told.value)


def test_missing_tasks_share_a_command():
    results = [*better(1), *seeds("gmpnn", "dfs", TEN[:2]), *seeds("gmpnn", "heapsort", TEN[:2])]
    assert compare(results).commands == (
        "python -m launch.train triplet_gmpnn --tasks=dfs,heapsort --seeds=0,1",
    )


def test_a_reduced_protocol_is_told_and_the_full_one_is_not():
    assert compare(better(1)).reduced == ""
    told = compare(better(1, options=SMALL)).reduced
    assert "train_steps 300 (in full 10000), hidden_size 16 (in full 128)" in told
    assert "not comparable with published scores" in told


def test_platforms_that_differ_are_noted():
    results = [result("gmpnn", platform="gpu"), result(BASELINE)]
    assert "trained on several platforms: cpu, gpu" in compare(results).notes


def test_fewer_programs_looked_at_than_compared_are_refused():
    with pytest.raises(UserError, match="--looked_at=1: 2 programs are compared"):
        compare([*better(1), *better(1, name="pgn")])


def test_a_program_of_a_run_was_picked_among_all_that_the_run_proposed(tmp_path):
    summary = tmp_path / "summary.json"
    summary.write_text('{"counts": {"proposed": 48}}')
    names = [f"{tmp_path}:#7", f"{tmp_path}:#9", "gmpnn"]
    assert picked.looked_at(names).count == 49
    assert picked.looked_at(names, 1600).count == 1600
    assert picked.looked_at(["gmpnn", "pgn"]).count == 2
    summary.write_text("{")
    with pytest.raises(UserError, match="summary.json is damaged: say with --looked_at"):
        picked.looked_at(names)
    summary.unlink()
    with pytest.raises(UserError, match="summary.json cannot be read: say with --looked_at"):
        picked.looked_at(names)
