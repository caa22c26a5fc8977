"""Measures what a short training is worth: does it rank programs as a longer one does?

  python -m launch.measure_fidelity --flagfile=launch/presets/laptop.flags --out=FOLDER

Packaged programs and grammar proposals are trained as a search would train them, and again for
`--factor` times as many steps with two other seeds; printed is Spearman's rank correlation between
the short score and the mean long score, with a bootstrap interval. Trainings already in
FOLDER/trainings.jsonl are not repeated. Flags of a search that shape no training are ignored.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from evo_clrs import problems
from evo_clrs.jail.jail import Jail
from evo_clrs.statistics import bootstrap_interval, rank_correlation
from launch import cli, options, search
from launch.population import Traced, lines, population, train

OUT = flags.DEFINE_string("out", "", "Folder for results and for what was done already.")
PROGRAMS = flags.DEFINE_integer("programs", 36, "How many programs to train.")
FACTOR = flags.DEFINE_integer("factor", 10, "How many times longer the long training is.")

_LONG_SEEDS = (101, 102)


def main(arguments: Sequence[str]) -> None:
    """Trains what is missing, then prints the correlation."""
    cli.expect_no_arguments(arguments)
    if not OUT.value or PROGRAMS.value < 3 or FACTOR.value < 2:
        raise flags.Error("give --out=FOLDER, --programs of 3 or more and --factor of 2 or more")
    given = options.read(*problems.options_of(search.PROBLEM.value))
    short = problems.make(search.PROBLEM.value, given)
    longer = {key: given[key] * FACTOR.value for key in ("train_steps", "validate_every")}
    long = problems.make(search.PROBLEM.value, given | longer)
    folder = Path(OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    with Jail() as jail:
        found = population(short, jail, PROGRAMS.value)
    done = folder / "trainings.jsonl"
    train(short, found, "short", short.training_seeds[:1], done)
    train(long, found, "long", _LONG_SEEDS, done)
    _report(found, done, folder, given)


def _report(found: Sequence[Traced], done: Path, folder: Path, given: dict[str, Any]) -> None:
    """Prints and writes the rank correlation of programs that both trainings could score."""
    scores = {
        (line["program"], line["kind"]): line["val_accuracy"]
        for line in lines(done)
        if "val_accuracy" in line
    }
    rows = []
    for entry in found:
        first, second = (scores.get((entry.program, kind)) for kind in ("short", "long"))
        if first is not None and second is not None:
            rows.append((entry.name, first, second))
    pairs = [row[1:] for row in rows]
    low, high = bootstrap_interval(pairs, rank_correlation)
    for name, first, second in sorted(rows, key=lambda row: -row[2]):
        print(f"{name:24s} short {first:.4f}  long {second:.4f}")
    result = {
        "programs": len(rows),
        "rank_correlation": rank_correlation(pairs),
        "interval_95": [low, high],
        "factor": FACTOR.value,
        "options": given,
        "rows": rows,
    }
    (folder / "fidelity.json").write_text(json.dumps(result, indent=1) + "\n")
    print(
        f"rank correlation {result['rank_correlation']:.3f} (95 % interval {low:.3f} to "
        f"{high:.3f}) over {len(rows)} programs"
    )


if __name__ == "__main__":
    search.define_options()
    cli.run_main(main, ("out", "programs", "factor", "task", "slot", "train_steps"))
