"""Does the language model help? Searches with it, and controls without, at equal budgets.

  python -m launch.compare_proposers --out=FOLDER
  python -m launch.compare_proposers --lm=hf:MODEL --prompt=edits --out=FOLDER

Every arm searches each problem with the same run seeds, until so many children were scored; a score
that another run has paid for is taken from FOLDER/scores and counts in full against the budget of
the arm that asks for it. Runs that are done are in FOLDER/runs.jsonl and not repeated; one that was
broken off is gone on with. FOLDER/proposers.md, .json and .svg hold what is printed.

Arms: EvoPrompting with the grammar, with the language model (`lm`), and with it tuned between
rounds; the model with parents drawn at random, and with the seeds alone in its prompts; and the
best of n that the grammar makes of the seeds, without any selection. The presets of the problems,
launch/presets/compare_PROBLEM.flags, are short.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from evo_clrs.comparison import arms
from evo_clrs.errors import UserError
from evo_clrs.report import grid
from evo_clrs.report.arms import sheet
from evo_clrs.report.text import plural
from evo_clrs.store import Store, files
from launch import cli

ARMS: Mapping[str, tuple[str, ...]] = {
    "grammar": ("--strategy=evoprompting", "--lm=grammar"),
    "lm": ("--strategy=evoprompting",),
    "lm_tuned": ("--strategy=evoprompting", "--tune_lm"),
    "lm_random_parents": ("--strategy=random_parents",),
    "lm_seeds_only": ("--strategy=best_of_n",),
    "grammar_best_of_n": ("--strategy=best_of_n", "--lm=grammar"),
}
PRESETS = Path(__file__).parent / "presets"
_PROBLEMS = tuple(sorted(p.stem.removeprefix("compare_") for p in PRESETS.glob("compare_*.flags")))

LM = flags.DEFINE_string("lm", "embedded", "The language model, as launch.search names it.")
PROMPT = flags.DEFINE_string("prompt", "", "Template of its prompts; empty for the model's own.")
OUT = flags.DEFINE_string("out", "", "Folder for runs, their scores, and what came out.")
PROBLEMS = flags.DEFINE_list(
    "problems", list(_PROBLEMS), "Problems: names of presets, or flagfiles (.flags) of your own."
)
CHOSEN = flags.DEFINE_list("arms", list(ARMS), "Arms, the first of them the baseline.")
RUN_SEEDS = flags.DEFINE_integer("run_seeds", 5, "Runs of each arm on each problem.")
BUDGET = flags.DEFINE_integer("budget", 24, "Scored children of each run.")
MINUTES = flags.DEFINE_float("minutes", 0.0, "Begin no run after so long; 0 for no such limit.")

Key = tuple[str, str, int]  # problem, arm, run seed


def main(arguments: Sequence[str]) -> None:
    """Runs what is missing, prints tables and keeps them."""
    cli.expect_no_arguments(arguments)
    if not OUT.value:
        raise flags.Error("give --out=FOLDER")
    if not LM.value and any(arm.startswith("lm") for arm in CHOSEN.value):
        raise flags.Error("give --lm, the language model to compare, or --arms without one")
    if min(RUN_SEEDS.value, BUDGET.value) < 1:
        raise flags.Error("--run_seeds and --budget are 1 or more")
    if not CHOSEN.value or any(arm not in ARMS for arm in CHOSEN.value):
        raise flags.Error(f"--arms takes some of {', '.join(ARMS)}")
    if not PROBLEMS.value or not all(_preset(problem).is_file() for problem in PROBLEMS.value):
        raise flags.Error(f"--problems takes some of {', '.join(_PROBLEMS)}, or files NAME.flags")
    folder = Path(OUT.value)
    with files.explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
    done = dict(_read(folder))
    started = time.monotonic()
    for key in _wanted():
        late = MINUTES.value and time.monotonic() - started > 60 * MINUTES.value
        if key not in done and not late:
            done[key] = _run(folder, key)
    missing = [key for key in _wanted() if key not in done]
    shown = sheet(list(_compared(done)), _notes(missing))
    grid.show(shown)
    grid.keep(shown, folder)
    print(f"kept: {folder / shown.name}.md, .json, .svg")
    if missing:
        print(f"{plural(len(missing), 'run')} missing: the same command goes on")


def _wanted() -> Iterator[Key]:
    """Yields the runs, seed by seed, so that what was done so far is balanced."""
    for seed in range(RUN_SEEDS.value):
        for problem in PROBLEMS.value:
            for arm in CHOSEN.value:
                yield _name(problem), arm, seed


def _preset(problem: str) -> Path:
    """Returns the flagfile of a problem, which is its name or that file itself."""
    own = problem.endswith(".flags")
    return Path(problem) if own else PRESETS / f"compare_{problem}.flags"


def _name(problem: str) -> str:
    return _preset(problem).stem.removeprefix("compare_")


def _run(folder: Path, key: Key) -> tuple[float, ...]:
    """Searches, and returns the fitness of the scored children in the order asked."""
    problem, arm, seed = key
    preset = next(_preset(entry) for entry in PROBLEMS.value if _name(entry) == problem)
    run = folder / problem / f"{arm}-{seed}"
    print(f"{problem}, {arm}, seed {seed}", flush=True)
    started = time.monotonic()
    command = [
        *(sys.executable, "-m", "launch.search", f"--flagfile={preset}"),
        *_flags(arm),
        *(f"--seed={seed}", f"--run={run}", f"--scores={folder / 'scores'}"),
        f"--max_scored={BUDGET.value}",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        told = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1:]
        raise UserError(f"the search in {run} failed: {''.join(told)}")
    with Store.read(run) as store:
        children = [
            candidate.evaluation.metrics["fitness"]
            for candidate in store.candidates()
            if candidate.request is not None
            and candidate.evaluation is not None
            and candidate.evaluation.stage == "scored"
        ]
    seconds = time.monotonic() - started
    fitness = tuple(children[: BUDGET.value])
    line = {
        **{"problem": problem, "arm": arm, "seed": seed, "about": _about(preset, arm)},
        **{"seconds": round(seconds, 1), "fitness": fitness},
    }
    with (folder / "runs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return fitness


def _flags(arm: str) -> tuple[str, ...]:
    """Returns what an arm adds to a problem's flags."""
    if not arm.startswith("lm"):
        return ARMS[arm]
    prompt = (f"--prompt={PROMPT.value}",) if PROMPT.value else ()
    return (*ARMS[arm], f"--lm={LM.value}", *prompt)


