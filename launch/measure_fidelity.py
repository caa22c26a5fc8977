"""Measures what a short training is worth: does it rank programs as a longer one does?

  python -m launch.measure_fidelity --flagfile=launch/presets/laptop.flags --out=FOLDER

Packaged programs and grammar proposals are trained as a search would train them, and again for
`--factor` times as many steps with two other seeds; printed is Spearman's rank correlation between
the short score and the mean long score, with a bootstrap interval. Trainings already in
FOLDER/trainings.jsonl are not repeated. Flags of a search that shape no training are ignored.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

from absl import flags

from evo_clrs import executors, problems, program, programs
from evo_clrs.errors import Rejected, UserError
from evo_clrs.gates import static
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.base import Problem
from evo_clrs.proposers.grammar.survey import survey_proposals
from evo_clrs.records import Graph
from evo_clrs.statistics import bootstrap_interval, rank_correlation
from launch import cli, options, search

OUT = flags.DEFINE_string("out", "", "Folder for results and for what was done already.")
PROGRAMS = flags.DEFINE_integer("programs", 36, "How many programs to train.")
FACTOR = flags.DEFINE_integer("factor", 10, "How many times longer the long training is.")

_SEED = 0  # of the proposals
_LONG_SEEDS = (101, 102)


@dataclasses.dataclass(frozen=True)
class Traced:
    """A program that passed the gates."""

    name: str
    program: str
    source: str
    graph: Graph


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
        found = _programs(short, jail, PROGRAMS.value)
    done = folder / "trainings.jsonl"
    _train(short, found, "short", short.training_seeds[:1], done)
    _train(long, found, "long", _LONG_SEEDS, done)
    _report(found, done, folder, given)


def _programs(problem: Problem, jail: Jail, count: int) -> list[Traced]:
    """Returns packaged programs and grammar proposals, each function once."""
    found: list[Traced] = []
    seen: set[str] = set()
    for name, source in _sources(problem, 20 * count):
        try:
            static.check(source, problem.slot)
            graph = jail.trace(problem.slot, source, problem.sizes)
            print_ = problem.examine(graph).fingerprint
        except Rejected:
            continue
        if print_ not in seen:
            seen.add(print_)
            found.append(Traced(name, program.identity(source), source, graph))
        if len(found) == count:
            return found
    raise UserError(f"only {len(found)} programs of {count} could be found")


def _sources(problem: Problem, count: int) -> Iterator[tuple[str, str]]:
    yield from programs.load(problem.slot.name).items()
    seeds = programs.seeds(problem.slot.name)
    for number, (_, proposal) in enumerate(survey_proposals(problem.slot, seeds, count, _SEED)):
        yield f"proposal {number}", proposal.source


def _train(
    problem: Problem, found: Sequence[Traced], kind: str, seeds: Sequence[int], done: Path
) -> None:
    """Trains each program from these seeds, appending a line for each program."""
    known = {(line["program"], line["kind"]) for line in _lines(done)}
    placement = executors.Placement(search.WORKERS.value, search.PLATFORM.value)
    with executors.make("local", problem, placement) as executor, done.open("a") as out:
        waiting = {}
        for entry in found:
            if (entry.program, kind) not in known:
                job = executors.Job(entry.graph, "validation", tuple(seeds))
                waiting[executor.submit(job)] = entry
        for number, future in enumerate(as_completed(waiting), 1):
            entry, evaluation = waiting[future], future.result()
            line = {
                "program": entry.program,
                "name": entry.name,
                "kind": kind,
                "seeds": list(seeds),
                "reason": evaluation.reason,
                **evaluation.metrics,
                **dataclasses.asdict(evaluation.cost),
            }
            out.write(json.dumps(line) + "\n")
            out.flush()
            score = line.get("val_accuracy", evaluation.reason)
            print(f"{kind} {number} of {len(waiting)}: {entry.name} {score}", flush=True)


def _report(found: Sequence[Traced], done: Path, folder: Path, given: dict[str, Any]) -> None:
    """Prints and writes the rank correlation of programs that both trainings could score."""
    scores = {
        (line["program"], line["kind"]): line["val_accuracy"]
        for line in _lines(done)
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


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    search.define_options()
    cli.run_main(main, ("out", "programs", "factor", "task", "slot", "train_steps"))
