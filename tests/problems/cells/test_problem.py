"""Tabular problems: looking up, bounds, closed test accuracies, seeds and examples."""

import json

import pytest

from evo_clrs import problems
from evo_clrs.errors import Rejected, UserError
from evo_clrs.problems.cells import order
from evo_clrs.records import Design
from tests.problems.cells import tables
from tests.problems.cells.tables import (
    BEST_CIFAR10,
    BEST_IMAGENET,
    CONV3X3,
    GENUINE_CELLS,
    NUMBER_0,
    NUMBER_284,
    RESNET,
    SKIP,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Tables by name."""
    folder = tmp_path_factory.mktemp("tables")
    found = {data: tables.write_cells(folder / f"{data}.json", data) for data in GENUINE_CELLS}
    found["macro"] = tables.write_json(folder / "macro.json", tables.macro())
    archs, results = tables.size_archs(), {284: tables.size_results()}
    found["sizes"] = tables.write_archive(folder / "sizes", archs, results)
    archs = [order.at(number) for number in range(15_625)]
    found["cells"] = tables.write_archive(folder / "cells", archs, {284: tables.cell_results()})
    return found


def make(files, table="cifar10", name="nasbench201", **options):
    return problems.make(name, {"table": files[table], **options})


def design(problem, arch):
    return Design(problem.slot.name, arch, problem.slot.space.from_arch(arch))


def measured(problem, arch, split="validation"):
    """Returns the metrics of a design, as a search sees them."""
    work = design(problem, arch)
    facts = problem.examine(work)
    evaluation = problem.evaluate(work, split, problem.training_seeds)
    assert evaluation.scored
    return problem.metrics(evaluation, facts)


def test_a_design_is_looked_up(files):
    problem = make(files)
    metrics = measured(problem, RESNET)
    assert metrics["val_accuracy"] == metrics["fitness"] == pytest.approx(0.9086)
    assert metrics["val_error"] == pytest.approx(1 - 0.9086)
    assert metrics["num_params"] == 73_306 + 2 * 243_040  # two 3x3 convolutions in each cell
    assert metrics["live_params"] == metrics["num_params"]
    assert metrics["flops"] == 7_783_050 + 2 * 9 * 3_932_160
    assert problem.instant and problem.sizes == () and problem.training_seeds == (0,)
    assert problem.title == "nasbench201-cifar10"


def test_the_fingerprint_of_a_cell_is_its_arch_string(files):
    """Equal functions with other strings were trained apart, and have scores of their own."""
    problem = make(files)
    assert problem.examine(design(problem, RESNET)).fingerprint == RESNET


def test_selection_is_validation_and_test_is_closed(files):
    problem = make(files, "imagenet16-120", data="imagenet16-120")
    assert measured(problem, RESNET, "selection")["accuracy"] == pytest.approx(0.441)
    with pytest.raises(UserError, match="test accuracies are for the final comparison only"):
        measured(problem, RESNET, "test")
    with pytest.raises(UserError, match="test accuracies are for the final comparison only"):
        problem.test_accuracy(RESNET)
    with pytest.raises(UserError, match="unknown split 'train'"):
        measured(problem, RESNET, "train")


def test_opened_test_accuracies_are_recorded(files):
    read = []
    problem = make(files, "imagenet16-120", data="imagenet16-120").open_test(read.append)
    assert problem.test_accuracy(BEST_IMAGENET) == pytest.approx(0.462)
    assert read == [BEST_IMAGENET]
    metrics = measured(problem, RESNET, "test")
    assert metrics["accuracy"] == metrics["fitness"] == pytest.approx(0.4423333)
    assert metrics["val_accuracy"] == pytest.approx(0.441)
    assert read == [BEST_IMAGENET, RESNET]


def test_fitness_may_count_size(files):
    metrics = measured(make(files, fitness="size_times_error"), RESNET)
    assert metrics["fitness"] == -metrics["num_params"] * metrics["val_error"]


def test_a_design_over_a_bound_is_told_by_how_much(files):
    problem = make(files, max_flops=100.0, max_params=0.5)
    work = design(problem, CONV3X3)
    with pytest.raises(Rejected) as rejection:
        problem.examine(work)
    assert rejection.value.stage == "over_budget"
    assert rejection.value.reason == "1.532 M parameters, over the bound of 0.5 M by 1.032 M"
    with pytest.raises(Rejected) as rejection:
        make(files, max_flops=100.0).examine(work)
    assert rejection.value.reason == "220.1 M FLOPs, over the bound of 100 M by 120.1 M"
    assert problem.examine(design(problem, SKIP)).parameters == 73_306  # within both


def test_costs_of_official_files_are_metrics(files):
    metrics = measured(make(files, "cells"), NUMBER_284)
    assert metrics["train_seconds"] == pytest.approx(975.158874)
    assert metrics["latency"] == pytest.approx(0.0125)
    assert metrics["val_accuracy"] == pytest.approx(0.8604666666)


def test_a_design_that_is_not_in_the_table_is_rejected(files):
    problem = make(files, "cells")
    with pytest.raises(Rejected) as rejection:
        problem.examine(design(problem, NUMBER_0))
    assert rejection.value.stage == "failed"
    assert rejection.value.reason == f"{NUMBER_0} is not in the table, which has 1 designs"
    with pytest.raises(Rejected):
        problem.evaluate(design(problem, NUMBER_0), "validation", (0,))
    assert problem.remark == "the folder holds 1 of 15,625 designs"


def test_macro_networks_have_the_files_costs_and_a_remark(files):
    problem = make(files, "macro", "nasbench_macro")
    metrics = measured(problem, "22222222")
    assert metrics["val_accuracy"] == pytest.approx(0.9295333)
    assert (metrics["num_params"], metrics["flops"]) == (2_932_586, 105_660_928)
    assert "test accuracies only" in problem.remark
    assert problem.open_test(lambda arch: None).test_accuracy("22212220") == pytest.approx(
        0.93127, abs=1e-5
    )


def test_sizes_are_looked_up(files):
    problem = make(files, "sizes", "nats_sizes", data="cifar100")
    metrics = measured(problem, "8:8:40:32:40")
    assert metrics["val_accuracy"] == pytest.approx(0.62780)
    assert (metrics["num_params"], metrics["flops"]) == (148_524, 21_831_684)
    assert problem.title == "nats_sizes-cifar100"


def test_usual_seeds_are_well_known_designs(files):
    problem = make(files)
    seeds = problem.seeds()
    assert problem.arch(seeds["resnet"]) == RESNET
    assert problem.arch(seeds["conv3x3"]) == CONV3X3
    assert list(make(files, "macro", "nasbench_macro").seeds()) == ["identity", "mb3_k3", "mb6_k5"]
    assert "wide" in make(files, "sizes", "nats_sizes").seeds()


def test_seeds_are_names_files_or_none(files, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(make(files).program(NUMBER_0))
    found = make(files, seeds=(str(path), "skip")).seeds()
    assert list(found) == ["mine", "skip"]
    assert make(files).arch(found["mine"]) == NUMBER_0
    assert make(files, seeds=("none",)).seeds() == {}
    with pytest.raises(UserError, match="seed 'lenet' is neither a file nor .* there are: resnet"):
        make(files, seeds=("lenet",)).seeds()
    path.write_text("def build_cell(x0):\n    return x0\n")
    with pytest.raises(UserError, match="seed mine: line 2: expected three new nodes"):
        assert make(files, seeds=(str(path),)).identity


def test_a_problem_is_rebuilt_from_its_options(files):
    problem = make(files, max_flops=150.0, seeds=("resnet",))
    again = problems.make(problem.name, json.loads(json.dumps(problem.options)))
    assert again.identity == problem.identity
    assert again.score_key == problem.score_key
    assert measured(again, NUMBER_0) == measured(problem, NUMBER_0)


def test_another_table_is_another_problem(files, tmp_path):
    first = make(files)
    copied = tmp_path / "elsewhere.json"
    copied.write_text(json.dumps(tables.cells("cifar10")))
    moved = problems.make("nasbench201", {"table": str(copied)})
    assert moved.score_key == first.score_key and moved.identity == first.identity
    content = tables.cells("cifar10")
    content[RESNET]["val_acc_200"] += 0.01
    copied.write_text(json.dumps(content))
    changed = problems.make("nasbench201", {"table": str(copied)})
    assert changed.score_key != first.score_key and changed.identity != first.identity


def test_examples_are_the_best_of_another_data_set_by_validation(files):
    problem = make(files)
    found = problem.examples(files["imagenet16-120"], 60)
    assert len(found) == 60
    accuracies = [parent.metrics["val_accuracy"] for parent in found]
    assert accuracies == sorted(accuracies, reverse=True)
    content = tables.cells("imagenet16-120")
    best = max(content, key=lambda arch: content[arch]["val_acc_200"])
    assert problem.arch(found[0].source) == best
    assert found[0].program == problem.slot.identity(found[0].source)


def test_a_search_learns_nothing_from_its_own_table(files, tmp_path):
    problem = make(files)
    with pytest.raises(UserError, match="is the table that is searched"):
        problem.examples(files["cifar10"], 5)
    content = tables.cells("cifar10")
    content[CONV3X3]["val_acc_200"] -= 1
    same_data = tables.write_json(tmp_path / "same_data.json", content)
    with pytest.raises(UserError, match="is about cifar10, the data set that is searched"):
        problem.examples(same_data, 5)
    content[NUMBER_0]["val_acc_200"] -= 1  # so that the content no longer tells the data set
    disguised = tables.write_json(tmp_path / "disguised.json", content)
    with pytest.raises(UserError, match="has the accuracies of the table that is searched"):
        problem.examples(disguised, 5)
    with pytest.raises(UserError, match="is no table of nasbench201"):
        problem.examples(files["macro"], 5)
    with pytest.raises(UserError, match="there is no table /nowhere"):
        problem.examples("/nowhere", 5)


def test_examples_of_an_official_folder_name_their_data_set(files):
    problem = make(files)
    found = problem.examples(files["cells"] + ":cifar100", 5)
    assert [problem.arch(parent.source) for parent in found] == [NUMBER_284]
    assert found[0].metrics["num_params"] == 107_156
    with pytest.raises(UserError, match="say which"):
        problem.examples(files["cells"], 5)
    with pytest.raises(UserError, match="is about cifar10, the data set that is searched"):
        problem.examples(files["cells"] + ":cifar10", 5)


@pytest.mark.parametrize("name", ["nasbench201", "nasbench_macro", "nats_sizes"])
@pytest.mark.parametrize("table", ["", "/nowhere/table"], ids=["none", "wrong"])
def test_a_missing_table_says_where_it_comes_from(name, table):
    with pytest.raises(UserError) as error:
        problems.make(name, {"table": table})
    message = str(error.value)
    assert ("there is no table /nowhere/table" if table else "--table is missing") in message
    assert "https://" in message and "--table=" in message and "third_party/DATA.md" in message
    assert "bytes, sha256" in message or "GB" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"data": "mnist"}, "--data must be one of cifar10, cifar100, imagenet16-120, got 'mnist'"),
        ({"max_flops": -1.0}, "--max_flops must be 0"),
        ({"max_params": float("nan")}, "--max_params must be 0"),
        ({"fitness": "speed"}, "--fitness must be one of accuracy, size_times_error, got 'speed'"),
    ],
)
def test_options_out_of_range_are_named(options, reason):
    with pytest.raises(UserError, match=reason.replace("(", r"\(")):
        problems.make("nasbench201", options)


def test_best_cells_are_the_published_ones(files):
    """Best by validation and its test accuracy, on the genuine part of the tables."""
    cifar10 = make(files).open_test(lambda arch: None)
    assert measured(cifar10, BEST_CIFAR10)["val_accuracy"] == pytest.approx(0.91607, abs=1e-5)
    assert cifar10.test_accuracy(BEST_CIFAR10) == pytest.approx(0.94373, abs=1e-5)
