"""MNIST-1D as a problem: seeds through the gates, training, inert networks, options."""

import random

import numpy as np
import pytest

from evo_clrs import problems, programs
from evo_clrs.errors import Rejected, UserError
from evo_clrs.gates import static
from evo_clrs.jail.jail import Jail
from evo_clrs.problems import slot_function
from evo_clrs.problems.mnist1d.data import Splits
from evo_clrs.problems.mnist1d.trial import Trial, size_of
from evo_clrs.records import Evaluation, make_size
from evo_clrs.slots import NETWORK
from evo_clrs.training import loop
from evo_clrs.training.rungs import Rung

LINEAR = programs.load("network")["linear"]


def make(**options):
    return problems.make("mnist1d", {"train_steps": 20, "validate_every": 10, **options})


@pytest.fixture(scope="module")
def jail():
    with Jail() as jail:
        yield jail


@pytest.fixture(scope="module")
def linear(jail):
    return jail.trace(NETWORK, LINEAR, make().sizes)


@pytest.mark.parametrize("name", programs.load("network"))
def test_seeds_pass_all_gates_under_the_default_limits(jail, name):
    problem = make()
    source = problem.seeds()[name]
    static.check(source, problem.slot)
    facts = problem.examine(jail.trace(problem.slot, source, problem.sizes))
    published = {"linear": 410, "mlp": 15_210, "cnn": 5_210, "gru": 5_134, "paper_cnn": 91_082}
    assert facts.parameters == facts.live_parameters == published[name]
    assert facts.flops > 0


def test_networks_are_traced_at_the_training_batch_alone():
    assert make(batch_size=7).sizes == (make_size(B=7, L=40, C=10),)


def test_a_short_training_is_better_than_chance_and_repeats_itself(linear):
    """With 500 validation signals chance is 10 %, with a standard deviation of 1.3 points."""
    problem = make(train_steps=200, validate_every=100)
    told = problem.evaluate(linear, "validation", (0,))
    assert told.metrics["val_accuracy"] > 0.2
    assert told.metrics["val_error"] == 1 - told.metrics["val_accuracy"]
    assert told.metrics == problem.evaluate(linear, "validation", (0,)).metrics
    assert told.budget == {"steps": 200} and told.seeds == (0,)


def test_metrics_are_means_over_the_seeds(linear):
    problem = make()
    first, second = (problem.evaluate(linear, "selection", (seed,)).metrics for seed in (3, 4))
    both = problem.evaluate(linear, "selection", (3, 4)).metrics
    assert first["accuracy"] != second["accuracy"]
    spread = abs(first["accuracy"] - second["accuracy"]) / 2**0.5  # of two values
    assert both["accuracy_spread"] == pytest.approx(spread)
    for name, value in both.items() - {("accuracy_spread", both["accuracy_spread"])}:
        assert value == pytest.approx((first[name] + second[name]) / 2)


def test_the_last_step_or_the_best_one_counts(linear):
    """At a learning rate of 10 validation goes up and down: the best look is not the last."""
    wild = {"learning_rate": 10.0, "train_steps": 30, "validate_every": 1}
    best, last = (
        make(score_step=step, **wild).evaluate(linear, "validation", (0,)).metrics
        for step in ("best", "last")
    )
    assert best["val_accuracy"] > last["val_accuracy"]
    assert best["train_loss"] == last["train_loss"]


@pytest.mark.parametrize("score_step", ["best", "last"])
def test_the_first_training_is_stopped_where_it_falls_behind(linear, score_step):
    problem = make(train_steps=40, validate_every=10, score_step=score_step)
    assert list(problem.looks) == [10, 20, 30]
    whole = problem.evaluate(linear, "validation", (0, 1), (Rung(10), Rung(20)))
    first = problem.evaluate(linear, "validation", (0,)).metrics["val_accuracy"]
    second = problem.evaluate(linear, "validation", (1,)).metrics["val_accuracy"]
    assert whole.metrics["val_accuracy"] == pytest.approx((first + second) / 2)
    assert whole.seeds == (0, 1) and not whole.stopped
    stopped = problem.evaluate(linear, "validation", (0, 1), (Rung(10), Rung(20, 1.1)))
    short = make(train_steps=20, validate_every=10, score_step=score_step)
    alone = short.evaluate(linear, "validation", (0,)).metrics["val_accuracy"]
    assert stopped.metrics["val_accuracy"] == whole.metrics["val_accuracy_at_20"] == alone
    assert stopped.seeds == (0,) and stopped.budget == {"steps": 20, "planned_steps": 40}


