"""What a report shows, as plain data computed from the candidates of a run."""

import collections
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from evo_clrs.records import STAGES, Candidate
from evo_clrs.report.text import line, title
from evo_clrs.statistics import mean_interval
from evo_clrs.store import Store, selection

STAGE_NAMES: Mapping[str, str] = {
    "static": "refused as text",
    "duplicate_text": "same program",
    "trace": "does not trace",
    "inert": "inert",
    "over_budget": "over budget",
    "duplicate_graph": "same function",
    "failed": "training failed",
    "stopped": "stopped early",
    "scored": "scored",
}


@dataclasses.dataclass(frozen=True)
class Measure:
    """How good a program is, for people: a metric and its direction.

    Attributes:
      metric: its key in `Evaluation.metrics`.
      label: its name on an axis.
      sign: 1 if higher is better, -1 if lower is.
    """

    metric: str
    label: str
    sign: int


# In order of preference; the first one that the run has is shown against size.
MEASURES = (
    Measure("val_accuracy", "validation accuracy", 1),
    Measure("val_error", "validation error", -1),
    Measure("fitness", "fitness", 1),
)


@dataclasses.dataclass(frozen=True)
class Point:
    """A scored candidate on the plot of size against score."""

    index: int
    title: str
    size: float
    score: float
    seed: bool


@dataclasses.dataclass(frozen=True)
class Edit:
    """What one kind of edit brought.

    Attributes:
      kind: its name.
      proposed: proposals made with it.
      scored: those of them with a score, their own or a reused one.
      improved: those fitter than each of their parents.
      best: highest fitness among them, None without a score.
    """

    kind: str
    proposed: int
    scored: int
    improved: int
    best: float | None


@dataclasses.dataclass(frozen=True)
class Family:
    """The ancestors of a candidate.

    Attributes:
      layers: candidate indices by generation, seeds first, the candidate last.
      edges: (parent, child) pairs.
      cut: whether earlier generations were left out.
    """

    layers: tuple[tuple[int, ...], ...]
    edges: tuple[tuple[int, int], ...]
    cut: bool


@dataclasses.dataclass(frozen=True)
class Repairs:
    """What came of refused replies that were sent back (`--repairs`).

    Attributes:
      sent: replies sent back, each counted once.
      passed: those of them whose last answer passed static gate and jail.
      scored: those of them that have a score.
    """

    sent: int
    passed: int
    scored: int


def fitness(candidate: Candidate) -> float | None:
    """Returns the fitness of a scored candidate, None without a finite one."""
    if candidate.evaluation is None or not candidate.evaluation.scored:
        return None
    value = candidate.evaluation.metrics.get("fitness", math.nan)
    return value if math.isfinite(value) else None


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Returns the candidates with a fitness, fittest first, then earliest; those stopped last."""
    valued = [(fitness(c), c) for c in candidates]
    ordered = sorted((_stopped(c), -f, c.index, c) for f, c in valued if f is not None)
    return [c for _, _, _, c in ordered]


def _stopped(candidate: Candidate) -> bool:
    return candidate.evaluation is not None and candidate.evaluation.stopped


def announcement(store: Store) -> str:
    """Returns a sentence that announces the winner of a run; empty before there is one.

    The best of many is lucky: so it tells what fresh trainings gave beside the score that made it
    win, the interval of that, and among how many programs it was picked.
    """
    selected = selection.winner(store)
    if selected is None or selected.candidate.evaluation is None:
        return ""
    looked_at = sum(c.evaluation is not None for c in store.candidates())
    searched = selected.candidate.evaluation.metrics.get("val_accuracy", math.nan)
    metrics, trainings = selected.metrics, len(selected.seeds)
    fresh = metrics.get("accuracy", math.nan)
    told = f"{title(selected.candidate)}, picked among {looked_at:,} programs looked at: "
    told += f"accuracy {searched:.4f} in the search, {fresh:.4f} on selection data"
    if "accuracy_spread" in metrics and trainings > 1:
        low, high = mean_interval(fresh, metrics["accuracy_spread"], trainings)
        told += f" (95 % interval {low:.4f} to {high:.4f} over {trainings} fresh trainings)"
    return told


def remark(store: Store) -> str:
    """Returns what a reader of selection scores must know, empty for nothing out of the usual."""
    return _told_at_start(store, "remark")


def note(store: Store) -> str:
    """Returns what a reader must know of strategy and proposer, empty for nothing."""
    return _told_at_start(store, "note")


def _told_at_start(store: Store, key: str) -> str:
    starts = store.events("start")
    return str(starts[0].data.get(key, "")) if starts else ""


def principles(store: Store) -> list[str]:
    """Returns what the run's strategy learnt in words, oldest first; most learn nothing."""
    return [str(event.data.get("text", "")) for event in store.events("principles")]


def winner(store: Store) -> Candidate | None:
    """Returns the best program on selection data, or in the search if that has not come."""
    selected = selection.winner(store)
    return selected.candidate if selected is not None else store.best()


def distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Returns the first candidate of each program, in order; those without an identity all."""
    first: dict[str | int, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.program or candidate.index, candidate)
    return list(first.values())


def best_so_far(candidates: Iterable[Candidate]) -> list[tuple[int, float]]:
    """Returns (index, fitness) of each candidate that was fitter than all before it."""
    steps: list[tuple[int, float]] = []
    for candidate in candidates:
        value = fitness(candidate)
        if value is not None and (not steps or value > steps[-1][1]):
            steps.append((candidate.index, value))
    return steps


def measure_of(candidates: Sequence[Candidate]) -> Measure | None:
    """Returns the first of `MEASURES` that a scored candidate has, None without scores."""
    scored = [c.evaluation for c in ranked(candidates) if c.evaluation is not None]
    for measure in MEASURES:
        if any(measure.metric in evaluation.metrics for evaluation in scored):
            return measure
    return None


def points(candidates: Iterable[Candidate], measure: Measure) -> list[Point]:
    """Returns size and score of every scored candidate that has both."""
    found = []
    for candidate in candidates:
        if candidate.evaluation is None or not candidate.evaluation.scored:
            continue
        metrics = candidate.evaluation.metrics
        size = metrics.get("num_params", math.nan)
        score = metrics.get(measure.metric, math.nan)
        if math.isfinite(size) and math.isfinite(score):
            seed = candidate.request is None
            found.append(Point(candidate.index, title(candidate), size, score, seed))
    return found


def pareto_front(found: Iterable[Point], sign: int = 1) -> list[Point]:
    """Returns the points that no other is both smaller than and as good as, smallest first.

    Args:
      found: the points.
      sign: 1 if a higher score is better, -1 if a lower one is.
    """
    front: list[Point] = []
    for point in sorted(found, key=lambda p: (p.size, -sign * p.score, p.index)):
        if not front or sign * point.score > sign * front[-1].score:
            front.append(point)
    return front


def stage_counts(candidates: Iterable[Candidate]) -> dict[str, int]:
    """Returns how many proposals ended at each stage, in the order of the way; not the seeds."""
    counts = dict.fromkeys(STAGES, 0)
    for candidate in candidates:
        if candidate.request is not None and candidate.evaluation is not None:
            counts[candidate.evaluation.stage] += 1
    return counts


def reasons(candidates: Iterable[Candidate]) -> dict[str, list[tuple[str, int]]]:
    """Returns, by stage, the reasons of rejected proposals and how often, commonest first."""
    found: dict[str, collections.Counter[str]] = {}
    for candidate in candidates:
        evaluation = candidate.evaluation
        if candidate.request is None or evaluation is None or evaluation.scored:
            continue
        found.setdefault(evaluation.stage, collections.Counter())[line(evaluation.reason)] += 1
    return {stage: found[stage].most_common() for stage in STAGES if stage in found}


def repairs(store: Store, candidates: Iterable[Candidate]) -> Repairs:
    """Returns what came of the refused replies that were sent back."""
    by_place = {(c.request, c.sample): c for c in candidates if c.request is not None}
    sent = {
        (repair.request, repair.sample)
        for request in dict.fromkeys(request for request, _ in by_place)
        for repair in store.repairs(request)
    }
    ends = [by_place[place].evaluation for place in sent if place in by_place]
    known = [evaluation for evaluation in ends if evaluation is not None]
    passed = [evaluation for evaluation in known if evaluation.stage not in ("static", "trace")]
    return Repairs(len(known), len(passed), sum(evaluation.scored for evaluation in passed))


def edits(candidates: Sequence[Candidate]) -> list[Edit]:
    """Returns what each kind of edit brought, most frequent first."""
    by_program = _first_with(candidates)
    by_kind: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        for kind in dict.fromkeys(candidate.edits):
            by_kind.setdefault(kind, []).append(candidate)
    rows = []
    for kind, made in by_kind.items():
        values = [f for f in map(fitness, made) if f is not None]
        improved = sum(_improves(candidate, by_program) for candidate in made)
        rows.append(Edit(kind, len(made), len(values), improved, max(values, default=None)))
    return sorted(rows, key=lambda edit: (-edit.proposed, edit.kind))


def family(candidates: Sequence[Candidate], index: int, generations: int = 7) -> Family:
    """Returns the ancestors of a candidate, by the longest way down from the oldest shown.

    Args:
      candidates: all candidates of the run.
      index: whose ancestors.
      generations: how many to show at most, the candidate's own included.
    """
    by_index = {candidate.index: candidate for candidate in candidates}
    by_program = _first_with(candidates)
    shown, cut, front = {index}, False, [index]
    edges: set[tuple[int, int]] = set()
    for generation in range(generations):
        above = {
            (parent.index, child)
            for child in front
            for parent in _parents(by_index[child], by_program)
        }
        if generation == generations - 1:
            cut = any(parent not in shown for parent, _ in above)
            edges |= {(parent, child) for parent, child in above if parent in shown}
            break
        edges |= above
        front = sorted({parent for parent, _ in above} - shown)
        shown |= set(front)
    depth = {index: 0 for index in shown}
    for child in sorted(shown):  # parents come before their children
        above_child = [depth[parent] + 1 for parent, c in edges if c == child]
        depth[child] = max(above_child, default=0)
    layers = [
        tuple(sorted(i for i in shown if depth[i] == level)) for level in range(depth[index] + 1)
    ]
    return Family(tuple(layers), tuple(sorted(edges)), cut)


def parents_of(candidates: Sequence[Candidate], index: int) -> list[Candidate]:
    """Returns the parents of a candidate in prompt order, each once."""
    by_program = _first_with(candidates)
    child = next(candidate for candidate in candidates if candidate.index == index)
    return _parents(child, by_program)


def _first_with(candidates: Iterable[Candidate]) -> dict[str, Candidate]:
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.program:
            first.setdefault(candidate.program, candidate)
    return first


def _parents(child: Candidate, by_program: Mapping[str, Candidate]) -> list[Candidate]:
    found = [by_program[name] for name in dict.fromkeys(child.parents) if name in by_program]
    return [parent for parent in found if parent.index < child.index]


def _improves(child: Candidate, by_program: Mapping[str, Candidate]) -> bool:
    value = fitness(child)
    values = [fitness(parent) for parent in _parents(child, by_program)]
    return value is not None and all(other is None or value > other for other in values)
