"""Checkpoints of a training: a training that was killed at any point goes on from the last one.

A checkpoint is an Orbax folder: the arrays of the outcome so far, and as JSON what is no array and
whose training it is. It is written beside its place and moved there, so that a kill leaves the one
before it; only the last one is kept.
"""

import contextlib
import dataclasses
import json
import signal
import threading
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from evo_clrs.errors import UserError
from evo_clrs.training import loop

# Raise when a training of an older checkpoint could not be gone on with exactly.
FORMAT = 3

_ARRAYS, _ABOUT = "arrays", "about"


class Kept(NamedTuple):
    """What a checkpoint holds.

    Attributes:
      outcome: the outcome so far; on the device when read.
      wall_seconds: wall time that the training has taken.
    """

    outcome: loop.Outcome
    wall_seconds: float


def on_host(outcome: loop.Outcome) -> loop.Outcome:
    """Returns a copy of an outcome so far that the next steps do not take away."""
    state, best = jax.tree.map(np.array, (outcome.state, outcome.best))
    return dataclasses.replace(outcome, state=state, best=best)


class Checkpoints:
    """The checkpoints of one training; close it or use `with`."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]):
        """Makes the folder if it is missing.

        Args:
          folder: where they are.
          identity: all that shapes the training, plain JSON data: a checkpoint with another one is
            refused.

        Raises:
          UserError: the folder cannot be made.
        """
        self.folder = folder
        self._identity = json.loads(json.dumps({**identity, "checkpoint format": FORMAT}))
        options = ocp.CheckpointManagerOptions(
            max_to_keep=1, enable_async_checkpointing=False, create=True
        )
        with self._explaining("cannot be written"):
            self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def latest(self, like: loop.State) -> Kept | None:
        """Returns the last checkpoint, None where there is none.

        Args:
          like: arrays or shapes of the state before the first step.

        Raises:
          UserError: it is of another training, or damaged.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        advice = "take it away to begin anew, or choose another --out"
        with self._explaining("cannot be read", advice):
            part = {_ABOUT: ocp.args.JsonRestore()}
            about = self._manager.restore(step, args=ocp.args.Composite(**part))[_ABOUT]
            held = about["identity"]
        if held != self._identity:
            names = dict.fromkeys((*held, *self._identity))
            differing = [
                f"{name} {held.get(name)!r}, asked for {self._identity.get(name)!r}"
                for name in names
                if held.get(name) != self._identity.get(name)
            ]
            raise UserError(f"{self.folder} holds a checkpoint of {'; '.join(differing)}: {advice}")
        with self._explaining("cannot be read", advice):
            shapes = _shapes(like, step, validated=bool(about["validations"]))
            part = {_ARRAYS: ocp.args.StandardRestore(shapes)}
            arrays = self._manager.restore(step, args=ocp.args.Composite(**part))[_ARRAYS]
            return _kept(arrays, about)

    def save(self, kept: Kept) -> None:
        """Keeps an outcome so far in place of the one before it; SIGINT and SIGTERM wait for that.

        Raises:
          UserError: it cannot be written, e.g. since the disk is full; the one before is kept.
        """
        outcome = kept.outcome
        step = int(outcome.state.step)
        if step == self._manager.latest_step():
            return
        arrays = {"state": outcome.state, "losses": np.asarray(outcome.losses, np.float32)}
        if outcome.best is not None:
            arrays["best"] = outcome.best
        about = {
            "identity": self._identity,
            "validations": [[step, dict(metrics)] for step, metrics in outcome.validations],
            "best_step": outcome.best_step,
            "seconds": {
                "compile": outcome.compile_seconds,
                "train": outcome.train_seconds,
                "score": outcome.score_seconds,
                "wall": kept.wall_seconds,
            },
            "temporary_bytes": outcome.temporary_bytes,
        }
        with self._explaining("cannot be written"), _uninterrupted():
            parts = {
                _ARRAYS: ocp.args.StandardSave(arrays),
                _ABOUT: ocp.args.JsonSave(about),
            }
            self._manager.save(step, args=ocp.args.Composite(**parts))

    def close(self) -> None:
        """Ends Orbax's threads."""
        self._manager.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _explaining(self, trouble: str, advice: str = "") -> Iterator[None]:
        """Turns what Orbax and the file system raise into one line."""
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            told = f"{self.folder}: the checkpoint {trouble} ({reason})"
            raise UserError(f"{told}: {advice}" if advice else told) from error


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Puts off what interrupts until the end.

    Where a save is broken off, threads of Orbax go on writing to where the next one writes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread alone
        return
    came: list[tuple[int, types.FrameType | None]] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, lambda *told: came.append(told)) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
    for signum, frame in came[:1]:
        handler = before[signal.Signals(signum)]
        if callable(handler):
            handler(signum, frame)
        elif handler != signal.SIG_IGN:
            signal.raise_signal(signum)


def _shapes(like: loop.State, step: int, validated: bool) -> dict[str, Any]:
    """Returns the shapes of the arrays of a checkpoint after so many steps."""
    host = jax.tree.map(lambda array: np.empty(array.shape, array.dtype), like)
    shapes: dict[str, Any] = {"state": host, "losses": np.empty(step, np.float32)}
    return {**shapes, "best": host.params} if validated else shapes


def _kept(arrays: Mapping[str, Any], about: Mapping[str, Any]) -> Kept:
    seconds = about["seconds"]
    outcome = loop.Outcome(
        state=jax.tree.map(jnp.asarray, arrays["state"]),
        losses=np.asarray(arrays["losses"]),
        validations=tuple((step, dict(metrics)) for step, metrics in about["validations"]),
        best=jax.tree.map(jnp.asarray, arrays["best"]) if about["validations"] else None,
        best_step=about["best_step"],
        compile_seconds=seconds["compile"],
        train_seconds=seconds["train"],
        score_seconds=seconds["score"],
        temporary_bytes=about["temporary_bytes"],
    )
    return Kept(outcome, seconds["wall"])
