"""Candidates as strategies are told them."""

import dataclasses
from collections.abc import Iterable, Sequence

from evo_clrs.records import Candidate, Evaluation, Request


def scored(index: int, fitness: float) -> Candidate:
    """Returns a candidate with this fitness and a thousand parameters."""
    metrics = {"num_params": 1000, "val_accuracy": 0.5, "val_error": 0.4, "fitness": fitness}
    evaluation = Evaluation("scored", "scored", metrics=metrics)
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
