"""Which of several replies to keep: what can be told of a program before anything runs it.

A small model is right often, not always, and it cannot count. What a program's text tells is cheap
beside training it: whether its names stand where they are used, whether the grammar's rules know
all of its shapes, how many parameters it has. So a model may write several replies where one is
asked for, and the best by these is the one that counts.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

from evo_clrs import program, records
from evo_clrs.proposers import statements
from evo_clrs.proposers.grammar import shapes
from evo_clrs.proposers.grammar.by_slot import grammar_for
from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.parameters import parameters
from evo_clrs.proposers.grammar.values import ShapeError
from evo_clrs.slots import SLOTS, Slot

_WIDTHS = range(4, 1025, 4)


@dataclasses.dataclass(frozen=True, order=True)
class Merit:
    """What speaks against a reply; the least is the best.

    Attributes:
      unread: no program was read from it.
      noted: it was cut off, or something else had to be done to read it.
      shown: it is one of the programs shown again.
      nameless: some name is used where it does not stand.
      misfit: 0 where outputs are known to have the slot's shapes, 1 where that is not known, 2
        where tracing is sure to fail.
      off: how far its parameters are from those asked for, as an absolute log ratio; 0 where none
        are asked for, infinite where they are not known.
    """

    unread: bool
    noted: bool
    shown: bool
    nameless: bool
    misfit: int
    off: float


def best(
    proposals: Sequence[records.Proposal], request: records.Request, slot: Slot
) -> records.Proposal:
    """Returns the reply to keep, of equals the first, with the tokens and the time of all."""
    merits = [merit(proposal, request, slot) for proposal in proposals]
    return dataclasses.replace(
        proposals[merits.index(min(merits))],
        prompt_tokens=sum(proposal.prompt_tokens for proposal in proposals),
        completion_tokens=sum(proposal.completion_tokens for proposal in proposals),
        seconds=sum(proposal.seconds for proposal in proposals),
    )


def merit(proposal: records.Proposal, request: records.Request, slot: Slot) -> Merit:
    """Returns what speaks against a reply, of a slot that is filled by code."""
    noted = bool(proposal.note)
    identity = _identity(proposal.source)
    if not identity:
        return Merit(True, noted, False, True, 2, math.inf)
    lines = program.bare(proposal.source).rstrip("\n").split("\n")
    parents = request.parents
    known = frozenset[str]().union(*(_unknown(parent.source) for parent in parents))
    return Merit(
        unread=False,
        noted=noted,
        shown=identity in {_identity(parent.source) for parent in parents},
        nameless=statements.first_broken(lines, known) is not None,
        misfit=_misfit(proposal.source, slot),
        off=_off(proposal.source, request, slot),
    )


def expected(source: str, parents: Sequence[records.Parent], slot: Slot) -> float | None:
    """Returns how many parameters the model with a program has, None where that is not known.

    A program's own are told from its text, for every width. Which width it is, and how many are
    outside the slot, follows from parents whose programs have different numbers, since all are
    trained in the same surroundings. Where it does not follow, none are taken to be outside.

    Args:
      source: the program.
      parents: with the metric `num_params`.
      slot: what they fill.
    """
    counted = tuple(
        (count, parent.metrics["num_params"])
        for parent in parents
        if (count := _parameters(parent.source, slot.name)) and "num_params" in parent.metrics
    )
    own = _parameters(source, slot.name)
    if own is None or not counted:
        return None
    sizes = grammar_for(slot.name).sizes
    found = _surroundings(counted, slot.name)
    if found is not None:
        width, outside = found
        return outside + float(own.at({**sizes, "H": width}))
    count, total = counted[0]
    return total * float(own.at(sizes)) / max(1.0, float(count.at(sizes)))


@functools.lru_cache(maxsize=64)
def _surroundings(
    counted: tuple[tuple[Dim, float], ...], slot_name: str
) -> tuple[int, float] | None:
    """Returns the least width, and the parameters outside the slot, that parents agree on.

    Args:
      counted: each parent's own parameters, and those of the model with it.
      slot_name: what the parents fill.
    """
    if len({count for count, _ in counted}) < 2:
        return None
    for width in _WIDTHS:
        sizes = {**grammar_for(slot_name).sizes, "H": width}
        outside = {total - float(count.at(sizes)) for count, total in counted}
        if len(outside) == 1 and min(outside) >= 0:
            return width, outside.pop()
    return None


def _off(source: str, request: records.Request, slot: Slot) -> float:
    wanted = request.targets.get("num_params")
    if not wanted:
        return 0.0
    told = expected(source, request.parents, slot)
    return math.inf if told is None else abs(math.log(max(1.0, told) / wanted))


def _misfit(source: str, slot: Slot) -> int:
    try:
        read = shapes.infer(program.parse(source), slot)
    except (ValueError, ShapeError, RecursionError, KeyError):
        return 2
    return 0 if read.fits(slot) else 1 if read.may_fit(slot) else 2


@functools.lru_cache(maxsize=256)
def _parameters(source: str, slot_name: str) -> Dim | None:
    return parameters(source, SLOTS[slot_name])


@functools.lru_cache(maxsize=256)
def _identity(source: str) -> str:
    """Returns the identity of a program, "" of a text that is none."""
    try:
        return program.identity(source) if source else ""
    except ValueError:
        return ""


@functools.lru_cache(maxsize=256)
def _unknown(source: str) -> frozenset[str]:
    try:
        return statements.unknown(source)
    except ValueError:
        return frozenset()
