"""The result of one training under the full protocol, as a line of JSON.

`launch.train` appends one line to `results.jsonl` for each program, task and seed;
`launch.compare` reads them. A line holds everything needed to repeat the training.
"""

import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evo_clrs.errors import UserError

FILE = "results.jsonl"
STATUSES = (
    "scored",  # trained to the end and scored on test
    "failed",  # refused at a gate, or training or scoring broke: the reason says how
    "incomplete",  # stopped at a limit of time: a checkpoint goes on
)
SECONDS = ("compile", "train", "score", "wall")

Key = tuple[str, str, int]


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of training one program on one task from one seed.

    Attributes:
      program: identity of the program.
      name: what people call it: a packaged name, the stem of a file, or `RUN:#7`.
      slot: the slot it fills.
      task: the task.
      seed: training seed.
      status: one of `STATUSES`.
      reason: why it is not scored, in one line; empty when scored.
      steps: training steps done.
      best_step: steps done at the best validation, the first of equals; 0 before any.
      validation: the best validation score, from 0 to 1; None before any.
      test: the test score of that validation's parameters; None unless scored.
      test_outputs: the test score of each output of the task; empty unless scored.
      parameters: numbers in all parameters; 0 where the program did not come so far.
      live_parameters: those that can change a prediction of the task.
      inert: whether the program cannot change a prediction of the task; it is not trained then.
      fingerprint: names the function it computes; empty where the program did not come so far.
      options: every option of problem and protocol, by name.
      full_protocol: whether they are those of the published protocol.
      device: what it was trained on, e.g. `NVIDIA H200`.
      platform: cpu, gpu or tpu.
      precision: precision of matrix products.
      versions: package to version.
      xla_flags: the compiler's flags, as the environment set them.
      seconds: time spent, by each of `SECONDS`, resumed parts included.
      command: the command line.
      finished: when, ISO 8601.
    """

    program: str
    name: str
    slot: str
    task: str
    seed: int
    status: str
    reason: str = ""
    steps: int = 0
    best_step: int = 0
    validation: float | None = None
    test: float | None = None
    test_outputs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    parameters: int = 0
    live_parameters: int = 0
    inert: bool = False
    fingerprint: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    full_protocol: bool = False
    device: str = ""
    platform: str = ""
    precision: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    xla_flags: str = ""
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    command: str = ""
    finished: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status: expected one of {', '.join(STATUSES)}, got {self.status!r}")
        for name in ("validation", "test"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name}: expected 0 to 1, got {value}")
            if value is None and self.status == "scored":
                raise ValueError(f"{name}: expected a number, since it is scored")

    @property
    def key(self) -> Key:
        """What it is the result of: program, task and seed."""
        return self.program, self.task, self.seed


def to_line(result: Result) -> str:
    """Returns a result as one line of JSON, its end included.

    Raises:
      ValueError: a number in it is not finite.
    """
    return json.dumps(dataclasses.asdict(result), allow_nan=False) + "\n"


def from_line(text: str) -> Result:
    """Returns the result that a line holds; fields that are not known are left out.

    Lists stand for tuples, as JSON has them.

    Raises:
      ValueError: it is no JSON, a field is missing or has another type, or a value is no result's.
    """
    entry = json.loads(text)
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object, got {type(entry).__name__}")
    types_ = typing.get_type_hints(Result)
    values = {}
    for field in dataclasses.fields(Result):
        if field.name not in entry:
            raise ValueError(f"{field.name} is missing")
        values[field.name] = _expect(field.name, types_[field.name], entry[field.name])
    return Result(**values)


def read(path: Path) -> list[Result]:
    """Returns the results in a file, in order; none where there is no file.

    A last line that a kill cut off is left out.

    Raises:
      UserError: the file cannot be read, or another line is damaged; the message names it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UserError(f"{path} cannot be read: {reason}") from None
    whole = text[: text.rfind("\n") + 1]
    found = []
    for number, line in enumerate(whole.split("\n")[:-1], start=1):
        try:
            found.append(from_line(line))
        except ValueError as error:
            raise UserError(
                f"{path} is damaged in line {number} ({error}): take the line out"
            ) from None
    return found


def append(path: Path, result: Result) -> None:
    """Appends a result to a file, on disk when it returns; a cut-off last line is removed first.

    Raises:
      UserError: the file cannot be written.
    """
    try:
        with path.open("a+b") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(to_line(result).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def latest(results: Iterable[Result]) -> Sequence[Result]:
    """Returns the last result of each program, task and seed, in order of their first ones.

    What was incomplete is gone on with and told of again: the last line is what holds.
    """
    return tuple({result.key: result for result in results}.values())


def _expect(name: str, kind: Any, value: Any) -> Any:
    """Returns a value read from JSON, whole numbers as float where that is meant.

    Raises:
      ValueError: it is of another type, or not finite.
    """
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) is not None:
        _, inner = typing.get_args(kind)
        if not isinstance(value, dict):
            raise ValueError(f"{name}: expected an object, got {type(value).__name__}")
        return {key: _expect(f"{name} {key}", inner, entry) for key, entry in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is not Any and type(value) is not kind:
        raise ValueError(f"{name}: expected {kind.__name__}, got {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return value
