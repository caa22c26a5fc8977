"""Measures early stopping: what share of steps rungs save, and how often they cut a good program.

  python -m launch.measure_rungs --flagfile=launch/presets/laptop.flags --out=FOLDER

Packaged programs and grammar proposals are trained in full, each as a search would train it, with
every look at validation data kept. Then the rule of a search is replayed on these trainings in many
random orders: the seeds first, the rest in rounds as large as the preset's. Told are the share of
steps saved and how many of the programs that the full budget puts in the top fifth were cut, for
`--rungs` and for other settings. Trainings already in FOLDER/trainings.jsonl are not repeated.
"""

import dataclasses
import itertools
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from evo_clrs import experiment, problems, strategies
from evo_clrs.errors import UserError
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.base import Stoppable
from evo_clrs.randomness import generator
from evo_clrs.stopping import fitness_at
from evo_clrs.training.rungs import Halving, Rung, metric_at, replay
from launch import cli, options, search
from launch.population import Traced, lines, population, train

OUT = flags.DEFINE_string("out", "", "Folder for results and for what was done already.")
PROGRAMS = flags.DEFINE_integer("programs", 54, "How many programs to train, seeds included.")
ORDERS = flags.DEFINE_integer("orders", 1000, "In how many random orders they are told.")

_KEEPS = (0.33, 0.5, 0.67, 0.75, 0.8)
_TOP = 0.2


