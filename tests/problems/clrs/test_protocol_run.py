"""The full protocol in small: resumed exactly, scored once on test, each reading on record."""

import dataclasses
import json
import shutil
import time

import chex
import pytest

from evo_clrs import programs, results
from evo_clrs.errors import UserError
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.clrs import setting, tasks
from evo_clrs.problems.clrs.keeping import Limits, Stopped
from evo_clrs.problems.clrs.problem import ClrsProblem
from evo_clrs.problems.clrs.protocol_run import READINGS, Program, ProtocolRun
from evo_clrs.problems.clrs.setting import Options, Setting
from evo_clrs.training import loop
from evo_clrs.training.checkpoints import Checkpoints

DEEP_SETS = programs.load("processor")["deep_sets"]
SMALL = Options(
    train_steps=8,
    validate_every=4,
    batch_size=2,
    hidden_size=8,
    triplet_size=4,
    cache="none",
)
SHORT = tasks.Protocol(
    train_lengths=(4, 5),
    validation_length=4,
    test_length=6,
    train_count=8,
    validation_count=4,
    test_count=4,
    multiply_counts=False,
)
# What may differ between two trainings that are the same.
TIMES = ("seconds", "finished")


class Quiet:
    """A watch that keeps what it is told, and may break off after so many calls."""

    def __init__(self, breaking=None, after=0):
        self.steps, self.losses, self.titles = [], [], []
        self.breaking, self.after = breaking, after

    def doing(self, what):
        pass

    def begin(self, title, step):
        self.titles.append((title, step))

    def called(self, step, losses, scores):
        self.steps.append(step)
        self.losses.extend(losses)
        if self.breaking is not None and len(self.steps) == self.after:
            raise self.breaking

    def finished(self, result):
        pass


@pytest.fixture(scope="module")
def jail():
    with Jail() as jail:
        yield jail


@pytest.fixture(scope="module")
def here():
    return Setting.here("python -m launch.train deep_sets")


@pytest.fixture(scope="module")
def make(jail, here, tmp_path_factory):
    """Makes a run; in a folder of its own, unless that of an earlier one is given."""

    def make(folder=None, options=SMALL, watch=None, limits=None, setting=here):
        folder = folder or tmp_path_factory.mktemp("out")
        watch, limits = watch or Quiet(), limits or Limits()
        return ProtocolRun(folder, options, SHORT, jail, watch, limits, setting)

    return make


@pytest.fixture(scope="module")
def whole(make, tmp_path_factory):
    """A folder with finished trainings from two seeds, and what was told of them."""
    folder, watch = tmp_path_factory.mktemp("whole"), Quiet()
    train(make(folder, watch=watch), seeds=(0, 1))
    return folder, watch


def train(run, source=DEEP_SETS, name="deep_sets", slot="processor", task="bfs", seeds=(0,)):
    return list(run.run(Program(name, slot, source), (task,), seeds))


def told(result):
    return {k: v for k, v in dataclasses.asdict(result).items() if k not in TIMES}


def first_of(folder):
    return results.read(folder / results.FILE)[0]


@pytest.fixture(scope="module")
def kept(jail, here):
    """Returns the outcome in the checkpoint of deep_sets on bfs from seed 0."""
    problem = ClrsProblem(dataclasses.replace(SMALL, task="bfs"), SHORT)
    graph = jail.trace(problem.slot, DEEP_SETS, problem.sizes)
    like = loop.start(problem.model(graph).shapes(), problem.training)
    options = dataclasses.replace(SMALL, task="bfs", slot="processor")
    program = Program("deep_sets", "processor", DEEP_SETS).identity
    identity = {"program": program, "seed": 0, **here.identity(options, SHORT)}

    def kept(folder):
        with Checkpoints(folder / "checkpoints" / "deep_sets-bfs-seed0", identity) as found:
            return found.latest(like).outcome

    return kept


def test_a_training_is_scored_once_on_test_and_its_reading_on_record(whole):
    folder, watch = whole
    first, second = results.read(folder / results.FILE)
    assert (first.status, first.steps, first.seed, second.seed) == ("scored", 8, 0, 1)
    assert first.best_step in (4, 8) and set(first.test_outputs) == {"pi"}
    assert first.test == first.test_outputs["pi"]
    assert watch.titles == [("deep_sets-bfs-seed0", 0), ("deep_sets-bfs-seed1", 0)]
    assert len(watch.losses) == 16
    assert not first.full_protocol and first.live_parameters == first.parameters
    assert set(first.seconds) == set(results.SECONDS) and first.seconds["compile"] > 0
    readings = [json.loads(text) for text in (folder / READINGS).read_text().splitlines()]
    assert [(r["task"], r["seed"], r["recipe"]["seed"]) for r in readings] == [
        ("bfs", 0, 3),
        ("bfs", 1, 3),
    ]


def test_what_is_finished_is_not_repeated(make, whole):
    folder, _ = whole
    before = (folder / results.FILE).read_bytes()
    watch = Quiet()
    again = train(make(folder, watch=watch), seeds=(1, 0))
    assert [result.seed for result in again] == [1, 0] and not watch.titles
    assert (folder / results.FILE).read_bytes() == before


