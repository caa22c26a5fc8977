"""EvoPrompting against the paper."""

import collections
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from evo_clrs.errors import UserError
from evo_clrs.records import Candidate, Evaluation, Parent, Request
from evo_clrs.strategies.evoprompting import EvoPrompting, Options, targets


def scored(
    index: int,
    error: float,
    parameters: int = 1000,
    request: int | None = None,
    sample: int = 0,
    reused_from: int | None = None,
) -> Candidate:
    metrics = {
        "num_params": float(parameters),
        "val_accuracy": 1 - error,
        "val_error": error,
        "fitness": -parameters * error,
    }
    stage = "scored" if reused_from is None else "duplicate_graph"
    evaluation = Evaluation("scored", stage, metrics=metrics, reused_from=reused_from)
    return Candidate(
        index, f"p{index}", f"x = {index}", request=request, sample=sample, evaluation=evaluation
    )


def small(**options: Any) -> EvoPrompting:
    """A search with one prompt a round, as many samples as a test likes, and two survivors."""
    values: dict[str, Any] = {
        "rounds": 3,
        "prompts_per_round": 1,
        "samples_per_prompt": 8,
        "survivors": 2,
    }
    return EvoPrompting(Options(**(values | options)), seed=0)


def told(strategy: EvoPrompting, *children: Candidate) -> EvoPrompting:
    """Asks for the next round and tells these children, numbered as its samples."""
    (request,) = strategy.ask()
    strategy.tell(
        [
            dataclasses.replace(child, request=request.index, sample=sample)
            for sample, child in enumerate(children)
        ]
    )
    return strategy


def begun(strategy: EvoPrompting, *seeds: Candidate) -> EvoPrompting:
    strategy.tell(seeds or [scored(0, 0.3), scored(1, 0.4)])
    return strategy


def numbers(candidates) -> list[int]:
    return [candidate.index for candidate in candidates]


def test_the_defaults_are_those_of_the_paper():
    options = Options()
    assert (options.rounds, options.prompts_per_round, options.samples_per_prompt) == (10, 10, 16)
    assert (options.in_context, options.survivors, options.max_error) == (2, 10, 0.5)
    assert options.temperatures == (0.2, 0.6, 0.8, 1.0)
    assert (options.soft_prompt_length, options.soft_prompt_epochs) == (16, 5)
    assert (options.soft_prompt_batch, options.soft_prompt_learning_rate) == (16, 0.1)


def test_a_search_of_the_paper_asks_for_160_children_a_round_and_1600_in_all():
    strategy = begun(EvoPrompting(Options(), seed=0))
    samples: dict[int, int] = collections.Counter()
    index = 2
    while requests := strategy.ask():
        children = []
        for request in requests:
            assert len(request.parents) == 2
            samples[request.round] += request.samples
            for sample in range(request.samples):
                children.append(scored(index, 0.1, index, request.index, sample))
                index += 1
        strategy.tell(children)
    assert samples == dict.fromkeys(range(10), 160)


def test_parents_are_drawn_uniformly_with_replacement():
    strategy = EvoPrompting(Options(prompts_per_round=4000), seed=0)
    requests = begun(strategy, *(scored(i, 0.1) for i in range(4))).ask()
    pairs = collections.Counter(
        tuple(parent.program for parent in request.parents) for request in requests
    )
    assert len(pairs) == 16
    # 250 expected for each ordered pair; five standard deviations are 77.
    assert all(abs(count - 250) < 77 for count in pairs.values())


PRESETS = Path(__file__).parents[2] / "launch" / "presets"


def flags_of(preset: str) -> dict[str, str]:
    """Returns the flags of a preset, those of the files it includes among them."""
    found: dict[str, str] = {}
    for line in (PRESETS / preset).read_text().splitlines():
        if line.startswith("--"):
            name, _, value = line[2:].partition("=")
            if name == "flagfile":
                found |= flags_of(Path(value).name)
            else:
                found[name] = value
    return found


