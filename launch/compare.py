"""Compares trained programs with a baseline, paired by task and seed, or with published scores.

  python -m launch.compare --results=FILE_OR_FOLDER,... --out=FOLDER
  python -m launch.compare --table3 --results=FILE_OR_FOLDER,... --out=FOLDER

It reads the result lines of launch.train and trains nothing: what is missing is named with the
command that trains it. FOLDER gets the tables as Markdown and JSON, and a plot.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from evo_clrs.comparison import paired, pairing, picked, reading, table3
from evo_clrs.problems.clrs import tasks
from evo_clrs.report import grid
from evo_clrs.report.comparisons import sheet as comparison_sheet
from evo_clrs.report.table3 import sheet as table3_sheet
from evo_clrs.store import files
from launch import cli, options

RESULTS = flags.DEFINE_list("results", [], "Files of result lines, or folders that hold some.")
PROGRAMS = flags.DEFINE_list(
    "programs", [], "Names or identities of what to compare; all that were trained if empty."
)
BASELINE = flags.DEFINE_string(
    "baseline",
    "",
    "Program to compare with; if empty, triplet_gmpnn or, for triplets, v1_standard.",
)
TASKS = flags.DEFINE_list("tasks", [], "Tasks to compare on; all that were trained if empty.")
LOOKED_AT = flags.DEFINE_integer(
    "looked_at", 0, "Programs looked at, to correct for; 0 to count those named, and of a RUN all."
)
TABLE3 = flags.DEFINE_bool("table3", False, "Show published and reached scores of all 30 tasks.")
OUT = flags.DEFINE_string("out", "", "Folder for Markdown, JSON and the plot; none if empty.")


def main(arguments: Sequence[str]) -> None:
    """Compares what the flags name, prints tables and keeps them."""
    cli.expect_no_arguments(arguments)
    if not RESULTS.value and not TABLE3.value:
        raise flags.Error("give --results=FILE_OR_FOLDER,... or --table3")
    with options.checked():
        for name in TASKS.value:
            tasks.task(name)  # raises where there is none
    if LOOKED_AT.value < 0:
        raise flags.Error(f"--looked_at must be 0 or more, got {LOOKED_AT.value}")
    folder = Path(OUT.value) if OUT.value else None
    if folder is not None:
        with files.explaining(folder):
            folder.mkdir(parents=True, exist_ok=True)
    trainings = pairing.Trainings({}, {}, ())
    if RESULTS.value:
        read = reading.read(list(map(Path, RESULTS.value)))
        trainings = pairing.gather(read.results, read.notes)
    if TABLE3.value:
        shown = table3_sheet(_published(trainings, folder))
    else:
        shown = comparison_sheet(_compared(trainings))
    grid.show(shown)
    if folder is not None:
        grid.keep(shown, folder)
        print(f"kept: {folder / shown.name}.md, .json" + (", .svg" if shown.plot else ""))


def _compared(trainings: pairing.Trainings) -> paired.Comparison:
    chosen = pairing.choose(trainings, PROGRAMS.value, BASELINE.value)
    looked_at = picked.looked_at([program.argument for program in chosen], LOOKED_AT.value)
    return paired.compare(trainings, chosen, BASELINE.value, TASKS.value, looked_at)


def _published(trainings: pairing.Trainings, folder: Path | None) -> table3.Table:
    def tell(about: str) -> None:
        print(about, file=sys.stderr, flush=True)

    kept = None if folder is None else folder / "counts.json"
    return table3.table(trainings, kept, TASKS.value or tasks.TASKS, tell)


if __name__ == "__main__":
    cli.run_main(main, ("results", "programs", "baseline", "looked_at", "table3", "out"))
