"""Measures what soft prompt-tuning does: likelihood of a family of programs, and share of samples.

  python -m launch.measure_tuning --lm=hf:FOLDER --prompt=edits --repeats=3 --result=FIGURES.json

The family: processors that aggregate by means alone and have fewer than half of Triplet-GMPNN's own
parameters. Its programs are children that the grammar makes of small processors, with maxima turned
into means. Prompts show the child's parents, which are not of the family, and ask for the child's
size, so that a sample is of the family only where the model turns to means of its own accord. The
soft prompt is tuned on such children as after a round of a search (16 vectors, 5 epochs, batch 16,
learning rate 0.1); prompts and programs that are measured are others than those tuned on. The
control samples the same prompts with the same seeds, untuned.
"""

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rich.console
import rich.table
from absl import flags

from evo_clrs import program, programs, proposers, randomness
from evo_clrs.proposers import local, prompts
from evo_clrs.proposers.base import Lesson
from evo_clrs.proposers.grammar.parameters import count_parameters
from evo_clrs.proposers.grammar.survey import survey_proposals
from evo_clrs.proposers.pretraining import corpus
from evo_clrs.proposers.pretraining.means import SIZES, belongs
from evo_clrs.records import Parent, Request
from evo_clrs.slots import PROCESSOR
from evo_clrs.strategies.requests import targets
from launch import cli, options

LM = flags.DEFINE_string("lm", "", "The model: hf:FOLDER_OR_ID.")
PROMPT = flags.DEFINE_string("prompt", "", "Template of the prompts; empty for the model's own.")
RESULT = flags.DEFINE_string("result", "", "JSON file for the figures, none if empty.")
REPEATS = flags.DEFINE_integer("repeats", 3, "Repetitions, each with other programs and seeds.")
TUNED_ON = flags.DEFINE_integer("tuned_on", 96, "Programs of the family that it is tuned on.")
HELD_OUT = flags.DEFINE_integer("held_out", 32, "Programs of the family that it is measured on.")
SAMPLES = flags.DEFINE_integer("samples", 4, "New samples of the prompt of each of these.")

_AROUND = 4_710  # parameters around the slot, of Prim's algorithm at width 16
_WIDTH = "self.out_size"
_CHANGE = "reduction: max over a node axis becomes mean"  # in the grammar's words


@dataclasses.dataclass(frozen=True)
class _Case:
    """A child of the family, what was changed for it, and what is asked."""

    request: Request
    child: str
    changes: tuple[str, ...]


def main(arguments: Sequence[str]) -> None:
    """Measures each repetition and prints a table."""
    cli.expect_no_arguments(arguments)
    if not LM.value:
        raise flags.Error("give --lm=hf:FOLDER_OR_ID")
    if min(REPEATS.value, TUNED_ON.value, HELD_OUT.value, SAMPLES.value) < 1:
        raise flags.Error("--repeats, --tuned_on, --held_out and --samples are 1 or more")
    results = []
    for repeat in range(REPEATS.value):
        results.append(_measure(repeat))
        print(f"repetition {repeat}: {json.dumps(results[-1])}", flush=True)
    _show(results)
    if RESULT.value:
        Path(RESULT.value).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _measure(repeat: int) -> dict[str, float]:
    cases = _cases(TUNED_ON.value + HELD_OUT.value, repeat)
    learnt, held = cases[: TUNED_ON.value], cases[TUNED_ON.value :]
    with tempfile.TemporaryDirectory() as folder:
        lm: Any = proposers.make(LM.value, options.read(local.Options), Path(folder))
        template = prompts.load(PROMPT.value or lm.prompt)
        asked = [_lesson(case, template) for case in held]
        before = _share(lm, held, template, repeat), lm.loss(asked, PROCESSOR)
        lm.tune(1, [_lesson(case, template) for case in learnt], PROCESSOR, repeat)
        after = _share(lm, held, template, repeat), lm.loss(asked, PROCESSOR)
    return {
        "loss_untuned": before[1],
        "loss_tuned": after[1],
        "share_untuned": before[0],
        "share_tuned": after[0],
    }


def _lesson(case: _Case, template: prompts.Prompts) -> Lesson:
    shown = tuple(parent.source for parent in case.request.parents)
    counts = [parent.metrics["num_params"] for parent in case.request.parents]
    prompt = template.build(case.request, PROCESSOR)
    return Lesson(prompt, shown, case.child, (*counts, _size(case.child)), case.changes)


def _cases(count: int, repeat: int) -> Sequence[_Case]:
    """Returns children of the family with requests, each child once."""
    rng = randomness.generator(repeat, "tuning cases")
    cases: dict[str, _Case] = {}
    for parents, proposal in survey_proposals(
        PROCESSOR, _small_processors(), 1_000 * count, repeat
    ):
        child = proposal.source.replace("jnp.max(", "jnp.mean(")
        if child == proposal.source or not belongs(child) or any(map(belongs, parents)):
            continue
        shown = tuple(_parent(parent, rng) for parent in parents)
        size = max(100, round(_size(child) / 100) * 100)
        request = Request(
            index=len(cases),
            round=0,
            parents=shown,
            targets={**targets(shown), "num_params": size},
            temperatures=(0.8,) * SAMPLES.value,
        )
        case = _Case(request, program.bare(child), (_CHANGE, *corpus.changes(proposal.source)))
        cases.setdefault(program.identity(case.child), case)
        if len(cases) == count:
            break
    return list(cases.values())


def _small_processors() -> dict[str, str]:
    """Returns processors of the family's size that are not of it, by name."""
    packaged = programs.load("processor")
    small = {
        name: packaged[name].replace(f"hk.nets.MLP([{_WIDTH}, {_WIDTH}])", f"hk.Linear({_WIDTH})")
        for name in ("mpnn", "pgn")
    }
    assert not any(map(belongs, small.values()))
    return small


def _parent(source: str, rng: Any) -> Parent:
    accuracy = round(rng.uniform(0.4, 0.9), 3)
    return Parent("", source, {"num_params": _size(source), "val_accuracy": accuracy})


def _size(source: str) -> int:
    return _AROUND + (count_parameters(source, PROCESSOR, SIZES) or 0)


def _share(lm: Any, cases: Sequence[_Case], template: prompts.Prompts, seed: int) -> float:
    """Returns the share of the family among new samples."""
    found = [
        belongs(proposal.source)
        for case in cases
        for proposal in lm.propose(
            case.request, PROCESSOR, template.build(case.request, PROCESSOR), seed
        )
    ]
    return sum(found) / len(found)


def _show(results: Sequence[dict[str, float]]) -> None:
    table = rich.table.Table(title=f"{LM.value}: a family of programs before and after tuning")
    table.add_column("repetition")
    for name in ("nats a token, untuned", "tuned", "share of samples, untuned", "tuned"):
        table.add_column(name, justify="right")
    keys = ("loss_untuned", "loss_tuned", "share_untuned", "share_tuned")
    for number, result in enumerate(results):
        table.add_row(str(number), *_row(result, keys))
    means = {key: float(np.mean([result[key] for result in results])) for key in keys}
    table.add_row("mean", *_row(means, keys))
    rich.console.Console().print(table)


def _row(result: dict[str, float], keys: Sequence[str]) -> list[str]:
    return [
        f"{result[key]:.4f}" if key.startswith("loss") else f"{result[key]:.1%}" for key in keys
    ]


if __name__ == "__main__":
    options.define(local.Options)
    cli.run_main(main, ("lm", "repeats", "tuned_on", "held_out", "samples"))