@pytest.mark.parametrize("task", ["articulation_points", "graham_scan", "mst_kruskal"])
def test_the_presets_name_every_option_with_its_default(task):
    found = flags_of(f"paper_{task}.flags")
    assert (found["task"], found["slot"], found["train_steps"]) == (task, "triplet", "2000")
    for field in dataclasses.fields(Options):
        default = getattr(Options(), field.name)
        entries = default if isinstance(default, tuple) else (default,)
        assert found[field.name] == ",".join(str(entry) for entry in entries).replace(
            "True", "true"
        ).replace("False", "false")


@pytest.mark.parametrize("per, kinds", [("prompt", {1}), ("sample", {2, 3, 4})])
def test_temperatures_are_drawn_per_prompt_or_per_sample(per, kinds):
    strategy = EvoPrompting(Options(temperature_per=per, prompts_per_round=50), seed=0)
    requests = begun(strategy).ask()
    assert {len(set(request.temperatures)) for request in requests} <= kinds
    drawn = {t for request in requests for t in request.temperatures}
    assert drawn == {0.2, 0.6, 0.8, 1.0}


def test_the_example_of_the_papers_prompt():
    parents = [
        Parent("a", "", {"num_params": 5300, "val_accuracy": 0.8}),
        Parent("b", "", {"num_params": 9999, "val_accuracy": 0.848}),
    ]
    assert targets(parents) == {"num_params": 4800, "val_accuracy": 0.865}


@pytest.mark.parametrize(
    "parameters, accuracy, expected",
    [
        (531_913, 0.9, {"num_params": 478_700, "val_accuracy": 0.918}),
        (1_000, 0.99, {"num_params": 900, "val_accuracy": 1.0}),
        (40, 0.0, {"num_params": 100, "val_accuracy": 0.0}),
    ],
)
def test_targets_are_rounded_and_clamped(parameters, accuracy, expected):
    parent = Parent("a", "", {"num_params": parameters, "val_accuracy": accuracy})
    assert targets([parent]) == expected


def test_requests_show_metrics_as_plain_numbers():
    (request,) = begun(small(), scored(0, 0.25, 4000)).ask()
    assert request.parents[0].metrics == {"num_params": 4000, "val_accuracy": 0.75}
    assert request.targets == {"num_params": 3600, "val_accuracy": 0.765}


def test_the_fittest_by_parameters_times_error_become_parents():
    strategy = told(
        begun(small()),
        scored(2, 0.10, 4000),  # 400
        scored(3, 0.30, 1000),  # 300
        scored(4, 0.20, 1000),  # 200
    )
    assert numbers(strategy.population()) == [4, 3]


def test_children_at_or_above_alpha_do_not_enter_however_small():
    strategy = told(begun(small()), scored(2, 0.5, 1), scored(3, 0.6, 1), scored(4, 0.499, 1000))
    assert numbers(strategy.population()) == [4]
    assert 2 not in numbers(strategy.best(9))


def test_rejected_and_infinite_children_do_not_enter():
    rejected = Candidate(2, "p2", "", evaluation=Evaluation("rejected", "trace", "no"))
    strategy = told(begun(small()), rejected, Candidate(3, "p3", ""), scored(4, float("nan")))
    assert numbers(strategy.best(9)) == [0, 1]


def test_a_parent_is_never_chosen_again():
    strategy = told(begun(small()), scored(2, 0.01), scored(3, 0.02), scored(4, 0.03))
    assert numbers(strategy.population()) == [2, 3]
    told(strategy, scored(5, 0.2))
    assert numbers(strategy.population()) == [4, 5]  # 4 is from an earlier round


def test_seeds_were_parents_and_are_not_chosen_again():
    strategy = told(begun(small(), scored(0, 0.001)), scored(1, 0.4))
    assert numbers(strategy.population()) == [1]


