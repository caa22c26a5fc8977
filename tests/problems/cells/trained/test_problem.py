"""Cells trained for real, as a problem."""

import dataclasses
import io

import jax
import pytest

from evo_clrs import experiment, problems, spaces, strategies
from evo_clrs.errors import Rejected, UserError
from evo_clrs.executors import InlineExecutor, Placement
from evo_clrs.executors.cached import CachedExecutor
from evo_clrs.problems.cells.nasbench201 import DESIGNS
from evo_clrs.problems.cells.trained.problem import Options, TrainedCells
from evo_clrs.proposers.grammar.proposer import Grammar
from evo_clrs.records import Cost, Design, Evaluation
from evo_clrs.report.progress import Progress
from evo_clrs.store import Store, selection
from evo_clrs.store.scores import Scores
from tests.problems.cells.trained import folder as cifar10

SMALL = {"width": 4, "cells_per_stage": 1, "batch_size": 64, "epochs": 8}
CUT = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
PLAIN = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"
PLAIN_AND_DEAD = "|nor_conv_1x1~0|+|avg_pool_3x3~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"


def make(**options):
    return problems.make("cells", {**SMALL, **options})


def design(arch):
    return Design("cell", arch, spaces.CELL.from_arch(arch))


@pytest.fixture(scope="module")
def trained():
    """One problem, and the evaluation of a plain cell on selection images."""
    problem = make()
    return problem, problem.evaluate(design(PLAIN), "selection", (0,))


def test_a_short_training_on_digits_is_far_better_than_chance(trained):
    problem, evaluation = trained
    assert evaluation.scored and evaluation.seeds == (0,)
    assert evaluation.budget == {"epochs": 8, "steps": 8 * 15}
    assert evaluation.metrics["val_accuracy"] > 0.8
    assert evaluation.metrics["accuracy"] > 0.8
    assert evaluation.cost.train_seconds > 0
    told = problem.metrics(evaluation, problem.examine(design(PLAIN)))
    assert told["fitness"] == evaluation.metrics["accuracy"]
    assert told["val_error"] == 1 - told["val_accuracy"]


def test_equal_seeds_give_equal_scores_with_and_without_dead_edges(trained):
    problem, evaluation = trained
    again = problem.evaluate(design(PLAIN_AND_DEAD), "validation", (0,))
    assert again.metrics["val_accuracy"] == evaluation.metrics["val_accuracy"]
    assert "accuracy" not in again.metrics


def test_cells_that_differ_in_dead_edges_share_a_fingerprint_and_not_their_size():
    problem = make()
    plain, more = problem.examine(design(PLAIN)), problem.examine(design(PLAIN_AND_DEAD))
    assert plain.fingerprint == more.fingerprint == PLAIN
    assert plain.live_parameters == more.live_parameters == plain.parameters < more.parameters
    # A 1x1 convolution with its normalisation at widths 4, 8 and 16.
    assert more.parameters - plain.parameters == sum(w * w + 2 * w for w in (4, 8, 16))


def test_facts_of_a_full_network_are_the_published_ones():
    """Number 11 of NAS-Bench-201: 0.802426 M parameters on CIFAR-10 with its three channels."""
    problem = problems.make("cells", {})
    arch = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|"
    facts = problem.examine(design(arch))
    assert facts.parameters == 802_426 - 2 * 9 * 16  # two channels less in the stem
    told = problem.metrics(Evaluation("scored", "scored", metrics={"val_accuracy": 0.5}), facts)
    layers = 5 * 3 * 3 + 2 * 3 + 2
    assert told["width_to_depth"] == 64 / layers


def test_a_cell_without_a_path_is_inert():
    with pytest.raises(Rejected, match="inert: no path leads from"):
        make().examine(design(CUT))


def test_fitness_can_be_size_times_error():
    problem = make(fitness="size_times_error")
    facts = problem.examine(design(PLAIN))
    evaluation = Evaluation("scored", "scored", metrics={"val_accuracy": 0.75})
    assert problem.metrics(evaluation, facts)["fitness"] == -facts.parameters * 0.25


def test_test_images_are_closed_to_a_search_and_open_on_the_record():
    problem = make(epochs=1)
    with pytest.raises(UserError, match="final comparison only"):
        problem.evaluate(design(PLAIN), "test", (0,))
    readings = []
    opened = problem.open_test(readings.append)
    assert readings == []
    assert 0 <= opened.evaluate(design(PLAIN), "test", (0,)).metrics["accuracy"] <= 1
    assert readings == ["digits"]


