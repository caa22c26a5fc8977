"""Programs against a baseline: paired differences, their intervals, tests and corrections.

A program picked among many is lucky, and a program tried on many tasks wins on some by chance; both
are corrected for. Where the number of seeds is too small to find anything, that is told.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence

from evo_clrs import statistics as paired_tests
from evo_clrs.comparison import protocol
from evo_clrs.comparison.pairing import (
    BASELINES,
    LeftOut,
    Pairs,
    Program,
    Trainings,
    is_baseline,
    pair,
    percent,
)
from evo_clrs.errors import UserError
from evo_clrs.results import Result

LEVEL = 0.05  # two-sided chance of any false finding about a program, over all tasks
POWER = 0.8


@dataclasses.dataclass(frozen=True)
class Row:
    """A program against the baseline on one task; scores and differences in percent.

    Attributes:
      program: name of the program.
      baseline: name of the baseline.
      task: the task.
      seeds: the seeds of the pairs.
      baseline_scores: test score of the baseline for each seed.
      scores: test score of the program for each seed.
      difference: mean of the paired differences, the program's less the baseline's.
      interval: 95 % percentile bootstrap interval of it; None with one pair.
      p: two-sided p of Wilcoxon's signed-rank test.
      corrected: p, corrected over tasks and over the programs looked at.
      smallest: the smallest p that this number of pairs can give, for the smallest of all tasks:
        multiplied by the number of tasks and of programs looked at.
      detectable: true mean difference that a paired t test with this number of pairs, and the
        spread seen, finds with 80 % power at the level over tasks and programs looked at; None with
        one pair, without spread, or where it is beyond 100.
      verdict: `better`, `worse`, `open`, or `unattainable` where no p could be small enough.
    """

    program: str
    baseline: str
    task: str
    seeds: tuple[int, ...]
    baseline_scores: tuple[float, ...]
    scores: tuple[float, ...]
    difference: float
    interval: tuple[float, float] | None
    p: float
    corrected: float
    smallest: float
    detectable: float | None
    verdict: str


@dataclasses.dataclass(frozen=True)
class Overall:
    """A program against the baseline over tasks; scores and differences in percent.

    Attributes:
      program: name of the program.
      baseline: name of the baseline.
      tasks: how many tasks.
      difference: mean over tasks of the mean difference.
      interval: 95 % percentile bootstrap interval of it, seeds drawn within tasks; None where a
        task has one pair.
      p: two-sided p of Wilcoxon's signed-rank test over the mean differences of tasks.
      corrected: p times the programs looked at.
      smallest: the smallest p that this number of tasks can give, corrected likewise.
      verdict: as of a row.
    """

    program: str
    baseline: str
    tasks: int
    difference: float
    interval: tuple[float, float] | None
    p: float
    corrected: float
    smallest: float
    verdict: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Programs against a baseline.

    Attributes:
      rows: one for each program and task.
      overall: one for each program.
      looked_at: programs looked at, for which p values are corrected.
      looked_at_from: where that number is from, in words.
      left_out: what is not compared, and why.
      commands: what would train what is missing.
      notes: what else a reader must know.
      reduced: what makes the protocol a reduced one, in words; empty for the full protocol.
      level, power: what tests are held to.
    """

    rows: tuple[Row, ...]
    overall: tuple[Overall, ...]
    looked_at: int
    looked_at_from: str
    left_out: tuple[LeftOut, ...]
    commands: tuple[str, ...]
    notes: tuple[str, ...]
    reduced: str
    level: float = LEVEL
    power: float = POWER


@dataclasses.dataclass(frozen=True)
class LookedAt:
    """How many programs were looked at.

    Attributes:
      count: the number.
      source: where it is from, in words.
    """

    count: int
    source: str


def compare(
    trainings: Trainings,
    programs: Sequence[Program],
    baseline: str,
    tasks: Sequence[str],
    looked_at: LookedAt,
) -> Comparison:
    """Returns how programs compare with a baseline.

    Args:
      trainings: what was trained.
      programs: what to compare; the baseline among them is passed over.
      baseline: name of the baseline; empty for the one of each program's slot.
      tasks: tasks to compare on; none for all on which a program was trained.
      looked_at: how many programs were looked at.

    Raises:
      UserError: a pair was trained under different options, the baseline has no result, or fewer
        programs were looked at than are compared.
    """
    if looked_at.count < len(programs):
        raise UserError(
            f"--looked_at={looked_at.count}: {len(programs)} programs are compared, so at least as "
            "many were looked at"
        )
    rows: list[Row] = []
    overall: list[Overall] = []
    used: list[Result] = []
    left_out: list[LeftOut] = []
    missing: list[protocol.Missing] = []
    for program in programs:
        base = baseline_of(trainings, program, baseline)
        if base == program:
            continue
        found = []
        for task in tasks or trainings.tasks_of(program):
            paired = pair(trainings, program, base, task)
            left_out += paired.left_out
            missing += paired.missing
            if paired.pairs is not None:
                found.append(paired.pairs)
                used += [result for both in paired.pairs.results.values() for result in both]
        mine = _rows(found, looked_at.count)
        rows += mine
        if len(mine) > 1:
            overall.append(_over_tasks(mine, looked_at.count))
    return Comparison(
        rows=tuple(rows),
        overall=tuple(overall),
        looked_at=looked_at.count,
        looked_at_from=looked_at.source,
        left_out=tuple(left_out),
        commands=protocol.commands(missing),
        notes=(*trainings.notes, *_machines(used)),
        reduced=protocol.reduction(used),
    )


