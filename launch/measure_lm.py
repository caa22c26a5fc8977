"""Measures a language model as a proposer: what traces, what is new, whether sizes are as asked.

  python -m launch.measure_lm --lm=hf:FOLDER/model --prompt=edits --work=FOLDER \\
      --result=FIGURES.json

Prompts are built from pairs of programs that the model never saw: children that the grammar makes
in chunks beyond those of the corpus, neither seeds nor in the corpus. Each asks for the parameter
count of a model whose program has 0.7 to 1.3 of what the smaller parent's has. Samples go through
static gate and jail. One is new if its fingerprint is neither a parent's nor that of a program of
the corpus in FOLDER with as many parameters. FOLDER is what `launch.pretrain_lm --out` made.
"""

import dataclasses
import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rich.console
import rich.table
from absl import flags
from scipy import stats

from evo_clrs import program, programs, proposers, randomness
from evo_clrs.errors import Rejected
from evo_clrs.gates import mlir, static
from evo_clrs.gates.fingerprint import fingerprint
from evo_clrs.jail.jail import Jail
from evo_clrs.proposers import local, prompts
from evo_clrs.proposers.grammar.parameters import count_parameters
from evo_clrs.proposers.pretraining import corpus, examples
from evo_clrs.records import Request, make_size
from evo_clrs.slots import SLOTS
from launch import cli, options, surroundings

LM = flags.DEFINE_string("lm", "", "The model: hf:FOLDER_OR_ID.")
PROMPT = flags.DEFINE_string("prompt", "", "Template of the prompts; empty for the model's own.")
WORK = flags.DEFINE_string("work", "", "Folder with the corpus that the model learnt from.")
RESULT = flags.DEFINE_string("result", "", "JSON file for the figures, none if empty.")
SLOTS_ = flags.DEFINE_list("slots", ["processor", "triplet", "network"], "Slots to measure.")
PROMPTS = flags.DEFINE_integer("prompts", 16, "Prompts for each slot.")
SAMPLES = flags.DEFINE_integer("samples", 4, "Samples of each prompt.")
TEMPERATURE = flags.DEFINE_float("temperature", 0.8, "Temperature of the samples.")
MEASURE_SEED = flags.DEFINE_integer("measure_seed", 0, "Seed of prompts and samples.")

_SHARES = (0.7, 1.3)
_AROUND = 4  # of the surroundings: Prim's algorithm at width 16, as in the laptop preset


def main(arguments: Sequence[str]) -> None:
    """Measures each slot and prints a table."""
    cli.expect_no_arguments(arguments)
    if not LM.value or not WORK.value or PROMPTS.value < 1 or SAMPLES.value < 1:
        raise flags.Error("give --lm, --work=FOLDER, and --prompts and --samples of 1 or more")
    folder = Path(WORK.value)
    lm: Any = proposers.make(LM.value, options.read(local.Options))
    results = {}
    for name in SLOTS_.value:
        around = surroundings.surroundings(name, folder)
        known = _Known(name, around[min(_AROUND, len(around) - 1)], folder / "corpus")
        with Jail() as jail:
            results[name] = _measure(lm, known, jail)
        print(f"{name}: {json.dumps(results[name])}", flush=True)
    _show(results)
    if RESULT.value:
        Path(RESULT.value).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


class _Known:
    """The programs of a slot that a model learnt from, and what may be asked beyond them."""

    def __init__(self, name: str, around: examples.Surroundings, folder: Path):
        self.slot = SLOTS[name]
        self.around = around
        self.size = make_size(**{**around.sizes, "B": 2})
        numbers = sorted(int(path.stem.partition("-")[2]) for path in folder.glob(f"{name}-*"))
        learnt = [number for number in numbers if number < corpus.HELD_OUT]
        if not learnt:
            raise flags.Error(f"--work: {folder} holds no programs of slot {name}")
        sources = list(programs.seeds(name).values())
        for made in corpus.make(folder, {name: learnt}):
            sources += [child.source for family in made for child in family.children]
        self.identities = {program.identity(source) for source in sources}
        self._sources = sources
        self._by_count: dict[int | None, list[str]] = {}  # made when it is first needed
        self._prints: dict[str, str] = {}
        self.looked_at = 0

    def requests(self) -> Iterator[Request]:
        """Yields what is asked, endlessly, of parents that were not learnt from."""
        chunk, index = corpus.HELD_OUT + MEASURE_SEED.value, 0
        while True:
            for family in corpus.families(self.slot, chunk):
                asked = examples.requests(family, self.around, MEASURE_SEED.value, chunk, index)
                fresh = (program.identity(source) for source in family.parents)
                if not asked or not self.identities.isdisjoint(fresh):
                    continue
                _, first = asked[0]
                rng = randomness.generator(MEASURE_SEED.value, "asked size", index)
                least = min(parent.metrics["num_params"] for parent in first.parents)
                outside = self.around.parameters
                wanted = outside + (least - outside) * rng.uniform(*_SHARES)
                wanted = max(100, round(wanted / 100) * 100)
                yield Request(
                    index=index,
                    round=0,
                    parents=first.parents,
                    targets={**first.targets, "num_params": wanted},
                    temperatures=(TEMPERATURE.value,) * SAMPLES.value,
                )
                index += 1
            chunk += 1

    def holds(self, print_: str, count: int, jail: Jail) -> bool:
        """Whether a program of the corpus with so many parameters has this fingerprint."""
        if not self._by_count:
            for source in self._sources:
                known = count_parameters(source, self.slot, dict(self.size))
                self._by_count.setdefault(known, []).append(source)
        for source in (*self._by_count.get(count, ()), *self._by_count.get(None, ())):
            if source not in self._prints:
                self.looked_at += 1
                self._prints[source] = self.print_of(source, jail)
                if self.looked_at % 100 == 0:
                    print(f"{self.looked_at} programs of the corpus traced", flush=True)
            if self._prints[source] == print_:
                return True
        return False

    def print_of(self, source: str, jail: Jail) -> str:
        """Returns the fingerprint of a program, "" if it does not trace."""
        try:
            graph = jail.trace(self.slot, source, (self.size,))
            return fingerprint(mlir.read_graph(graph))
        except Rejected:
            return ""


