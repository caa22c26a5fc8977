"""Checkpoints: what is kept is found again, exactly, and by its own training only."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evo_clrs.errors import UserError
from evo_clrs.training import loop
from evo_clrs.training.checkpoints import Checkpoints, Kept, on_host

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = {"program": "0123", "task": "bfs", "options": {"train_lengths": (4, 7)}}
TRAINING = loop.Training(steps=12, batch_size=4, steps_per_call=3, validate_every=6)
PARAMS = {"model": {"linear": {"w": jnp.zeros((2,))}}, "slot": (jnp.ones(()),)}
POOL = np.linspace(0.0, 1.0, 12, dtype=np.float32).reshape(6, 2)


def loss(params, key, batch):
    noise = 0.1 * jax.random.normal(key, batch.shape)
    return jnp.mean((batch + noise - params["model"]["linear"]["w"]) ** 2) * params["slot"][0] ** 2


def draw(key, pool, batch_size):
    return pool[jax.random.randint(key, (batch_size,), 0, pool.shape[0])]


def train(begin=None, on_call=None):
    return loop.train(
        loss,
        draw,
        (POOL,),
        begin or loop.start(PARAMS, TRAINING),
        TRAINING,
        jax.random.PRNGKey(3),
        validate=lambda params: {"score": 1.0 - float(params["slot"][0]) ** 2},
        on_call=on_call,
    )


def same(first, second):
    chex.assert_trees_all_equal(first.state, second.state)
    chex.assert_trees_all_equal(first.best, second.best)
    np.testing.assert_array_equal(first.losses, second.losses)
    assert first.validations == second.validations
    assert first.best_step == second.best_step


def test_a_training_goes_on_from_each_checkpoint_as_if_never_stopped(tmp_path):
    kept = []
    whole = train(on_call=lambda so_far: kept.append(on_host(so_far)))
    assert len(kept) == 4
    for number, so_far in enumerate(kept):
        folder = tmp_path / str(number)
        with Checkpoints(folder, IDENTITY) as checkpoints:
            assert checkpoints.latest(loop.start(PARAMS, TRAINING)) is None
            checkpoints.save(Kept(so_far, 2.5))
        with Checkpoints(folder, IDENTITY) as checkpoints:
            found = checkpoints.latest(loop.start(PARAMS, TRAINING))
        assert found.wall_seconds == 2.5
        assert found.outcome.train_seconds == so_far.train_seconds
        same(found.outcome, so_far)
        same(train(begin=found.outcome), whole)


def test_only_the_last_one_is_kept(tmp_path):
    with Checkpoints(tmp_path, IDENTITY) as checkpoints:
        whole = train(on_call=lambda so_far: checkpoints.save(Kept(on_host(so_far), 0.0)))
        same(checkpoints.latest(loop.start(PARAMS, TRAINING)).outcome, whole)
    assert [path.name for path in tmp_path.iterdir()] == ["12"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interruption_waits_until_the_checkpoint_is_whole(tmp_path, monkeypatch, name):
    """As Ctrl-C does that comes while Orbax writes."""
    signum, steps = getattr(signal, name), []

    def interrupt(number, frame):
        steps.append(checkpoints._manager.latest_step())
        raise KeyboardInterrupt

    before = signal.signal(signum, interrupt)
    try:
        with Checkpoints(tmp_path, IDENTITY) as checkpoints:
            write = checkpoints._manager.save

            def write_and_be_interrupted(*arguments, **options):
                signal.raise_signal(signum)
                return write(*arguments, **options)

            monkeypatch.setattr(checkpoints._manager, "save", write_and_be_interrupted)
            with pytest.raises(KeyboardInterrupt):
                train(on_call=lambda so_far: checkpoints.save(Kept(on_host(so_far), 0.0)))
            assert checkpoints.latest(loop.start(PARAMS, TRAINING)).outcome.state.step == 3
        assert steps == [3]
        assert signal.getsignal(signum) is interrupt
    finally:
        signal.signal(signum, before)


def test_a_checkpoint_of_another_training_is_refused_with_what_differs(tmp_path):
    with Checkpoints(tmp_path, IDENTITY) as checkpoints:
        checkpoints.save(Kept(on_host(train()), 0.0))
    other = {**IDENTITY, "program": "4567"}
    with (
        Checkpoints(tmp_path, other) as checkpoints,
        pytest.raises(UserError, match="program '0123', asked for '4567': take it away") as error,
    ):
        checkpoints.latest(loop.start(PARAMS, TRAINING))
    assert "task" not in str(error.value)


def test_a_damaged_checkpoint_is_told_in_one_line(tmp_path):
    with Checkpoints(tmp_path, IDENTITY) as checkpoints:
        checkpoints.save(Kept(on_host(train()), 0.0))
    for path in (tmp_path / "12" / "arrays").rglob("*"):
        if path.is_file() and "ocdbt" not in path.name:
            path.write_bytes(path.read_bytes()[:7])
    with (
        Checkpoints(tmp_path, IDENTITY) as checkpoints,
        pytest.raises(UserError, match="the checkpoint cannot be read .*: take it away") as error,
    ):
        checkpoints.latest(loop.start(PARAMS, TRAINING))
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the checkpoint cannot be written"):
        Checkpoints(tmp_path / "file" / "x", IDENTITY)


SAVING = """
import sys
from pathlib import Path
import dataclasses
from tests.training import test_checkpoints as t
whole = t.on_host(t.train())
with t.Checkpoints(Path(sys.argv[1]), t.IDENTITY) as checkpoints:
    print("ready", flush=True)
    for step in range(1, 10_000):
        state = whole.state._replace(step=t.np.int32(step))
        losses = t.np.full(step, step, t.np.float32)
        kept = dataclasses.replace(whole, state=state, losses=losses)
        checkpoints.save(t.Kept(kept, float(step)))
"""


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    for pause in (0.05, 0.31, 0.57):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVING, str(tmp_path / str(pause))],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout.readline() == b"ready\n"
            while not any((tmp_path / str(pause)).glob("[0-9]")):
                time.sleep(0.01)
            time.sleep(pause)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        with Checkpoints(tmp_path / str(pause), IDENTITY) as checkpoints:
            found = checkpoints.latest(loop.start(PARAMS, TRAINING))
        step = int(found.outcome.state.step)
        assert step >= 1
        assert found.wall_seconds == step
        assert found.outcome.losses.tolist() == [step] * step


def test_a_copy_on_the_host_outlives_the_state():
    kept = []
    train(on_call=lambda so_far: kept.append(on_host(so_far)))
    assert [int(so_far.state.step) for so_far in kept] == [3, 6, 9, 12]
    assert len({float(so_far.state.params["slot"][0]) for so_far in kept}) == 4
    assert dataclasses.is_dataclass(kept[0])