def baseline_of(trainings: Trainings, program: Program, name: str = "") -> Program:
    """Returns what a program is compared with: by name, or else the baseline of its slot.

    Raises:
      UserError: it has no result.
    """
    for candidate in trainings.programs:
        if is_baseline(candidate, name) and (name or candidate.slot == program.slot):
            return candidate
    name = name or BASELINES[program.slot]
    tasks = trainings.tasks_of(program)
    some = [result for task in tasks for result in trainings.of(program, task).values()]
    seeds = tuple(sorted({result.seed for result in some})) or (0,)
    flags = protocol.flags_like(some[0] if some else None)
    missing = [protocol.Missing(name, task, seeds, flags) for task in tasks]
    raise UserError(
        f"{name} has no result to compare {program.name} with; train it: "
        + "; ".join(protocol.commands(missing))
    )


def _rows(found: Sequence[Pairs], looked_at: int) -> list[Row]:
    """Returns the rows of one program, corrected over its tasks."""
    differences = [
        [percent(ours) - percent(theirs) for ours, theirs in pairs.results.values()]
        for pairs in found
    ]
    p_values = [paired_tests.signed_rank_p(each) for each in differences]
    corrected = paired_tests.corrected(p_values, looked_at)
    times = len(found) * looked_at
    rows = []
    for pairs, each, p, adjusted in zip(found, differences, p_values, corrected, strict=True):
        smallest = min(1.0, paired_tests.smallest_signed_rank_p(len(each)) * times)
        difference = statistics.fmean(each)
        rows.append(
            Row(
                program=pairs.program.name,
                baseline=pairs.baseline.name,
                task=pairs.task,
                seeds=tuple(pairs.results),
                baseline_scores=tuple(percent(b) for _, b in pairs.results.values()),
                scores=tuple(percent(a) for a, _ in pairs.results.values()),
                difference=difference,
                interval=_interval([each]),
                p=p,
                corrected=adjusted,
                smallest=smallest,
                detectable=_detectable(each, LEVEL / times),
                verdict=_verdict(difference, adjusted, smallest),
            )
        )
    return rows


def _over_tasks(rows: Sequence[Row], looked_at: int) -> Overall:
    means = [row.difference for row in rows]
    each = [[a - b for a, b in zip(r.scores, r.baseline_scores, strict=True)] for r in rows]
    p = paired_tests.signed_rank_p(means)
    corrected = min(1.0, p * looked_at)
    smallest = min(1.0, paired_tests.smallest_signed_rank_p(len(rows)) * looked_at)
    difference = statistics.fmean(means)
    return Overall(
        program=rows[0].program,
        baseline=rows[0].baseline,
        tasks=len(rows),
        difference=difference,
        interval=_interval(each),
        p=p,
        corrected=corrected,
        smallest=smallest,
        verdict=_verdict(difference, corrected, smallest),
    )


def _interval(groups: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    if min(map(len, groups)) < 2:
        return None
    return paired_tests.mean_difference_interval(groups)


def _detectable(differences: Sequence[float], level: float) -> float | None:
    if len(differences) < 2:
        return None
    spread = statistics.stdev(differences)
    if spread == 0:
        return None
    found = paired_tests.detectable_difference(spread, len(differences), level, POWER)
    return found if math.isfinite(found) and found <= 100 else None


def _verdict(difference: float, corrected: float, smallest: float) -> str:
    if corrected <= LEVEL:
        return "better" if difference > 0 else "worse"
    return "unattainable" if smallest > LEVEL else "open"


def _machines(results: Iterable[Result]) -> list[str]:
    """Returns a note where scores come from several kinds of machines or versions."""
    results = list(results)
    notes = []
    platforms = sorted({result.platform for result in results})
    if len(platforms) > 1:
        notes.append(f"trained on several platforms: {', '.join(platforms)}")
    versions = sorted({str(result.versions.get("jax", "unknown")) for result in results})
    if len(versions) > 1:
        notes.append(f"trained with several versions of jax: {', '.join(versions)}")
    return notes
