"""Measures how many niches LLMatic's archive of networks reaches with the grammar, untrained.

  python -m launch.measure_coverage --problem=clrs --task=bfs --hidden_size=16 --batch_size=4 \\
      --train_lengths=4 --validation_length=4 --proposals=2000 --out=FOLDER

Every proposal goes through static gate, jail and graph gate as in a search. What passes is told
with one accuracy for all, so that programs compete by cost alone. FOLDER/coverage.json holds the
figures; what FOLDER/programs.jsonl holds already is not traced again.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from evo_clrs import experiment, problems
from evo_clrs.errors import Rejected
from evo_clrs.gates import static
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.base import Problem
from evo_clrs.problems.descriptors import width_to_depth
from evo_clrs.proposers.grammar.proposer import Grammar
from evo_clrs.records import Candidate, Evaluation
from evo_clrs.strategies import llmatic
from launch import cli, options, search

OUT = flags.DEFINE_string("out", "", "Folder for results and for what was done already.")
PROPOSALS = flags.DEFINE_integer("proposals", 2000, "Proposals told to the strategy.")

_ACCURACY = 0.5  # of every program: they differ in cost alone


def main(arguments: Sequence[str]) -> None:
    """Runs one search without training and writes what it reached."""
    cli.expect_no_arguments(arguments)
    if not OUT.value or PROPOSALS.value < 1:
        raise flags.Error("give --out=FOLDER and --proposals of 1 or more")
    problem = problems.make(
        search.PROBLEM.value, options.read(*problems.options_of(search.PROBLEM.value))
    )
    if problem.slot.space is not None:
        raise flags.Error("coverage is of traced programs: give --problem=clrs or mnist1d")
    folder = Path(OUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = llmatic.Options(**options.read(llmatic.Options) | {"archive_fitness": "fitness"})
    per_round = chosen.prompts_per_round * chosen.samples_per_prompt
    chosen = dataclasses.replace(chosen, rounds=-(-PROPOSALS.value // per_round))
    seed = options.read(experiment.Settings)["seed"]
    strategy = llmatic.LLMatic(chosen, seed)
    with Jail() as jail, _Looker(problem, jail, folder / "programs.jsonl") as look:
        _search(strategy, seed, problem, look, folder / "coverage.json")


class _Looker:
    """Sends programs through the gates, each once; a context manager that closes its file."""

    def __init__(self, problem: Problem, jail: Jail, done: Path):
        self._problem = problem
        self._jail = jail
        self._key = hashlib.sha256(problem.score_key.encode()).hexdigest()[:16]
        lines = map(json.loads, done.read_text().splitlines() if done.exists() else [])
        self._known = {line["source"]: line for line in lines if line["problem"] == self._key}
        self._file = done.open("a")

    def __enter__(self) -> "_Looker":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __call__(self, source: str) -> Evaluation:
        """Returns an evaluation by cost alone, or the rejection."""
        if source not in self._known:
            self._known[source] = self._look(source) | {"source": source, "problem": self._key}
            self._file.write(json.dumps(self._known[source]) + "\n")
            self._file.flush()
        found = self._known[source]
        if found["stage"] != "scored":
            return Evaluation("rejected", found["stage"], found["reason"])
        return Evaluation("scored", "scored", metrics=found["metrics"])

    def _look(self, source: str) -> dict[str, Any]:
        problem = self._problem
        try:
            static.check(source, problem.slot)
            graph = self._jail.trace(problem.slot, source, problem.sizes)
            facts = problem.examine(graph)
        except Rejected as rejection:
            return {"stage": rejection.stage, "reason": rejection.reason}
        told = {"val_accuracy": _ACCURACY, "val_error": 1 - _ACCURACY}
        if problem.slot.name == "network":  # a whole network has a shape, trained or not
            told["width_to_depth"] = width_to_depth(graph.parameters)
        metrics = problem.metrics(Evaluation("scored", "scored", metrics=told), facts)
        return {"stage": "scored", "metrics": dict(metrics)}


def _search(
    strategy: llmatic.LLMatic, seed: int, problem: Problem, look: _Looker, out: Path
) -> None:
    """Tells the strategy all proposals, and writes after each round what was reached so far."""
    seeds = problem.seeds()
    told = [_candidate(i, source, problem, look(source)) for i, source in enumerate(seeds.values())]
    strategy.tell(told)
    stages: Counter[str] = Counter()
    reached = []
    while requests := strategy.ask():
        children = []
        for request in requests:
            proposals = Grammar().propose(request, problem.slot, "", seed)
            for sample, proposal in enumerate(proposals):
                evaluation = look(proposal.source)
                index = len(seeds) + stages.total()
                stages[evaluation.stage] += 1
                child = _candidate(index, proposal.source, problem, evaluation)
                children.append(dataclasses.replace(child, request=request.index, sample=sample))
        strategy.tell(children)
        filled, niches = strategy.coverage()
        reached.append(filled)
        print(
            f"{problem.title}: {filled} of {niches} niches in {stages.total()} proposals",
            flush=True,
        )
        _write(out, strategy, problem, seed, stages, reached)


def _candidate(index: int, source: str, problem: Problem, evaluation: Evaluation) -> Candidate:
    program = problem.slot.identity(source) if evaluation.scored else ""
    return Candidate(index, program, source, evaluation=evaluation)


def _write(
    out: Path,
    strategy: llmatic.LLMatic,
    problem: Problem,
    seed: int,
    stages: Mapping[str, int],
    reached: Sequence[int],
) -> None:
    """Writes how many niches are filled after each round, and what by."""
    elites = []
    for elite in strategy.population():
        assert elite.evaluation is not None
        elites.append([round(elite.evaluation.metrics[name], 3) for name in strategy.descriptors])
    result = {
        "problem": problem.identity,
        "strategy": dataclasses.asdict(strategy.options),
        "seed": seed,
        "proposals": sum(stages.values()),
        "stages": dict(stages),
        "niches_reached_after_each_round": reached,
        "descriptors": strategy.descriptors,
        "elites": elites,
    }
    out.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    search.define_options()
    cli.run_main(main, ("out", "problem", "proposals"))
