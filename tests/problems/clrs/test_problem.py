"""CLRS as a problem: sizes, facts, inert programs, options, seeds."""

import jax
import pytest

from evo_clrs import problems, programs
from evo_clrs.errors import Rejected, UserError
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.clrs import influence
from evo_clrs.problems.clrs.tasks import TASKS
from evo_clrs.records import Evaluation, make_size, seeds_at
from evo_clrs.training.rungs import Rung

# Tasks none of whose decoders read edges (Ibarz et al. 2022; derived from the library's specs).
EDGELESS = {
    "activity_selector",
    "binary_search",
    "find_maximum_subarray_kadane",
    "jarvis_march",
    "minimum",
    "naive_string_matcher",
    "segments_intersect",
    "task_scheduling",
}
SMALL = {
    "hidden_size": 8,
    "triplet_size": 4,
    "batch_size": 2,
    "train_lengths": (4,),
    "validation_length": 4,
    "train_count": 4,
    "validation_count": 2,
    "multiply_counts": False,
    "string_length": 8,
    "max_needle": 2,
    "cache": "none",
}


def make(task="bfs", slot="processor", **options):
    return problems.make("clrs", {**SMALL, "task": task, "slot": slot, **options})


@pytest.fixture(scope="module")
def jail():
    with Jail() as jail:
        yield jail


def test_a_triplet_function_cannot_matter_on_exactly_the_eight_tasks(jail):
    dead = set()
    for name in TASKS:
        problem = make(name, "triplet")
        read = influence.live_slot_outputs(problem._model, problem.slot, problem.sizes[0])
        dead |= {name} if not read else set()
    assert dead == EDGELESS


@pytest.mark.parametrize("program", programs.load("triplet"))
def test_every_triplet_program_is_inert_on_a_task_without_edge_decoders(jail, program):
    problem = make("minimum", "triplet")
    graph = jail.trace(problem.slot, programs.load("triplet")[program], problem.sizes)
    with pytest.raises(Rejected, match="inert: it cannot change a prediction of minimum"):
        problem.examine(graph)


def test_a_processor_that_ignores_its_inputs_is_inert(jail):
    source = programs.load("processor")["pgn"].replace(
        "        return node, None", "        return jnp.zeros_like(node), None"
    )
    assert "zeros_like" in source
    problem = make()
    with pytest.raises(Rejected, match="inert"):
        problem.examine(jail.trace(problem.slot, source, problem.sizes))


def test_triplet_gmpnn_has_the_published_parameters_through_jail_and_gates(jail):
    """Table 3 of Chen et al. 2023: 523,963 for bfs."""
    problem = make(hidden_size=128, triplet_size=8)
    source = programs.load("processor")["triplet_gmpnn"]
    facts = problem.examine(jail.trace(problem.slot, source, problem.sizes))
    assert facts.parameters == 523_963
    assert facts.live_parameters == 523_963


def test_quad_node_min_max_has_the_published_parameters(jail):
    """Table 3 of Chen et al. 2023: 497,969 for articulation points; few of its own can matter."""
    problem = make("articulation_points", "triplet", hidden_size=128, triplet_size=8)
    source = programs.load("triplet")["quad_node_min_max"]
    facts = problem.examine(jail.trace(problem.slot, source, problem.sizes))
    assert facts.parameters == 497_969
    assert facts.live_parameters <= facts.parameters


def test_edge_embeddings_that_no_decoder_reads_are_not_live(jail):
    problem = make("minimum", hidden_size=128, triplet_size=8)
    source = programs.load("processor")["triplet_gmpnn"]
    facts = problem.examine(jail.trace(problem.slot, source, problem.sizes))
    assert facts.parameters - facts.live_parameters == 11_448  # the whole triplet function


def test_sizes_are_those_of_training_then_validation():
    problem = make(train_lengths=(4, 7), validation_length=9)
    assert problem.sizes == tuple(make_size(B=2, N=n, H=8, K=4, R=4) for n in (4, 7, 9))


def test_equal_seeds_give_equal_scores_and_selection_data_other_ones(jail):
    problem = make(train_steps=4, validate_every=2, selection_count=8)
    source = programs.load("processor")["deep_sets"]
    graph = jail.trace(problem.slot, source, problem.sizes)
    first = problem.evaluate(graph, "validation", (0,))
    assert first.metrics == problem.evaluate(graph, "validation", (0,)).metrics
    selected = problem.evaluate(graph, "selection", (0,))
    assert selected.metrics["val_accuracy"] == first.metrics["val_accuracy"]
    assert 0 <= selected.metrics["accuracy"] <= 1


def test_a_training_that_is_stopped_has_the_score_that_the_whole_one_had_there(jail):
    problem = make(train_steps=6, validate_every=2)
    assert list(problem.looks) == [2, 4]
    source = programs.load("processor")["deep_sets"]
    graph = jail.trace(problem.slot, source, problem.sizes)
    whole = problem.evaluate(graph, "validation", (0,), (Rung(2), Rung(4)))
    assert whole.stage == "scored" and whole.budget == {"steps": 6}
    stopped = problem.evaluate(graph, "validation", (0, 1), (Rung(2), Rung(4, 1.1)))
    assert stopped.metrics["val_accuracy"] == whole.metrics["val_accuracy_at_4"]
    assert stopped.metrics["val_accuracy_at_2"] == whole.metrics["val_accuracy_at_2"]
    assert (stopped.stage, stopped.seeds) == ("stopped", (0,))  # not trained from the second seed
    assert stopped.stopped and stopped.budget == {"steps": 4, "planned_steps": 6}


