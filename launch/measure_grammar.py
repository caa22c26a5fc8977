"""Measures the grammar operator: how many of its proposals trace, are new, matter, and train.

  python -m launch.measure_grammar --out=FOLDER

For each CLRS slot, proposals are made from its seeds as a search would ask for them, sent through
static gate, jail and graph gate, and those that are new and live are trained for 20 steps.
Printed are the shares of all proposals; what is in FOLDER already is not trained again.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import rich.console
import rich.table
from absl import flags

from evo_clrs import executors, problems, programs
from evo_clrs.errors import Rejected
from evo_clrs.executors import Executor, Job
from evo_clrs.gates import static
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.base import Problem
from evo_clrs.proposers.grammar.survey import survey_proposals
from evo_clrs.records import Graph
from launch import cli

OUT = flags.DEFINE_string("out", "", "Folder for results and for what was done already.")
COUNT = flags.DEFINE_integer("count", 500, "Proposals for each slot.")
TASK = flags.DEFINE_string("task", "bfs", "Task that proposals should matter to and train on.")
SLOTS = flags.DEFINE_list("slots", ["processor", "triplet"], "Slots to measure.")
SEED = flags.DEFINE_integer("seed", 0, "Seed of the proposals.")
EVERY = flags.DEFINE_integer("every", 1, "Train each so-many-th proposal, 1 for all of them.")
TRAIN_STEPS = flags.DEFINE_integer("train_steps", 20, "Steps after which losses must be finite.")

# Edits that change no more than a constant or an activation.
_SMALL = {"activation", "width"}


@dataclasses.dataclass
class Fate:
    """How far one proposal came; the later fields stay as they are when an earlier one fails."""

    edits: tuple[str, ...]
    reason: str = ""
    traced: bool = False
    new: bool = False
    live: bool = False
    finite: bool | None = None  # None where it was not trained

    @property
    def matters(self) -> bool:
        """Live, and more than a constant or an activation."""
        return self.live and not set(self.edits) <= _SMALL


def main(arguments: Sequence[str]) -> None:
    """Measures each slot and prints a table."""
    cli.expect_no_arguments(arguments)
    if not OUT.value or COUNT.value < 1:
        raise flags.Error("give --out=FOLDER and --count of 1 or more")
    folder = Path(OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    for slot in SLOTS.value:
        problem = problems.make(
            "clrs",
            {
                "task": TASK.value,
                "slot": slot,
                "hidden_size": 8,
                "triplet_size": 4,
                "batch_size": 4,
                "train_steps": TRAIN_STEPS.value,
                "validate_every": TRAIN_STEPS.value,
                "train_lengths": (4,),
                "validation_length": 4,
                "validation_count": 4,
                "train_count": 64,
            },
        )
        with Jail() as jail, executors.make("local", problem, executors.Placement()) as executor:
            fates = _measure(problem, jail, executor, folder / f"{slot}.jsonl")
        _show(slot, fates)
        summary = [dataclasses.asdict(fate) | {"matters": fate.matters} for fate in fates]
        (folder / f"{slot}-fates.json").write_text(json.dumps(summary) + "\n")


def _measure(problem: Problem, jail: Jail, executor: Executor, done: Path) -> list[Fate]:
    """Returns the fate of every proposal; trainings are kept in `done`, a line each."""
    known = {line["fingerprint"]: line["finite"] for line in _lines(done)}
    fates: list[Fate] = []
    waiting: dict[Any, str] = {}
    by_print: dict[str, list[Fate]] = {}
    seen = {print_ for _, print_ in _traced_seeds(problem, jail)}
    seeds = programs.seeds(problem.slot.name)
    with done.open("a") as out:
        for _, proposal in survey_proposals(problem.slot, seeds, COUNT.value, SEED.value):
            fate = Fate(proposal.edits)
            fates.append(fate)
            try:
                static.check(proposal.source, problem.slot)
                graph = jail.trace(problem.slot, proposal.source, problem.sizes)
                fate.traced = True
                print_ = problem.examine(graph).fingerprint
            except Rejected as rejection:
                fate.reason = f"{rejection.stage}: {rejection.reason}"
                fate.new = rejection.stage == "inert"
                continue
            fate.live, fate.new = True, print_ not in seen
            seen.add(print_)
            picked = len(fates) % EVERY.value == 0
            if picked and print_ not in by_print and print_ not in known:
                job = Job(graph, "validation", (0,))
                waiting[executor.submit(job)] = print_
            by_print.setdefault(print_, []).append(fate)
            if len(fates) % 50 == 0:
                print(f"{problem.slot.name}: {len(fates)} proposals looked at", flush=True)
        for number, future in enumerate(as_completed(waiting), 1):
            evaluation = future.result()
            line = {"fingerprint": waiting[future], "finite": evaluation.scored}
            out.write(json.dumps(line | {"reason": evaluation.reason}) + "\n")
            out.flush()
            known[waiting[future]] = evaluation.scored
            if number % 50 == 0:
                print(f"{problem.slot.name}: {number} of {len(waiting)} trained", flush=True)
    for print_, group in by_print.items():
        for fate in group:
            fate.finite = known.get(print_)
    return fates


def _traced_seeds(problem: Problem, jail: Jail) -> Iterator[tuple[Graph, str]]:
    for source in programs.seeds(problem.slot.name).values():
        graph = jail.trace(problem.slot, source, problem.sizes)
        yield graph, problem.examine(graph).fingerprint


def _show(slot: str, fates: Sequence[Fate]) -> None:
    """Prints the shares that the grammar is held to."""
    total = len(fates)
    matter = [fate for fate in fates if fate.matters]
    trained = [fate for fate in matter if fate.finite is not None]
    finite = sum(bool(fate.finite) for fate in trained) / max(1, len(trained))
    table = rich.table.Table(title=f"{slot}: {total} grammar proposals on {TASK.value}")
    table.add_column("share of all proposals")
    table.add_column("figure", justify="right")
    table.add_column("at least", justify="right")
    for name, count, bar in (
        ("trace", sum(fate.traced for fate in fates), 0.90),
        ("new fingerprint", sum(fate.new for fate in fates), 0.70),
        ("live, more than small, finite", len(matter) * finite, 0.50),
    ):
        table.add_row(name, f"{count / total:.1%}", f"{bar:.0%}")
    table.add_row(f"finite, of {len(trained)} trained", f"{finite:.1%}", "")
    kinds = Counter(edit for fate in fates for edit in set(fate.edits))
    for kind, count in kinds.most_common():
        table.add_row(f"edit: {kind}", f"{count / total:.1%}", "2%")
    console = rich.console.Console()
    console.print(table)
    for reason, count in Counter(fate.reason for fate in fates if fate.reason).most_common(8):
        console.print(f"  {count} x {reason}", markup=False)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    cli.run_main(main, ("out", "count", "task", "slots"))
