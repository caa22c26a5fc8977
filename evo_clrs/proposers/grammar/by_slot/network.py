"""Grammar of the network slot: whole networks that classify signals."""

import ast
import random
from collections.abc import Mapping

from evo_clrs.proposers.grammar.by_slot.base import SlotGrammar
from evo_clrs.proposers.grammar.cost import Cost, cost, living
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.edits import (
    Edit,
    activation,
    crossover,
    gate,
    norm,
    residual,
)
from evo_clrs.proposers.grammar.edits.breadth import breadth
from evo_clrs.proposers.grammar.edits.convolution import convolution
from evo_clrs.proposers.grammar.edits.focus import focus
from evo_clrs.proposers.grammar.edits.kernel import kernel
from evo_clrs.proposers.grammar.edits.pooling import pooling, whole
from evo_clrs.proposers.grammar.edits.recurrence import recurrence
from evo_clrs.proposers.grammar.edits.signals import signals
from evo_clrs.proposers.grammar.edits.stacking import stacking

SIZES: Mapping[str, int] = {"B": 1, "L": 40, "C": 10, "N": 1}

# Attributes of signals that say nothing of what is in them.
_SIZED = ("shape", "ndim", "dtype")
# The paper's CNN has 91 thousand parameters and takes 0.2 million products.
LIMIT = Cost(weights=2e6, products=3e7, steps=160, widest=512)
# Beyond, edits prefer to make it smaller.
_LARGE = Cost(weights=7e5, products=1e7, steps=120, widest=512)


def bounded(edit: Edit) -> Edit:
    """Returns an edit that raises LookupError where the network would become too costly."""

    def within(draft: Draft, rng: random.Random) -> str | None:
        try:
            before = cost(draft, SIZES)
        except LookupError:
            before = Cost()
        draft.crowded = draft.crowded or not before.within(_LARGE, Cost())
        change = edit(draft, rng)
        if change is not None:
            after = Draft(draft.tree, draft.slot)
            if not cost(after, SIZES).within(LIMIT, before):
                raise LookupError("too costly")
            _check(after)
        return change

    return within


def _check(draft: Draft) -> None:
    """Raises LookupError where a network would not trace or not read its signals."""
    nodes = [node for statement in living(draft) for node in ast.walk(statement)]
    names = [
        ast.unparse(node.args[0])
        for node in nodes
        if isinstance(node, ast.Call) and draft.called(node) == "hk.get_parameter" and node.args
    ]
    if len(set(names)) < len(names):
        raise LookupError("two parameters of one name")
    sized = {id(n.value) for n in nodes if isinstance(n, ast.Attribute) and n.attr in _SIZED}
    reads = [n for n in nodes if isinstance(n, ast.Name) and n.id == draft.inputs[0]]
    if all(id(node) in sized for node in reads):
        raise LookupError("the signals are not read")


_EDITS: Mapping[str, Edit] = {
    "activation": activation,
    "width": breadth,
    "depth": stacking,
    "residual": residual,
    "gate": gate,
    "norm": norm,
    "attention": focus,
    "reduction": whole,
    "inputs": signals,
    "convolution": convolution,
    "kernel": kernel,
    "pooling": pooling,
    "recurrence": recurrence,
    "crossover": crossover,
}

GRAMMAR = SlotGrammar(
    edits={kind: bounded(edit) for kind, edit in _EDITS.items()},
    weights={
        "activation": 0.6,
        "width": 1.0,
        "depth": 1.3,
        "residual": 0.8,
        "gate": 0.7,
        "norm": 0.7,
        "attention": 0.6,
        "reduction": 1.2,
        "inputs": 1.0,
        "convolution": 1.1,
        "kernel": 1.2,
        "pooling": 1.0,
        "recurrence": 0.8,
        "crossover": 1.3,
    },
    title="Network by edits",
    essential=("x",),
    sizes=SIZES,
    max_elements=4e5,
)