def test_a_training_that_diverges_is_rejected():
    with pytest.raises(Rejected, match="not finite"):
        make(learning_rate=1e30, epochs=2).evaluate(design(PLAIN), "validation", (0,))


def test_seeds_are_well_known_cells_files_or_none(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(spaces.CELL.write(spaces.CELL.from_arch(PLAIN)))
    assert list(make().seeds()) == list(DESIGNS)
    assert make(seeds=("none",)).seeds() == {}
    found = make(seeds=("resnet", str(mine))).seeds()
    assert [spaces.CELL.arch(spaces.CELL.read(source)) for source in found.values()] == [
        DESIGNS["resnet"],
        PLAIN,
    ]
    with pytest.raises(UserError, match="'vgg' is neither a file nor a known design"):
        make(seeds=("vgg",)).seeds()


def test_the_score_key_holds_what_shapes_a_score_and_nothing_else(tmp_path):
    usual = make()
    cifar10.write(tmp_path)
    for name, other in {
        **{"width": 8, "cells_per_stage": 2, "epochs": 9, "batch_size": 32},
        **{"learning_rate": 0.2, "momentum": 0.5, "weight_decay": 0.0, "augment": False},
        "matmul_precision": "bfloat16",
    }.items():
        assert make(**{name: other}).score_key != usual.score_key, name
    images = make(images="cifar10", folder=str(tmp_path))
    assert images.score_key != usual.score_key
    assert make(folder="elsewhere").score_key == usual.score_key
    assert make(seeds=("none",)).score_key == usual.score_key
    assert make(seeds=("none",)).identity != usual.identity
    assert usual.identity["jax"] == jax.__version__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": "mnist"}, "--images must be one of digits, cifar10"),
        ({"images": "cifar10"}, "--images=cifar10 needs --folder"),
        ({"width": 0}, "--width must be 1 or more"),
        ({"batch_size": 1}, "--batch_size must be 2 or more"),
        ({"momentum": 1.0}, "--momentum must be from 0 to below 1"),
        ({"learning_rate": 0.0}, "--learning_rate must be above zero"),
        ({"weight_decay": -1.0}, "--weight_decay must be 0 or more"),
        ({"fitness": "beauty"}, "--fitness must be one of"),
        ({"matmul_precision": "float16"}, "--matmul_precision must be one of"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        make(**options)


class Counted(TrainedCells):
    """Tells a score of the cell's number of edges instead of training, and counts."""

    trainings = 0

    def evaluate(self, work, split, seeds):
        self.trainings += 1
        accuracy = 0.5 + 0.05 * sum(choice != 0 for choice in work.choices)
        metrics = {"val_accuracy": accuracy, "val_error": 1 - accuracy}
        if split != "validation":
            metrics["accuracy"] = accuracy
        cost = Cost(train_seconds=1.0)
        return Evaluation("scored", "scored", metrics=metrics, seeds=tuple(seeds), cost=cost)


def search(scores):
    """Returns how many cells were trained, what the search came to, and seconds of training."""
    problem = Counted(Options(**SMALL))
    budget = {"rounds": 3, "prompts_per_round": 2, "samples_per_prompt": 2}
    executor = CachedExecutor(InlineExecutor(problem, Placement()), scores, problem)
    with Store.in_memory(problem.identity) as store, executor:
        experiment.Experiment(
            problem,
            strategies.make("regularized_evolution", budget, seed=1),
            Grammar(),
            executor,
            None,
            store,
            Progress(stream=io.StringIO()),
            experiment.Settings(seed=1),
        ).run()
        told = [
            (c.program, dataclasses.replace(c.evaluation, cost=Cost())) for c in store.candidates()
        ]
        spent = sum(c.evaluation.cost.train_seconds for c in store.candidates())
        chosen = [(s.candidate.program, dict(s.metrics)) for s in selection.read(store)]
    return problem.trainings, (repr(told), chosen), spent


def test_a_second_search_trains_nothing_and_comes_to_the_same(tmp_path):
    with Scores.open(tmp_path) as scores:
        first_trained, first, first_spent = search(scores)
        kept = len(scores)
    with Scores.open(tmp_path) as scores:
        second_trained, second, second_spent = search(scores)
        assert len(scores) == kept
    assert first_trained == kept > 10 and first_spent > 0
    assert second_trained == 0 and second_spent == 0
    assert second == first
