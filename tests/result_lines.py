"""Made-up result lines, in the format of launch.train."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evo_clrs import program, programs
from evo_clrs.comparison.protocol import PUBLISHED
from evo_clrs.results import Result, to_line

SMALL = {"train_steps": 300, "hidden_size": 16}


def identity_of(name: str, slot: str = "processor") -> str:
    """Returns the identity of a packaged program, or made-up digits for another name."""
    known = programs.load(slot)
    return program.identity(known[name]) if name in known else f"{abs(hash(name)):016x}"[:16]


def result(
    name: str = "gmpnn",
    task: str = "bfs",
    seed: int = 0,
    test: float | None = 0.5,
    slot: str = "processor",
    options: dict[str, Any] | None = None,
    **others: Any,
) -> Result:
    """Returns a scored result under the full protocol, or with other options and fields."""
    shaped = {**PUBLISHED, "task": task, "slot": slot, **(options or {})}
    fields: dict[str, Any] = {
        "program": identity_of(name, slot),
        "name": name,
        "slot": slot,
        "task": task,
        "seed": seed,
        "status": "scored",
        "reason": "",
        "steps": shaped["train_steps"],
        "best_step": 50,
        "validation": test,
        "test": test,
        "test_outputs": {} if test is None else {"pi": test},
        "parameters": 1000,
        "live_parameters": 900,
        "inert": False,
        "fingerprint": f"function of {name}",
        "options": shaped,
        "full_protocol": not options,
        "device": "cpu",
        "platform": "cpu",
        "precision": "float32",
        "versions": {"jax": "0.10.0", "haiku": "0.0.16", "clrs": "2.0.3", "evo_clrs": "0.1.0"},
        "xla_flags": "",
        "seconds": {"compile": 1.0, "train": 2.0, "score": 0.5, "wall": 3.5},
        "command": f"python -m launch.train {name}",
        "finished": "2026-01-01T00:00:00+00:00",
    }
    return Result(**(fields | others))


def seeds(name: str, task: str, tests: Iterable[float], **others: Any) -> list[Result]:
    """Returns one result for each test score, from seeds 0, 1, 2, ..."""
    return [result(name, task, seed, test, **others) for seed, test in enumerate(tests)]


def write(path: Path, results: Iterable[Result], *damaged: str) -> Path:
    """Writes results as lines, then lines that are none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join([*map(to_line, results), *(f"{text}\n" for text in damaged)]))
    return path
