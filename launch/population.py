"""Programs to measure trainings with, packaged ones and grammar proposals, and training them."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

from evo_clrs import executors, program, programs
from evo_clrs.errors import Rejected, UserError
from evo_clrs.gates import static
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.base import Problem
from evo_clrs.proposers.grammar.survey import survey_proposals
from evo_clrs.records import Facts, Graph
from evo_clrs.training.rungs import Rung
from launch import search

_SEED = 0  # of the proposals


@dataclasses.dataclass(frozen=True)
class Traced:
    """A program that passed the gates."""

    name: str
    program: str
    source: str
    graph: Graph
    facts: Facts


def population(problem: Problem, jail: Jail, count: int) -> list[Traced]:
    """Returns so many programs, the packaged ones first.

    Raises:
      UserError: there are not so many.
    """
    found: list[Traced] = []
    seen: set[str] = set()
    for name, source in _sources(problem, 20 * count):
        try:
            static.check(source, problem.slot)
            graph = jail.trace(problem.slot, source, problem.sizes)
            facts = problem.examine(graph)
        except Rejected:
            continue
        if facts.fingerprint not in seen:
            seen.add(facts.fingerprint)
            found.append(Traced(name, program.identity(source), source, graph, facts))
        if len(found) == count:
            return found
    raise UserError(f"only {len(found)} programs of {count} could be found")


def _sources(problem: Problem, count: int) -> Iterator[tuple[str, str]]:
    yield from programs.load(problem.slot.name).items()
    seeds = programs.seeds(problem.slot.name)
    for number, (_, proposal) in enumerate(survey_proposals(problem.slot, seeds, count, _SEED)):
        yield f"proposal {number}", proposal.source


def train(
    problem: Problem,
    found: Sequence[Traced],
    kind: str,
    seeds: Sequence[int],
    done: Path,
    rungs: tuple[Rung, ...] = (),
) -> None:
    """Trains each program that was not yet, appending a line for each.

    Args:
      problem: under its budget.
      found: the programs.
      kind: what tells these trainings from others in the file.
      seeds: training seeds.
      done: file of JSON lines.
      rungs: where the score on the way is told, too.
    """
    known = {(line["program"], line["kind"]) for line in lines(done)}
    placement = executors.Placement(search.WORKERS.value, search.PLATFORM.value)
    with executors.make("local", problem, placement) as executor, done.open("a") as out:
        waiting = {}
        for entry in found:
            if (entry.program, kind) not in known:
                job = executors.Job(entry.graph, "validation", tuple(seeds), rungs=rungs)
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


def lines(path: Path) -> list[dict[str, Any]]:
    """Returns the JSON lines of a file, none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
