"""Pairs are the same task and seed under the same options, and what is not paired is named."""

import dataclasses

import pytest

from evo_clrs.comparison import pairing
from evo_clrs.comparison.pairing import gather, pair
from evo_clrs.errors import UserError
from tests.result_lines import SMALL, identity_of, result, seeds

BASELINE = "triplet_gmpnn"


def paired(results, name="gmpnn", task="bfs"):
    trainings = gather(results)
    return pair(trainings, trainings.find(name), trainings.find(BASELINE), task)


def told(found):
    return [(entry.seeds, entry.why) for entry in found.left_out]


def test_seeds_that_both_sides_have_are_paired():
    found = paired([*seeds("gmpnn", "bfs", [0.1, 0.2]), *seeds(BASELINE, "bfs", [0.3, 0.4])])
    tests = {seed: (a.test, b.test) for seed, (a, b) in found.pairs.results.items()}
    assert tests == {0: (0.1, 0.3), 1: (0.2, 0.4)}
    assert not found.left_out and not found.missing


def test_a_seed_on_one_side_is_named_with_what_would_train_the_other():
    found = paired(
        [
            *seeds("gmpnn", "bfs", [0.1, 0.2, 0.3], options=SMALL),
            *seeds(BASELINE, "bfs", [0.3], options=SMALL),
        ]
    )
    assert list(found.pairs.results) == [0]
    assert told(found) == [((1, 2), "triplet_gmpnn was not trained from them")]
    (missing,) = found.missing
    assert (missing.program, missing.task, missing.seeds) == (BASELINE, "bfs", (1, 2))
    assert missing.flags == ("--train_steps=300", "--hidden_size=16")


def test_a_failed_training_is_named_with_its_reason():
    failed = result("gmpnn", seed=1, test=None, status="failed", reason="loss was NaN at step 40")
    found = paired([result("gmpnn"), failed, *seeds(BASELINE, "bfs", [0.3, 0.4])])
    assert list(found.pairs.results) == [0]
    assert told(found) == [((1,), "gmpnn failed: loss was NaN at step 40")]
    assert not found.missing  # the other side is there, and this one would fail again


def test_a_training_that_was_resumed_counts_once_it_is_scored():
    stopped = result("gmpnn", test=None, status="incomplete", reason="stopped by --max_seconds")
    found = paired([stopped, result("gmpnn"), result(BASELINE)])
    assert list(found.pairs.results) == [0]
    assert not found.left_out


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        (
            {"inert": True, "status": "failed", "test": None, "reason": "inert: it cannot"},
            {},
            "inert: it cannot change a prediction of this task",
        ),
        ({"inert": True}, {}, "inert: it cannot change a prediction of this task"),
        ({}, {"inert": True}, "inert: triplet_gmpnn cannot change a prediction of this task"),
        (
            {"fingerprint": "same"},
            {"fingerprint": "same"},
            "it computes the same function as triplet_gmpnn",
        ),
    ],
    ids=["inert", "inert and trained", "inert baseline", "same function"],
)
def test_pairs_that_can_only_differ_by_noise_are_left_out_and_named(ours, theirs, why):
    found = paired([result("gmpnn", **ours), result(BASELINE, **theirs)])
    assert found.pairs is None
    assert told(found) == [((), why)]


def test_equal_lines_count_once_and_are_named():
    trainings = gather([result("gmpnn"), result("gmpnn"), result(BASELINE)])
    assert trainings.notes == ("gmpnn on bfs, seed 0: 2 equal lines, counted once",)
    assert len(trainings.of(trainings.find("gmpnn"), "bfs")) == 1


def test_two_scores_of_one_training_are_refused():
    with pytest.raises(UserError, match=r"seed 0: two lines with different scores, 0.5 and 0.6"):
        gather([result("gmpnn", test=0.5), result("gmpnn", test=0.6)])


def test_different_options_are_refused_on_one_side_and_between_sides():
    small = result("gmpnn", options=SMALL)
    with pytest.raises(UserError, match=r"gmpnn on bfs: .*\(train_steps 300 and 10000") as told:
        gather([small, result("gmpnn", seed=1)])
    assert "\n" not in str(told.value)
    with pytest.raises(UserError, match="gmpnn and triplet_gmpnn on bfs: .*train_steps 300"):
        paired([small, result(BASELINE)])
    with pytest.raises(UserError, match="matmul_precision bfloat16 and float32"):
        paired([result("gmpnn", precision="bfloat16"), result(BASELINE)])


def test_options_that_shape_no_score_may_differ():
    elsewhere = {"cache": "/elsewhere", "max_memory": 80.0, "trainings": 3}
    one = result("gmpnn", options=elsewhere, full_protocol=True)
    assert paired([one, result(BASELINE)]).pairs is not None


def test_two_programs_of_one_name_are_told_apart():
    trainings = gather([result("mine", program="a" * 16), result("mine", program="b" * 16)])
    assert [p.name for p in trainings.programs] == ["mine (aaaaaaaa)", "mine (bbbbbbbb)"]
    assert trainings.find("b" * 16).name == "mine (bbbbbbbb)"


def test_the_baseline_of_a_slot_is_known_by_its_text_and_not_by_its_name():
    impostor = result(BASELINE, program="a" * 16)
    honest = dataclasses.replace(impostor, program=identity_of(BASELINE), name="a_copy")
    trainings = gather([impostor, honest])
    assert [pairing.is_baseline(p) for p in trainings.programs] == [False, True]
    assert pairing.choose(trainings, []) == [trainings.find(BASELINE)]


@pytest.mark.parametrize(
    ("name", "told", "argument"),
    [
        ("laptop:#7", "runs/laptop:best", "runs/laptop:#7"),
        ("mine", "here/mine.py", "here/mine.py"),
        ("mine", "mine.py", "mine.py"),
        ("gmpnn", "gmpnn", "gmpnn"),
        ("mine", "'", "mine"),
    ],
)
def test_a_program_is_trained_again_from_where_it_was(name, told, argument):
    command = f"python -m launch.train gmpnn {told} --tasks=bfs --out=runs/train"
    results = [result(name, seed=1, command=command), result(BASELINE)]
    missing = [each for each in paired(results, name).missing if each.seeds == (0,)]
    assert [each.program for each in missing] == [argument]


def test_unknown_programs_and_lonely_baselines_are_told():
    trainings = gather([result(BASELINE)])
    with pytest.raises(UserError, match="no result of program 'mine'; there are results of: tri"):
        trainings.find("mine")
    with pytest.raises(UserError, match="only the baseline was trained"):
        pairing.choose(trainings, [])
    with pytest.raises(UserError, match="no result to compare"):
        gather([])