def _about(preset: Path, arm: str) -> Mapping[str, Any]:
    """Returns what else shapes a run: a result of others counts as none."""
    text = preset.read_text(encoding="utf-8")
    settings = [line for line in text.splitlines() if line.startswith("--")]
    return {"budget": BUDGET.value, "flags": [*settings, *_flags(arm)]}


def _read(folder: Path) -> Iterator[tuple[Key, tuple[float, ...]]]:
    """Yields the runs that are done.

    Raises:
      UserError: a line of `runs.jsonl` is no result.
    """
    path = folder / "runs.jsonl"
    wanted = {
        (_name(problem), arm): _about(_preset(problem), arm)
        for problem in PROBLEMS.value
        for arm in CHOSEN.value
    }
    if not path.exists():
        return
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            key = line["problem"], line["arm"], line["seed"]
            if wanted.get((line["problem"], line["arm"])) == line["about"]:
                yield key, tuple(map(float, line["fitness"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}, line {number}: no result; delete the line") from error


def _compared(done: Mapping[Key, tuple[float, ...]]) -> Iterator[arms.Comparison]:
    """Yields the comparison on each problem on which the baseline has a run."""
    for problem in map(_name, PROBLEMS.value):
        runs: dict[str, dict[int, tuple[float, ...]]] = {arm: {} for arm in CHOSEN.value}
        for (where, arm, seed), fitness in done.items():
            if where == problem and arm in runs and seed < RUN_SEEDS.value:
                runs[arm][seed] = fitness
        baseline = CHOSEN.value[0]
        if any(runs[baseline].values()):
            found = [arms.Arm(arm, scores) for arm, scores in runs.items()]
            yield arms.compare(problem, found, baseline, BUDGET.value)


def _notes(missing: Sequence[Key]) -> list[str]:
    """Returns what else a reader must know."""
    notes = [f"{arm}: {' '.join(_flags(arm))}" for arm in CHOSEN.value]
    if missing:
        notes.append(f"{len(missing)} of {len(list(_wanted()))} runs are not done yet")
    return notes


if __name__ == "__main__":
    cli.run_main(
        main, ("lm", "prompt", "out", "problems", "arms", "run_seeds", "budget", "minutes")
    )