def test_without_a_new_program_the_fittest_are_chosen_again():
    strategy = told(begun(small()))
    assert numbers(strategy.population()) == [0, 1]
    told(strategy, scored(2, 0.01), scored(3, 0.4), scored(4, 0.49))
    assert numbers(strategy.population()) == [2, 3]
    strategy = told(begun(small(seeds_in_history=False)))
    assert numbers(strategy.population()) == [0, 1]


@pytest.mark.parametrize(
    "includes, in_history, best",
    [(True, True, [0, 2, 3]), (True, False, [2, 3, 4]), (False, True, [4])],
)
def test_what_the_final_answer_may_hold(includes, in_history, best):
    strategy = small(
        rounds=2, final_includes_parents=includes, seeds_in_history=in_history, survivors=3
    )
    begun(strategy, scored(0, 0.01))
    told(strategy, scored(2, 0.02), scored(3, 0.03))
    told(strategy, scored(4, 0.4))
    assert strategy.finished
    assert numbers(strategy.population()) == best


@pytest.mark.parametrize("obey, parents", [(False, [0, 1]), (True, [1])])
def test_whether_seeds_obey_alpha(obey, parents):
    strategy = begun(small(seeds_obey_max_error=obey), scored(0, 0.9), scored(1, 0.4))
    assert numbers(strategy.population()) == parents


def test_the_same_function_enters_only_if_it_is_smaller():
    strategy = told(
        begun(small(survivors=9)),
        scored(2, 0.1, 1000),
        scored(3, 0.1, 1000, reused_from=2),
        scored(4, 0.1, 1200, reused_from=2),
        scored(5, 0.1, 900, reused_from=2),
        scored(6, 0.1, 950, reused_from=2),
        scored(7, 0.3, 999, reused_from=0),
    )
    assert numbers(strategy.population()) == [5, 2, 7]


@pytest.mark.parametrize("which, tuned", [("all", [2, 3, 4]), ("not_chosen", [4])])
def test_which_children_tune_the_prompt(which, tuned):
    strategy = begun(small(tuning_children=which))
    assert numbers(strategy.tuning_set()) == []
    told(strategy, scored(2, 0.1), scored(3, 0.2), scored(4, 0.3), scored(5, 0.7))
    assert numbers(strategy.tuning_set()) == tuned


def test_nothing_is_tuned_after_the_last_round():
    strategy = told(begun(small(rounds=1)), scored(2, 0.1), scored(3, 0.2), scored(4, 0.3))
    assert strategy.finished
    assert numbers(strategy.tuning_set()) == []


def test_ties_go_to_the_earlier_candidate():
    strategy = told(begun(small()), scored(4, 0.1), scored(2, 0.1), scored(3, 0.1))
    assert numbers(strategy.population()) == [2, 3]


NUMBERS = [f.name for f in dataclasses.fields(Options) if f.type in ("int", "float", int, float)]


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UserError, match=f"--{name} must be above zero, got {value}"):
        small(**{name: value})


@pytest.mark.parametrize("name", ["temperature_per", "tuning_children"])
def test_unknown_choices_are_refused_by_name(name):
    with pytest.raises(UserError, match=f"--{name} must be .* or .*, got 'other'"):
        small(**{name: "other"})


def test_no_temperature_at_all_is_refused():
    with pytest.raises(UserError, match="--temperatures"):
        Options(temperatures=())
    with pytest.raises(UserError, match="--temperatures must be above zero, got -0.2"):
        Options(temperatures=(1.0, -0.2))


def test_requests_are_numbered_across_rounds():
    strategy = begun(small())
    first: Request = strategy.ask()[0]
    strategy.tell([])
    second = strategy.ask()[0]
    assert (first.index, first.round, second.index, second.round) == (0, 0, 1, 1)


def test_migrants_become_parents_at_once_and_are_told_apart_from_twins():
    strategy = told(begun(small()), scored(2, 0.2), scored(3, 0.3))
    strategy.immigrate([scored(7, 0.1), scored(8, 0.01, reused_from=2), scored(9, 0.3, 1e4)])
    assert numbers(strategy.population()) == [8, 7]
    assert strategy.best(1) == strategy.population()[:1]