def main(arguments: Sequence[str]) -> None:
    """Trains what is missing, then replays."""
    cli.expect_no_arguments(arguments)
    if not OUT.value or PROGRAMS.value < 10 or ORDERS.value < 1:
        raise flags.Error("give --out=FOLDER, --programs of 10 or more and --orders of 1 or more")
    given = options.read(*problems.options_of(search.PROBLEM.value))
    problem = problems.make(search.PROBLEM.value, given)
    if not isinstance(problem, Stoppable) or not len(problem.looks):
        raise UserError("nothing is validated on the way: rungs need two looks or more")
    folder = Path(OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    with Jail() as jail:
        found = population(problem, jail, PROGRAMS.value)
    done = folder / "trainings.jsonl"
    watched = tuple(Rung(step) for step in problem.looks)
    train(problem, found, "full", problem.training_seeds[:1], done, watched)
    _report(problem, found, lines(done), folder, given)


@dataclasses.dataclass(frozen=True)
class Curves:
    """Trainings that went to their end, seeds first.

    Attributes:
      names: of the programs.
      seeds: how many are seeds.
      looks: steps at which each was validated on its way.
      steps: steps of each training.
      at_looks: by what is compared (fitness, accuracy), its value for each program at each look.
      full: likewise, its value at the end.
    """

    names: Sequence[str]
    seeds: int
    looks: Sequence[int]
    steps: int
    at_looks: Mapping[str, Sequence[Sequence[float]]]
    full: Mapping[str, Sequence[float]]

    @property
    def top(self) -> frozenset[int]:
        """The fittest fifth at the end, of all that could be stopped: of all but the seeds."""
        children = range(self.seeds, len(self.names))
        ranked = sorted(children, key=lambda i: -self.full["fitness"][i])
        return frozenset(ranked[: round(_TOP * len(children))])


def _report(
    problem: Stoppable,
    found: Sequence[Traced],
    trained: Sequence[Mapping[str, Any]],
    folder: Path,
    given: Mapping[str, Any],
) -> None:
    """Prints and writes what rungs would have saved and cut."""
    curves = _curves(problem, found, trained)
    settings = experiment.Settings(**options.read(experiment.Settings))
    budget = options.read(strategies.options_type(search.STRATEGY.value))
    size = budget["prompts_per_round"] * budget["samples_per_prompt"]
    orders = [_rounds(curves, size, number) for number in range(ORDERS.value)]
    result = {
        "programs": len(curves.names),
        "seeds": curves.seeds,
        "top_fifth": [curves.names[i] for i in sorted(curves.top)],
        "round": size,
        "orders": ORDERS.value,
        "least_at_rung": settings.least_at_rung,
        "search": _outcome(curves, settings.halving, "fitness", orders) if settings.rungs else None,
        "settings": [
            _outcome(curves, halving, by, orders)
            for by in ("fitness", "accuracy")
            for halving in _settings(curves, settings.least_at_rung)
        ],
        "options": dict(given),
        "curves": dataclasses.asdict(curves) | {"looks": list(curves.looks)},
        "trainings": list(trained),
    }
    (folder / "rungs.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(curves.names) - curves.seeds} programs and {curves.seeds} seeds trained in full")
    for outcome in result["settings"]:
        print(_line(outcome))
    if result["search"]:
        print(f"the search's own: {_line(result['search'])}")


def _curves(
    problem: Stoppable, found: Sequence[Traced], trained: Sequence[Mapping[str, Any]]
) -> Curves:
    """Returns the curves of programs that were trained to the end, the problem's seeds first."""
    known = {line["program"]: line for line in trained if "val_accuracy" in line}
    seeds = {problem.slot.identity(source) for source in problem.seeds().values()}
    whole = sorted(
        (entry for entry in found if entry.program in known),
        key=lambda entry: entry.program not in seeds,
    )
    names = [metric_at(step) for step in problem.looks]
    accuracies = [[known[e.program][name] for name in names] for e in whole]
    ends = [known[e.program]["val_accuracy"] for e in whole]
    fitness = [
        [fitness_at(problem, entry.facts, value) for value in (*accuracy, end)]
        for entry, accuracy, end in zip(whole, accuracies, ends, strict=True)
    ]
    return Curves(
        names=[entry.name for entry in whole],
        seeds=sum(entry.program in seeds for entry in whole),
        looks=problem.looks,
        steps=problem.looks.stop,
        at_looks={"fitness": [row[:-1] for row in fitness], "accuracy": accuracies},
        full={"fitness": [row[-1] for row in fitness], "accuracy": ends},
    )


def _rounds(curves: Curves, size: int, number: int) -> list[list[int]]:
    """Returns the seeds, then the rest in a random order, in rounds of so many."""
    rest = list(range(curves.seeds, len(curves.names)))
    generator(0, "order", number).shuffle(rest)
    rounds = [rest[first : first + size] for first in range(0, len(rest), size)]
    return [list(range(curves.seeds)), *rounds]


def _settings(curves: Curves, least: int) -> Iterator[Halving]:
    """Yields one and two rungs at all looks, each with several shares kept."""
    for count in (1, 2):
        for steps in itertools.combinations(curves.looks, count):
            for keep in _KEEPS:
                yield Halving(steps, keep, least)


def _outcome(
    curves: Curves, halving: Halving, by: str, orders: Sequence[Sequence[Sequence[int]]]
) -> dict[str, Any]:
    """Returns what these rungs save and cut, over all orders."""
    places = [curves.looks.index(step) for step in halving.steps]
    values = [[row[place] for place in places] for row in curves.at_looks[by]]
    top, best = curves.top, max(curves.top, key=lambda i: curves.full["fitness"][i])
    saved, stopped, cut, best_cut = [], [], [], []
    for rounds in orders:
        found = replay(halving, values, rounds)
        spared = sum(curves.steps - halving.steps[rung] for rung in found.values())
        saved.append(spared / (curves.steps * len(curves.names)))
        stopped.append(len(found))
        cut.append(len(top & found.keys()))
        best_cut.append(best in found)
    return {
        "by": by,
        "rungs": list(halving.steps),
        "keep": halving.keep,
        "saved": statistics.fmean(saved),
        "stopped": statistics.fmean(stopped),
        "top_fifth": len(top),
        "top_fifth_cut": statistics.fmean(cut),
        "share_cut": statistics.fmean(cut) / len(top),
        "orders_without_cut": statistics.fmean(not number for number in cut),
        "best_cut": statistics.fmean(best_cut),
    }


def _line(outcome: Mapping[str, Any]) -> str:
    steps = ",".join(map(str, outcome["rungs"]))
    return (
        f"by {outcome['by']}, rungs {steps}, keep {outcome['keep']}: "
        f"{100 * outcome['saved']:.1f} % of steps saved, "
        f"{outcome['top_fifth_cut']:.2f} of the {outcome['top_fifth']} in the top fifth cut "
        f"({100 * outcome['share_cut']:.1f} %), the best in {100 * outcome['best_cut']:.1f} %"
    )


if __name__ == "__main__":
    search.define_options()
    cli.run_main(main, ("out", "programs", "orders", "rungs", "keep", "task", "slot"))