@dataclasses.dataclass(frozen=True)
class _Sample:
    """A sample that traces.

    Attributes:
      print_: its fingerprint.
      parameters: of the program itself.
      asked: parameters that were asked for, of the whole model.
      least: of the smallest parent's model.
      copied: whether it is the function of a parent.
    """

    print_: str
    parameters: int
    asked: float
    least: float
    copied: bool


def _measure(lm: Any, known: _Known, jail: Jail) -> Mapping[str, Any]:
    samples, reasons, seconds = _sampled(lm, known, jail)
    count = PROMPTS.value * SAMPLES.value
    asked = np.array([sample.asked for sample in samples])
    least = np.array([sample.least for sample in samples])
    got = np.array([known.around.parameters + sample.parameters for sample in samples])
    told = {
        "samples": count,
        "trace": len(samples) / count,
        "of_parents": sum(sample.copied for sample in samples) / count,
        "spearman": _correlation(asked, got),
        "spearman_of_shares": _correlation(asked / least, got / least),
        "programs_a_second": count / seconds,
        "reasons": dict(reasons.most_common(8)),
    }
    print(f"{known.slot.name}, before the corpus is looked at: {json.dumps(told)}", flush=True)
    new = [
        sample
        for sample in samples
        if not sample.copied and not known.holds(sample.print_, sample.parameters, jail)
    ]
    return told | {
        "new": len(new) / count,
        "distinct": len({sample.print_ for sample in new}) / count,
        "corpus_programs_traced": known.looked_at,
    }


def _sampled(lm: Any, known: _Known, jail: Jail) -> tuple[list[_Sample], Counter[str], float]:
    """Returns the samples that trace, why others do not, and the seconds that sampling took."""
    template = prompts.load(PROMPT.value or lm.prompt)
    seconds, samples = 0.0, []
    reasons: Counter[str] = Counter()
    for number, request in enumerate(itertools.islice(known.requests(), PROMPTS.value)):
        prompt = template.build(request, known.slot)
        if not number:
            lm.propose(request, known.slot, prompt, MEASURE_SEED.value + 1)  # loads the model
        started = time.monotonic()
        proposals = lm.propose(request, known.slot, prompt, MEASURE_SEED.value)
        seconds += time.monotonic() - started
        parents = {known.print_of(parent.source, jail) for parent in request.parents}
        for proposal in proposals:
            try:
                static.check(proposal.source, known.slot)
                graph = jail.trace(known.slot, proposal.source, (known.size,))
            except Rejected as rejection:
                reasons[f"{rejection.stage}: {proposal.note or rejection.reason}"[:90]] += 1
                continue
            print_ = fingerprint(mlir.read_graph(graph))
            asked = request.targets["num_params"]
            least = min(parent.metrics["num_params"] for parent in request.parents)
            count = sum(math.prod(parameter.shape) for parameter in graph.parameters)
            samples.append(_Sample(print_, count, asked, least, print_ in parents))
    return samples, reasons, seconds


def _correlation(asked: Any, got: Any) -> float:
    """Returns the rank correlation, 0 where there is none to tell."""
    told = float(stats.spearmanr(asked, got).statistic) if len(got) > 2 else 0.0
    return 0.0 if math.isnan(told) else told


def _show(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints the figures that the packaged model is held to."""
    table = rich.table.Table(title=f"{LM.value} at temperature {TEMPERATURE.value:g}")
    table.add_column("figure")
    for name in results:
        table.add_column(name, justify="right")
    table.add_column("at least", justify="right")
    for label, key, shown, bar in (
        ("samples", "samples", "{:.0f}", ""),
        ("trace", "trace", "{:.1%}", "70 %"),
        ("new functions", "new", "{:.1%}", "50 %"),
        ("new functions, each once", "distinct", "{:.1%}", ""),
        ("a parent's function again", "of_parents", "{:.1%}", ""),
        ("Spearman, parameters asked and got", "spearman", "{:.2f}", "0.60"),
        ("the same, as shares of a parent's", "spearman_of_shares", "{:.2f}", ""),
        ("programs a second", "programs_a_second", "{:.2f}", "1"),
    ):
        table.add_row(label, *(shown.format(result[key]) for result in results.values()), bar)
    console = rich.console.Console()
    console.print(table)
    for name, result in results.items():
        for reason, count in result["reasons"].items():
            console.print(f"  {name}: {count} x {reason}", markup=False)


if __name__ == "__main__":
    options.define(local.Options)
    cli.run_main(main, ("lm", "work", "slots", "prompts", "samples"))