def test_test_data_is_closed_to_a_search(jail):
    problem = make(train_steps=2, validate_every=2)
    source = programs.load("processor")["deep_sets"]
    graph = jail.trace(problem.slot, source, problem.sizes)
    with pytest.raises(UserError, match="final comparison"):
        problem.evaluate(graph, "test", (0,))


def test_nan_in_training_rejects_the_program(jail):
    source = programs.load("processor")["deep_sets"].replace(
        "        return node, None", "        return node * jnp.nan, None"
    )
    problem = make(train_steps=2, validate_every=2)
    graph = jail.trace(problem.slot, source, problem.sizes)
    with pytest.raises(Rejected, match="not finite"):
        problem.evaluate(graph, "validation", (0,))


def test_fitness_is_parameters_times_error(jail):
    for counted in ("all", "live"):
        problem = make("minimum", hidden_size=8, fitness_parameters=counted)
        source = programs.load("processor")["triplet_gmpnn"]
        facts = problem.examine(jail.trace(problem.slot, source, problem.sizes))
        size = facts.parameters if counted == "all" else facts.live_parameters
        told = Evaluation("scored", "scored", metrics={"val_accuracy": 0.75, "val_error": 0.25})
        assert problem.metrics(told, facts)["fitness"] == -size * 0.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "bsf"}, "did you mean one of: bfs"),
        ({"slot": "pair"}, "--slot must be one of"),
        ({"hidden_size": 0}, "--hidden_size must be above zero"),
        ({"train_steps": -1}, "--train_steps must be above zero"),
        ({"train_lengths": (0,)}, "train_lengths"),
        ({"seeds": ("nobody",)}, "seed 'nobody' is neither a file nor a program"),
        ({"seeds_together": "yes"}, "--seeds_together must be one of on, off"),
        ({"colour": "red"}, "no option colour"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        problem = make(**options)
        problem.seeds()


def test_seeds_can_be_files_and_names(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(programs.load("processor")["pgn"])
    problem = make(seeds=("gmpnn", str(mine)))
    assert list(problem.seeds()) == ["gmpnn", "mine"]


def test_the_identity_changes_with_a_seed_and_not_with_the_cache(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text(programs.load("processor")["pgn"])
    first = make(seeds=(str(mine),)).identity
    assert first == make(seeds=(str(mine),), cache=str(tmp_path)).identity
    mine.write_text(programs.load("processor")["gmpnn"])
    assert first != make(seeds=(str(mine),)).identity
    assert first["jax"] == jax.__version__


NOISY = """
import clrs
import haiku as hk
import jax
import jax.numpy as jnp


class Processor(clrs.processors.Processor):
    def __init__(self, out_size: int, name: str = "noisy"):
        super().__init__(name=name)
        self.out_size = out_size

    def __call__(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused_kwargs):
        node = hk.Linear(self.out_size)(node_fts + hidden) + jnp.max(edge_fts, axis=1)
        return node * jax.random.uniform(hk.next_rng_key(), node.shape), None
"""


@pytest.mark.parametrize(
    ("name", "lengths", "split"),
    [
        ("bfs", (4,), "validation"),
        pytest.param("insertion_sort", (4, 5), "selection", marks=pytest.mark.slow),
    ],
)
def test_seeds_together_score_as_each_alone(jail, name, lengths, split):
    """A program that draws random numbers; insertion_sort's decoders draw noise as well."""
    shape = {"hidden_size": 4, "train_lengths": lengths, "train_count": 8, "trainings": 3}
    steps = {"train_steps": 5, "validate_every": 3, "selection_count": 8, "validation_count": 8}
    turns, together = (make(name, seeds_together=how, **shape, **steps) for how in ("off", "on"))
    assert together.sizes[: len(turns.sizes)] == turns.sizes
    assert together.score_key == turns.score_key and together.identity != turns.identity
    graph = jail.trace(together.slot, NOISY, together.sizes)
    plain = jail.trace(turns.slot, NOISY, turns.sizes)
    assert together.examine(graph) == turns.examine(plain)
    found = together.evaluate(graph, split, (3, 1, 2)).metrics
    expected = turns.evaluate(plain, split, (3, 1, 2)).metrics
    assert found.keys() == expected.keys()
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value, rel=1e-4), metric


@pytest.mark.slow
def test_other_numbers_of_seeds_than_were_traced_train_in_turn(jail):
    together = make(trainings=3, seeds_together="on", train_steps=2, validate_every=2)
    turns = make(trainings=3, seeds_together="off", train_steps=2, validate_every=2)
    graph = jail.trace(together.slot, NOISY, together.sizes)
    found, expected = (p.evaluate(graph, "validation", (1, 2)) for p in (together, turns))
    assert found.metrics == expected.metrics and found.seeds == (1, 2)


@pytest.mark.parametrize(
    ("choice", "width", "trainings", "several"),
    [("on", 256, 2, True), ("off", 4, 2, False), ("on", 4, 1, False)],
)
def test_when_seeds_train_together(choice, width, trainings, several):
    problem = make(hidden_size=width, trainings=trainings, seeds_together=choice)
    assert any(seeds_at(size) == trainings for size in problem.sizes) is several
