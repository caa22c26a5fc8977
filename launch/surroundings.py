"""Models around the slots of CLRS, whose sizes the prompts of a language model tell of."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evo_clrs import problems, programs
from evo_clrs.jail.jail import Jail
from evo_clrs.proposers.grammar.parameters import count_parameters
from evo_clrs.proposers.pretraining import examples
from evo_clrs.slots import SLOTS

# Tasks of every kind of output, and the width of the laptop preset up to that of the protocol.
_TASKS = ("bfs", "mst_prim", "insertion_sort", "graham_scan", "articulation_points")
_WIDTHS = (16, 32, 64, 128)


def surroundings(slot: str, folder: Path) -> Sequence[examples.Surroundings]:
    """Returns models around a slot, which are counted once and kept in a folder."""
    if slot == "network":
        return [examples.Surroundings({"B": 1, "L": 40, "C": 10}, 0)]
    path = folder / f"around_{slot}.json"
    if not path.exists():
        told = [_around(slot, task, width) for task in _TASKS for width in _WIDTHS]
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told) + "\n", encoding="utf-8")
    entries = json.loads(path.read_text(encoding="utf-8"))
    return [examples.Surroundings(entry["sizes"], entry["parameters"]) for entry in entries]


def _around(slot: str, task: str, width: int) -> Mapping[str, Any]:
    """Returns what is around a slot: all parameters of a seed's model but the seed's own."""
    options = {
        **{"task": task, "slot": slot, "hidden_size": width, "batch_size": 1, "cache": "none"},
        **{"train_lengths": (4,), "validation_length": 4, "validation_count": 1, "train_count": 1},
    }
    problem = problems.make("clrs", options)
    source = programs.seeds(slot)["triplet_gmpnn" if slot == "processor" else "v1_standard"]
    sizes = dict(problem.sizes[0])
    with Jail() as jail:
        facts = problem.examine(jail.trace(problem.slot, source, problem.sizes))
    own = count_parameters(source, SLOTS[slot], sizes)
    assert own is not None
    print(f"{task} at width {width}: {facts.parameters - own:,} parameters around", flush=True)
    return {"sizes": sizes, "parameters": facts.parameters - own}
