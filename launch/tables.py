"""Strategies and controls on tabular benchmarks, beside published figures.

  python -m launch.tables --cifar10=FILE --imagenet=FILE --macro=FILE --out=FOLDER

Every trial is a whole search through the usual loop, with the grammar proposer; the best program is
chosen by validation and its test accuracy is reported, as mean and standard deviation over trials.
Trials already in FOLDER/trials.jsonl are not repeated; FOLDER/tables.json and FOLDER/tables.md
hold what is printed. third_party/DATA.md says where the tables come from.
"""

import dataclasses
import hashlib
import itertools
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import rich.console
import rich.progress
import rich.table
import rich.text
from absl import flags

from evo_clrs import strategies, trials
from evo_clrs.errors import UserError
from evo_clrs.executors import devices
from evo_clrs.problems.cells.published import published
from evo_clrs.trials import Arm, Point
from launch import cli

CIFAR10 = flags.DEFINE_string("cifar10", "", "Table of NAS-Bench-201 on CIFAR-10.")
IMAGENET = flags.DEFINE_string("imagenet", "", "Table of NAS-Bench-201 on ImageNet16-120.")
MACRO = flags.DEFINE_string("macro", "", "Table of NAS-Bench-Macro.")
TRIALS = flags.DEFINE_integer(
    "trials", 500, "Trials of random, regularized_evolution, lapt, genius."
)
FEWER = flags.DEFINE_integer("fewer_trials", 100, "Trials of every other strategy.")
STRATEGIES = flags.DEFINE_list("strategies", sorted(strategies.REGISTRY), "What to try.")
OUT = flags.DEFINE_string("out", "", "Folder for results and for what was done already.")
WORKERS = flags.DEFINE_integer("workers", 0, "Processes; 0 for one a core.")

_MANY = ("random", "regularized_evolution", "lapt", "genius")
_ALL = (10, 20, 100, 200, 1000, 2000)
_ONE_BY_ONE = {"rounds": 2000, "prompts_per_round": 1, "samples_per_prompt": 1}
_IN_ROUNDS = {"rounds": 20, "prompts_per_round": 10, "samples_per_prompt": 10}
_NO_SEEDS = {"seeds": ("none",)}
_SEEDLESS = ("random", "regularized_evolution", "llmatic", "genius", "lapt")


@dataclasses.dataclass(frozen=True)
class Row:
    """What an arm reached after so many evaluations, over its trials.

    Attributes:
      data: the table.
      strategy: the strategy.
      note: what sets the arm apart.
      evaluations: how many.
      trials: how many trials.
      chosen_by: mean search score, in percent, and its standard deviation.
      test: mean test accuracy, in percent, and its standard deviation.
      published: published test accuracy and standard deviation, where there are any.
      standard_errors: difference to it, in standard errors of the difference, where defined.
    """

    data: str
    strategy: str
    note: str
    evaluations: int
    trials: int
    chosen_by: tuple[float, float]
    test: tuple[float, float]
    published: tuple[float, float | None] | None
    standard_errors: float | None


def main(arguments: Sequence[str]) -> None:
    """Runs the trials that are missing, then prints and keeps the tables."""
    cli.expect_no_arguments(arguments)
    if not OUT.value or not (CIFAR10.value or IMAGENET.value or MACRO.value):
        raise flags.Error("give --out=FOLDER and a table: --cifar10, --imagenet or --macro")
    if TRIALS.value < 2 or FEWER.value < 2:
        raise flags.Error("--trials and --fewer_trials must be 2 or more")
    for name in STRATEGIES.value:
        strategies.options_type(name)  # raises where there is none
    if WORKERS.value < 0:
        raise flags.Error("--workers must be 0 or more")
    arms = list(_arms())
    if not arms:
        raise flags.Error(
            "none of these strategies can be tried on these tables: lapt learns from one of "
            "--cifar10 and --imagenet for the other, and --macro is for random and genius"
        )
    counts = {a.key: TRIALS.value if a.strategy in _MANY else FEWER.value for a in arms}
    curves: dict[str, list[Sequence[Point]]] = {arm.key: [] for arm in arms}
    workers = WORKERS.value or devices.default_workers("cpu")
    folder = Path(OUT.value)
    seeds = {arm.key: range(counts[arm.key]) for arm in arms}
    with rich.progress.Progress(*rich.progress.Progress.get_default_columns()) as progress:
        shown = progress.add_task("trials", total=sum(counts.values()))
        for arm, _, points in trials.run_trials(arms, seeds, folder, workers):
            curves[arm.key].append(points)
            progress.update(shown, advance=1, description=f"{arm.strategy} on {arm.data}")
    rows = [row for arm in arms for row in _rows(arm, curves[arm.key])]
    _keep(rows, folder)
    console = rich.console.Console()
    for data in dict.fromkeys(row.data for row in rows):
        console.print(_table(data, [row for row in rows if row.data == data]))


def _arms() -> Iterator[Arm]:
    """Yields what is tried: each strategy with its published budget, else up to 2,000."""
    files = {"cifar10": CIFAR10.value, "imagenet16-120": IMAGENET.value}
    for (data, path), source in zip(files.items(), reversed(files.values()), strict=True):
        for strategy in STRATEGIES.value if path else ():
            if strategy != "lapt" or source:
                yield _cell_arm(strategy, data, path, source)
    if MACRO.value:
        for strategy in ("random", "genius"):
            if strategy in STRATEGIES.value:
                budget = {**_ONE_BY_ONE, "rounds": 10} if strategy == "random" else {}
                place = {"table": MACRO.value, **_NO_SEEDS}
                content = _checksum(MACRO.value)
                name = "nasbench_macro"
                yield Arm(strategy, name, name, place, budget, (10,), content)


