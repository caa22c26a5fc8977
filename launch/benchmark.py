"""Times this engine against the reference loop, side by side in one process.

  python -m launch.benchmark --out=FOLDER
  python -m launch.benchmark --out=FOLDER --seeds=3 --starts=0

For each task: seconds from nothing to the end of the first step (data, initial weights, tracing,
compiling), steps per second afterwards with data included, and the temporary memory of a step;
engine / reference, and how many times better the engine is, as median and range. With --seeds, the
same of so many seeds trained together / one after the other. Both sides run in turn. FOLDER gets
benchmark.md and benchmark.json.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags

from evo_clrs.jail.jail import Jail
from evo_clrs.problems.clrs import benchmark
from evo_clrs.problems.clrs.tasks import task
from evo_clrs.report import benchmark as report
from launch import cli

_TASKS = (
    "bfs",
    "dijkstra",
    "dfs",
    "insertion_sort",
    "matrix_chain_order",
    "floyd_warshall",
    "articulation_points",
)

NAMES = flags.DEFINE_list("tasks", list(_TASKS), "Tasks to time.")
WIDTH = flags.DEFINE_integer("hidden_size", 128, "Width of all embeddings.", lower_bound=1)
BATCH = flags.DEFINE_integer("batch_size", 32, "Samples in each step.", lower_bound=1)
LENGTH = flags.DEFINE_integer("length", 16, "Length of the samples.", lower_bound=2)
BUCKETS = flags.DEFINE_integer(
    "length_buckets", 1, "As of launch.search, for the engine.", lower_bound=1
)
STARTS = flags.DEFINE_integer(
    "starts", 2, "Starts from nothing of each side; 0 to leave the reference out.", lower_bound=0
)
SEEDS = flags.DEFINE_integer(
    "seeds", 0, "Seeds to train together and one after the other; 0 for neither.", lower_bound=0
)
BLOCKS = flags.DEFINE_integer("blocks", 5, "Blocks of steps of each side.", lower_bound=1)
SECONDS = flags.DEFINE_float("block_seconds", 5.0, "About how long a block takes.", lower_bound=0)
OUT = flags.DEFINE_string("out", "", "Folder for benchmark.md and benchmark.json.")


def main(arguments: Sequence[str]) -> None:
    """Measures task after task; files are written after each."""
    cli.expect_no_arguments(arguments)
    if not OUT.value or not NAMES.value:
        raise flags.Error("give --out=FOLDER and at least one of --tasks")
    if not STARTS.value and not SEEDS.value:
        raise flags.Error("with --starts=0 there is nothing to time but --seeds=NUMBER")
    for name in NAMES.value:
        task(name)
    folder = Path(OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    measured: list[benchmark.Measured] = []
    seeds: list[benchmark.MeasuredSeeds] = []
    with Jail() as jail:
        jail.layers()  # has it started, as it is in a search after the first program
        for name in NAMES.value:
            work = benchmark.Work(
                name, WIDTH.value, BATCH.value, LENGTH.value, length_buckets=BUCKETS.value
            )
            timing = (BLOCKS.value, SECONDS.value)
            if STARTS.value:
                measured.append(benchmark.measure(work, jail, STARTS.value, *timing))
            if SEEDS.value:
                seeds.append(benchmark.measure_seeds(work, jail, SEEDS.value, *timing))
            _write(folder, measured, seeds)
            print(f"{name} timed", flush=True)
    print((folder / "benchmark.md").read_text(), end="")


def _write(
    folder: Path,
    measured: Sequence[benchmark.Measured],
    seeds: Sequence[benchmark.MeasuredSeeds],
) -> None:
    """Writes both files anew."""
    conditions = (
        f"on {jax.devices()[0].device_kind}, width {WIDTH.value}, batch {BATCH.value}, length "
        f"{LENGTH.value}, length_buckets {BUCKETS.value}, jax {jax.__version__}."
    )
    found: dict[str, Any] = {"conditions": conditions}
    pages = []
    if measured:
        caption, rows = f"Engine / reference {conditions}", list(map(report.summary, measured))
        found |= {
            "caption": caption,
            "tasks": rows,
            "geometric_means": report.geometric_means(rows),
            "raw": [dataclasses.asdict(entry) for entry in measured],
        }
        pages.append(report.markdown(rows, caption))
    if seeds:
        rows = list(map(report.seeds_summary, seeds))
        found |= {"seeds": rows, "seeds_raw": [dataclasses.asdict(entry) for entry in seeds]}
        pages.append(
            report.seeds_markdown(rows, f"Seeds together / one after the other {conditions}")
        )
    (folder / "benchmark.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "benchmark.md").write_text("\n".join(pages))


if __name__ == "__main__":
    cli.run_main(main, ("out", "tasks", "hidden_size", "length_buckets", "seeds"))
