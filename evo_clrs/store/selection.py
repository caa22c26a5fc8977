"""The end of a run: finalists and seeds, trained again from fresh seeds on selection data."""

import dataclasses
import math
from collections.abc import Mapping

from evo_clrs.records import Candidate, Evaluation
from evo_clrs.store.store import Store

_KIND = "selection"


@dataclasses.dataclass(frozen=True)
class Selected:
    """How one candidate did on data that the search never saw.

    Attributes:
      candidate: the candidate, with the evaluation of the search.
      metrics: means over the fresh seeds, `accuracy` (on selection data) and `fitness` (with that
        accuracy's error) among them; empty if training failed.
      reason: why training failed, else empty.
      seeds: the fresh training seeds.
    """

    candidate: Candidate
    metrics: Mapping[str, float]
    reason: str
    seeds: tuple[int, ...]

    @property
    def fitness(self) -> float:
        """Fitness on selection data, minus infinity where training failed."""
        return self.metrics.get("fitness", -math.inf)


def record(store: Store, candidate: Candidate, evaluation: Evaluation) -> None:
    """Records what selection data said of a candidate; the metrics carry the fitness there."""
    store.record_event(
        _KIND,
        {
            "candidate": candidate.index,
            "reason": evaluation.reason,
            "metrics": dict(evaluation.metrics),
            "seeds": list(evaluation.seeds),
            "cost": dataclasses.asdict(evaluation.cost),
        },
    )


def read(store: Store) -> list[Selected]:
    """Returns what was recorded, the fittest on selection data first."""
    found = []
    for event in store.events(_KIND):
        candidate = store.candidate(event.data["candidate"])
        if candidate is not None:
            data = event.data
            metrics, seeds = data.get("metrics", {}), tuple(data.get("seeds", ()))
            selected = Selected(candidate, metrics, data.get("reason", ""), seeds)
            found.append(selected)
    return sorted(found, key=lambda selected: (-selected.fitness, selected.candidate.index))


def winner(store: Store) -> Selected | None:
    """Returns the fittest on selection data; None before it was looked at."""
    found = [selected for selected in read(store) if selected.metrics]
    return found[0] if found else None