# On a CPU a call is one cycle through two lengths: there are four. An interruption keeps the call
# that was done; SystemExit is as a kill here: nothing is kept but the checkpoint before it.
@pytest.mark.parametrize(
    ("breaking", "after", "begun"),
    [(KeyboardInterrupt, 1, 2), (KeyboardInterrupt, 2, 4), (SystemExit, 2, 2), (SystemExit, 4, 6)],
)
def test_a_training_broken_off_ends_as_if_it_never_had_been(
    make, whole, kept, tmp_path, breaking, after, begun
):
    with pytest.raises(breaking):
        train(make(tmp_path, watch=Quiet(breaking(), after), limits=Limits(checkpoint_seconds=0.0)))
    watch = Quiet()
    (resumed,) = train(make(tmp_path, watch=watch))
    assert watch.titles == [("deep_sets-bfs-seed0", begun)]
    assert told(resumed) == told(first_of(whole[0]))
    first, second = kept(whole[0]), kept(tmp_path)
    chex.assert_trees_all_equal(first.state, second.state)
    chex.assert_trees_all_equal(first.best, second.best)
    assert first.losses.tolist() == second.losses.tolist()
    assert first.validations == second.validations


class Ending(Quiet):
    """A watch with which the time is over after the first call."""

    def __init__(self, limits):
        super().__init__()
        self.limits = limits

    def called(self, step, losses, scores):
        object.__setattr__(self.limits, "deadline", time.monotonic())


def test_the_time_stops_a_training_which_then_goes_on(make, whole, tmp_path):
    with pytest.raises(Stopped):  # before anything began
        train(make(tmp_path, limits=Limits(deadline=time.monotonic())))
    assert not (tmp_path / results.FILE).exists()
    limits = Limits()
    with pytest.raises(Stopped):
        train(make(tmp_path, watch=Ending(limits), limits=limits))
    (begun,) = results.read(tmp_path / results.FILE)
    assert (begun.status, begun.steps, begun.test) == ("incomplete", 2, None)
    (resumed,) = train(make(tmp_path))
    assert told(resumed) == told(first_of(whole[0]))
    assert results.latest(results.read(tmp_path / results.FILE)) == (resumed,)


def test_nan_stops_a_training_at_once_and_the_next_goes_on(make, tmp_path):
    source = DEEP_SETS.replace("        return node, None", "        return node * jnp.nan, None")
    assert "nan" in source
    first, second = train(make(tmp_path), source, "nan", seeds=(0, 1))
    for result in (first, second):
        assert (result.status, result.steps, result.validation) == ("failed", 0, None)
        assert result.reason == "loss is not finite at step 1"
        assert result.parameters > 0
    assert not (tmp_path / READINGS).exists()


def test_memory_that_does_not_do_rejects_with_the_figure(make):
    (predicted,) = train(make(options=dataclasses.replace(SMALL, max_memory=1e-7)))
    assert predicted.status == "failed"
    assert (
        "over_budget" in predicted.reason and "GiB of memory, limit 1e-07 GiB" in predicted.reason
    )
    (needed,) = train(make(limits=Limits(memory_bytes=1000.0)))
    assert "out of memory: training needs" in needed.reason
    assert needed.reason.endswith("limit 9.31e-07 GiB")


def test_a_program_that_does_not_fit_the_task_is_not_trained(make):
    source = programs.load("triplet")["v1_standard"]
    (result,) = train(make(), source, "v1_standard", "triplet", task="minimum")
    assert (result.status, result.inert) == ("failed", True)
    assert result.reason == "inert: it cannot change a prediction of minimum"
    assert result.parameters > result.live_parameters > 0 and result.fingerprint


def test_a_program_whose_parameters_change_at_the_size_of_test_is_refused(make):
    source = DEEP_SETS.replace(
        "        return node, None",
        "        if node_fts.shape[1] == 6:\n"
        "            node = hk.Linear(self.out_size)(node)\n"
        "        return node, None",
    )
    (result,) = train(make(), source, "sized")
    assert result.status == "failed" and "exists at N=6 but not at" in result.reason


def test_a_text_that_the_static_gate_refuses_is_told(make):
    with pytest.raises(UserError, match="program mine: .*os"):
        train(make(), "import os\n" + DEEP_SETS, "mine")


def test_results_of_other_options_or_versions_are_not_taken_for_these(make, here, whole):
    folder, _ = whole
    longer = dataclasses.replace(SMALL, train_steps=12)
    with pytest.raises(UserError, match="train_steps 8, asked for 12: choose another --out"):
        train(make(folder, options=longer))
    later = dataclasses.replace(here, versions={**here.versions, "jax": "99.0"})
    with pytest.raises(UserError, match="version of jax '.*', asked for '99.0'"):
        train(make(folder, setting=later))


def test_a_checkpoint_of_another_program_or_version_is_refused(make, here, whole, tmp_path):
    shutil.copytree(whole[0] / "checkpoints", tmp_path / "checkpoints")
    other = programs.load("processor")["pgn"]
    with pytest.raises(UserError, match="holds a checkpoint of program '.*', asked for '.*'"):
        train(make(tmp_path), other)
    later = dataclasses.replace(here, versions={**here.versions, "jax": "99.0"})
    with pytest.raises(UserError, match="holds a checkpoint of version of jax"):
        train(make(tmp_path, setting=later))


def test_the_published_protocol_is_told_from_others():
    full = setting.FullProtocol()
    assert setting.is_published(Options(task="dfs", slot="triplet", cache="x"), full)
    assert not setting.is_published(SMALL, full)
    assert not setting.is_published(Options(), SHORT)
    assert not setting.is_published(Options(), tasks.CLRS30)  # a search's few training samples
    assert not setting.is_published(Options(matmul_precision="bfloat16"), full)


def test_a_budget_below_one_evaluation_is_refused():
    with pytest.raises(UserError, match="--train_steps=49 ends before the first evaluation"):
        Options(train_steps=49)
