"""Candidates as strategies are told them."""

import dataclasses
from collections.abc import Iterable, Sequence

from evo_clrs.records import Candidate, Evaluation, Request


def scored(
    index: int,
    fitness: float,
    error: float = 0.4,
    parameters: int = 1000,
    reused_from: int | None = None,
) -> Candidate:
    """Returns a candidate with this fitness; `reused_from` makes it a twin of an earlier one."""
    metrics = {
        "num_params": parameters,
        "val_accuracy": 1 - error,
        "val_error": error,
        "fitness": fitness,
    }
    stage = "scored" if reused_from is None else "duplicate_graph"
    evaluation = Evaluation("scored", stage, metrics=metrics, reused_from=reused_from)
    return Candidate(index, f"p{index}", f"x = {index}\n", evaluation=evaluation)


def rejected(index: int) -> Candidate:
    """Returns a candidate that was not scored."""
    return Candidate(index, f"p{index}", "", evaluation=Evaluation("rejected", "trace", "no"))


def answers(requests: Sequence[Request], children: Iterable[Candidate]) -> list[Candidate]:
    """Returns the children as the answers to requests, in order; there may be too few."""
    places = ((request.index, s) for request in requests for s in range(request.samples))
    return [
        dataclasses.replace(child, request=request, sample=sample)
        for child, (request, sample) in zip(children, places, strict=False)
    ]


def numbers(candidates: Iterable[Candidate]) -> list[int]:
    """Returns the numbers of candidates."""
    return [candidate.index for candidate in candidates]


def shown(request: Request) -> list[str]:
    """Returns the programs in a request, in its order."""
    return [parent.program for parent in request.parents]