def test_scores_do_not_depend_on_how_signals_are_filled_up_to_batches(linear):
    """500 signals are 4 batches of 128 with 12 more; by hand they are one product."""
    training = loop.Training(steps=1, batch_size=128, steps_per_call=1, validate_every=1)
    trial = Trial(slot_function.from_graph(linear), training, Splits().samples("train"))
    samples = Splits().samples("validation")
    weights = np.random.default_rng(0).normal(size=(40, 10)).astype(np.float32)
    bias = np.zeros(10, np.float32)
    expected = np.mean(np.argmax(samples.signals @ weights, axis=1) == samples.classes)
    assert trial.scorer(samples)((bias, weights), 0) == pytest.approx(expected)


def test_test_data_are_closed_to_a_search(linear):
    with pytest.raises(UserError, match="final comparison"):
        make().evaluate(linear, "test", (0,))


@pytest.mark.parametrize(
    ("logits", "reason"),
    [
        ("x[:, :10]", "no parameter can change its logits"),
        ("jnp.zeros_like(x) @ hk.get_parameter('w', (40, 10), init=jnp.ones)", "signal"),
        ("hk.Linear(10)(x[:, :4]) * 0 * x[:, :1]", None),
    ],
)
def test_networks_that_cannot_learn_are_inert(jail, logits, reason):
    source = LINEAR.replace("return logits", f"return {logits}").replace(
        "import haiku as hk", "import haiku as hk\nimport jax.numpy as jnp"
    )
    problem = make()
    graph = jail.trace(NETWORK, source, problem.sizes)
    if reason is None:
        assert problem.examine(graph).live_parameters == 50  # reading is told, not cancelling
    else:
        with pytest.raises(Rejected, match=f"inert: .*{reason}"):
            problem.examine(graph)


def test_nan_in_training_rejects_the_network(jail):
    source = LINEAR.replace("return logits", "return logits / 0.0")
    problem = make()
    with pytest.raises(Rejected, match="failed: loss is not finite at step 1"):
        problem.evaluate(jail.trace(NETWORK, source, problem.sizes), "validation", (0,))


def test_large_networks_are_over_budget(jail):
    source = LINEAR.replace("(x)  #", "(hk.Linear(20_000)(x))  #")
    problem = make(max_gflops=0.1)
    with pytest.raises(Rejected, match="over_budget"):
        problem.examine(jail.trace(NETWORK, source, problem.sizes))


def test_fitness_is_size_times_error_or_accuracy(linear):
    facts = make().examine(linear)
    told = Evaluation("scored", "scored", metrics={"val_accuracy": 0.75, "val_error": 0.25})
    assert make().metrics(told, facts)["fitness"] == -410 * 0.25
    assert make(fitness="accuracy").metrics(told, facts)["fitness"] == 0.75
    chosen = Evaluation("scored", "scored", metrics={"val_accuracy": 0.75, "accuracy": 0.5})
    assert make().metrics(chosen, facts)["fitness"] == -410 * 0.5


def test_metrics_place_the_network_among_others(linear):
    problem = make()
    evaluation = problem.evaluate(linear, "validation", (0,))
    metrics = problem.metrics(evaluation, problem.examine(linear))
    assert metrics["width_to_depth"] == 10.0
    assert metrics["num_params"] == 410
    products = 2 * 128 * 40 * 10
    assert products <= metrics["flops"] < 1.1 * products


def test_evaluating_leaves_the_global_generators_alone(linear):
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.rand()
    random.seed(5)
    np.random.seed(5)
    make().evaluate(linear, "selection", (0,))
    assert (random.random(), np.random.rand()) == expected


def test_the_key_of_a_score_holds_what_shapes_it():
    key = make().score_key
    for option in ({"train_steps": 30}, {"weight_decay": 0.0}, {"score_step": "last"}):
        assert make(**option).score_key != key
    assert make(seeds=("cnn",)).score_key == key
    assert make(seeds=("cnn",)).identity != make().identity
    assert size_of(128) == make().sizes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_steps": 0}, "--train_steps must be above zero, got 0"),
        ({"learning_rate": float("inf")}, "--learning_rate must be above zero"),
        ({"clip_norm": -1.0}, "--clip_norm must be 0 or more"),
        ({"weight_decay": float("nan")}, "--weight_decay must be 0 or more"),
        ({"optimizer": "sgd"}, "--optimizer must be one of adam, adamw, got 'sgd'"),
        ({"score_step": "first"}, "--score_step must be one of best, last"),
        ({"fitness": "size"}, "--fitness must be one of size_times_error, accuracy"),
        ({"seeds": ("nobody",)}, "seed 'nobody' is neither a file nor a program of slot network"),
        ({"task": "bfs"}, "no option task"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        make(**options).seeds()
