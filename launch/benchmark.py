"""Times this engine against the reference loop, side by side in one process.

  python -m launch.benchmark --out=FOLDER

For each task: seconds from nothing to the end of the first step (data, initial weights, tracing,
compiling), steps per second afterwards with data included, and the temporary memory of a step;
engine / reference, and how many times better the engine is, as median and range. Both sides run
in turn. FOLDER gets benchmark.md and benchmark.json.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

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
BUCKETS = flags.DEFINE_integer(
    "length_buckets", 1, "As of launch.search, for the engine.", lower_bound=1
)
STARTS = flags.DEFINE_integer("starts", 2, "Starts from nothing of each side.", lower_bound=1)
BLOCKS = flags.DEFINE_integer("blocks", 5, "Blocks of steps of each side.", lower_bound=1)
SECONDS = flags.DEFINE_float("block_seconds", 5.0, "About how long a block takes.", lower_bound=0)
OUT = flags.DEFINE_string("out", "", "Folder for benchmark.md and benchmark.json.")


def main(arguments: Sequence[str]) -> None:
    """Measures task after task; files are written after each."""
    cli.expect_no_arguments(arguments)
    if not OUT.value or not NAMES.value:
        raise flags.Error("give --out=FOLDER and at least one of --tasks")
    for name in NAMES.value:
        task(name)
    folder = Path(OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    caption = (
        f"Engine / reference on {jax.devices()[0].device_kind}, width {WIDTH.value}, batch "
        f"{BATCH.value}, length 16, length_buckets {BUCKETS.value}, jax {jax.__version__}."
    )
    measured: list[benchmark.Measured] = []
    with Jail() as jail:
        for name in NAMES.value:
            work = benchmark.Work(name, WIDTH.value, BATCH.value, length_buckets=BUCKETS.value)
            measured.append(
                benchmark.measure(work, jail, STARTS.value, BLOCKS.value, SECONDS.value)
            )
            rows = [report.summary(entry) for entry in measured]
            found = {
                "caption": caption,
                "tasks": rows,
                "geometric_means": report.geometric_means(rows),
                "raw": [dataclasses.asdict(entry) for entry in measured],
            }
            (folder / "benchmark.json").write_text(json.dumps(found, indent=1) + "\n")
            (folder / "benchmark.md").write_text(report.markdown(rows, caption))
            print(report.markdown(rows[-1:], caption).splitlines()[-2], flush=True)
    print((folder / "benchmark.md").read_text(), end="")


if __name__ == "__main__":
    cli.run_main(main, ("out", "tasks", "hidden_size", "length_buckets"))