def _cell_arm(strategy: str, data: str, path: str, source: str) -> Arm:
    """Returns how a strategy is tried on NAS-Bench-201; lapt learns from the other data set."""
    place: dict[str, Any] = {"table": path, "data": data}
    options: Mapping[str, Any] = _IN_ROUNDS
    evaluations: tuple[int, ...] = _ALL
    note, read = "", [path]
    if strategy in _SEEDLESS:
        place |= _NO_SEEDS
    if strategy == "lapt":
        options = {"source": source, "principles": "histogram"}
        evaluations, read = (10, 20), [path, source]
        note = "histogram rule"
    elif strategy in ("genius", "llmatic"):
        options = {}
        evaluations = (10,) if strategy == "genius" else _ALL
    elif strategy == "evoprompting":
        # The paper keeps children of errors below 0.5: on ImageNet16-120 all errors are larger.
        options = {**_IN_ROUNDS, "max_error": 1.0}
    elif strategy in ("regularized_evolution", "hill_climb"):
        options = _ONE_BY_ONE
    content = "".join(map(_checksum, read))
    return Arm(strategy, data, "nasbench201", place, options, evaluations, content, note)


def _checksum(path: str) -> str:
    """Returns a checksum of a file, or of the names and sizes in a folder; empty for neither."""
    place = Path(path)
    if place.is_dir():
        told = "".join(f"{p.name}:{p.stat().st_size};" for p in sorted(place.iterdir()))
        return hashlib.sha256(told.encode()).hexdigest()[:16]
    return hashlib.sha256(place.read_bytes()).hexdigest()[:16] if place.is_file() else ""


def _rows(arm: Arm, curves: Sequence[Sequence[Point]]) -> Iterator[Row]:
    for evaluations in arm.evaluations:
        points = [p for points in curves for p in points if p.evaluations == evaluations]
        if len(points) < 2:
            continue
        chosen_by, test = [p.chosen_by for p in points], [p.test for p in points]
        mean, spread = statistics.fmean(test), statistics.stdev(test)
        known = published(arm.strategy, arm.data, evaluations)
        errors = None
        if known is not None and known.spread is not None and known.runs is not None:
            error = math.sqrt(spread**2 / len(test) + known.spread**2 / known.runs)
            errors = (mean - known.test) / error if error else None
        yield Row(
            data=arm.data,
            strategy=arm.strategy,
            note=arm.note or ("" if "seeds" in arm.problem_options else "from 4 known cells"),
            evaluations=evaluations,
            trials=len(points),
            chosen_by=(statistics.fmean(chosen_by), statistics.stdev(chosen_by)),
            test=(mean, spread),
            published=None if known is None else (known.test, known.spread),
            standard_errors=errors,
        )


_HEADINGS = ("evaluations", "trials", "validation", "test", "published", "diff/SE")
_ABOUT = (
    "accuracy in percent, mean ± standard deviation over trials; the best program by validation "
    "after so many evaluations, known cells that a strategy starts from counted among them. "
    "diff/SE: test against published, in standard errors of the difference."
)


def _cells(row: Row) -> tuple[str, ...]:
    def told(figure: tuple[float, float | None]) -> str:
        mean, spread = figure
        return f"{mean:.2f}" if spread is None else f"{mean:.2f} ± {spread:.2f}"

    return (
        f"{row.evaluations:,}",
        str(row.trials),
        told(row.chosen_by),
        told(row.test),
        "" if row.published is None else told(row.published),
        "" if row.standard_errors is None else f"{row.standard_errors:+.1f}",
    )


def _title(row: Row) -> str:
    return f"{row.strategy} ({row.note})" if row.note else row.strategy


def _table(data: str, rows: Sequence[Row]) -> rich.table.Table:
    table = rich.table.Table(title=data, caption=_ABOUT)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for title, group in itertools.groupby(rows, _title):
        table.add_section()
        for number, row in enumerate(group):
            if number == 0:
                console_title = rich.text.Text(title, style="bold", justify="left")
                table.add_row(console_title)
            table.add_row(*_cells(row))
    return table


def _earlier(folder: Path, rows: Sequence[Row]) -> list[Row]:
    """Returns rows kept by earlier calls of what this one did not try."""
    path = folder / "tables.json"
    tried = {(row.data, row.strategy) for row in rows}
    if not path.exists():
        return []
    try:
        kept = [Row(**entry) for entry in json.loads(path.read_text())]
    except (ValueError, TypeError):
        raise UserError(f"{path} is damaged: remove it, trials are kept elsewhere") from None
    return [row for row in kept if (row.data, row.strategy) not in tried]


def _keep(rows: Sequence[Row], folder: Path) -> None:
    """Writes what was tried, now and before, as JSON and as Markdown."""
    rows = sorted([*_earlier(folder, rows), *rows], key=lambda row: (row.data, row.strategy))
    told = [dataclasses.asdict(row) for row in rows]
    (folder / "tables.json").write_text(json.dumps(told, indent=1) + "\n")
    lines = [_ABOUT]
    for data in dict.fromkeys(row.data for row in rows):
        lines += [f"\n**{data}**\n", "| strategy | " + " | ".join(_HEADINGS) + " |"]
        lines.append("|---" + "|--:" * len(_HEADINGS) + "|")
        found = [(_title(row), *_cells(row)) for row in rows if row.data == data]
        lines += ["| " + " | ".join(cells) + " |" for cells in found]
    (folder / "tables.md").write_text("\n".join(lines).lstrip() + "\n")


if __name__ == "__main__":
    cli.run_main(main, ("cifar10", "imagenet", "macro", "out", "trials", "strategies"))
