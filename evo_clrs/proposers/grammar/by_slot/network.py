"""Grammar of the network slot: whole networks that classify signals."""

import ast
import dataclasses
import math
import random
from collections.abc import Mapping

from evo_clrs.proposers.grammar.by_slot.base import SlotGrammar
from evo_clrs.proposers.grammar.clean import loaded, stored
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
from evo_clrs.proposers.grammar.sequences import CORES, LOOPS
from evo_clrs.proposers.grammar.values import Array, Items, Layer

SIZES: Mapping[str, int] = {"B": 1, "L": 40, "C": 10, "N": 1}


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a network costs by its text, layers in functions of the program left out.

    Attributes:
      parameters: numbers in its weights.
      products: multiplications by weights for one signal.
      steps: steps of recurrent layers, one after another.
    """

    parameters: float = 0.0
    products: float = 0.0
    steps: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.parameters + other.parameters,
            self.products + other.products,
            self.steps + other.steps,
        )

    def within(self, limit: "Cost", before: "Cost") -> bool:
        """Whether no figure is over the limit, unless it was so before and did not grow."""
        return all(
            new <= max(most, old)
            for new, most, old in zip(
                dataclasses.astuple(self),
                dataclasses.astuple(limit),
                dataclasses.astuple(before),
                strict=True,
            )
        )


# The paper's CNN has 91 thousand parameters and takes 0.2 million products.
LIMIT = Cost(parameters=2e6, products=3e7, steps=160)
# Beyond, edits prefer to make it smaller.
_LARGE = Cost(parameters=7e5, products=1e7, steps=120)


def cost(draft: Draft) -> Cost:
    """Returns what a network costs at `SIZES`.

    Raises:
      LookupError: an axis would be empty, or a length is not whole.
    """
    total = Cost()
    alive = living(draft)
    for node, statement in draft.expressions():
        if statement not in alive:
            continue
        value = draft.value(node)
        if isinstance(value, Array):
            _volume(value)
        if isinstance(node, ast.Call) and node.args:
            total += _of_call(draft, node)
    return total


def living(draft: Draft) -> list[ast.stmt]:
    """Returns the statements of the main body without assignments that nothing reads."""
    found: list[ast.stmt] = []
    names: set[str] = set()
    for statement in reversed(draft.body):
        if not isinstance(statement, ast.Assign) or stored(statement) & names:
            found.append(statement)
            names |= loaded([statement])
    return found


def _volume(array: Array) -> float:
    sizes = [dim.at(SIZES) for dim in array.shape]
    if any(size < 1 or size.denominator != 1 for size in sizes):
        raise LookupError(f"no such sizes: {array}")
    return float(math.prod(sizes))


def _of_call(draft: Draft, node: ast.Call) -> Cost:
    layer, x, out = draft.value(node.func), draft.value(node.args[0]), draft.value(node)
    name = draft.library(node)
    if name in LOOPS and name.endswith("unroll"):
        core, x = draft.value(node.args[0]), draft.value(node.args[1])
        states = out.items[0] if isinstance(out, Items) else None
        if isinstance(core, Layer) and isinstance(x, Array) and isinstance(states, Array):
            steps, units = float(x.shape[1].at(SIZES)), float(states.shape[-1].at(SIZES))
            gates = {"hk.GRU": 3, "hk.LSTM": 4}.get(core.kind, 1)
            weights = gates * units * (units + float(x.shape[-1].at(SIZES)))
            return Cost(weights, steps * weights, steps)
    if not isinstance(layer, Layer) or not isinstance(x, Array) or not isinstance(out, Array):
        return Cost()
    width, entries = float(out.shape[-1].at(SIZES)), _volume(out)
    inner = float(x.shape[-1].at(SIZES))
    if layer.kind in ("hk.Conv1D", "hk.DepthwiseConv1D"):
        kernel_shape = layer.get("kernel_shape")
        reach = getattr(getattr(kernel_shape, "dim", None), "number", None) or 1
        each = reach * (inner if layer.kind == "hk.Conv1D" else 1.0)
        return Cost(each * width, each * entries)
    if layer.kind in ("hk.Linear", "hk.nets.MLP", *CORES):
        widest = max(inner, *_inside(layer)) if _inside(layer) else inner
        depth = max(1, len(_inside(layer)))
        return Cost(depth * widest * max(width, widest if depth > 1 else width), 0.0) + Cost(
            0.0, depth * widest * entries
        )
    return Cost()


def _inside(layer: Layer) -> list[float]:
    """Returns the widths inside an MLP."""
    widths = layer.get("output_sizes")
    if not isinstance(widths, Items):
        return []
    return [float(w.dim.at(SIZES)) for w in widths.items if hasattr(w, "dim")]


def bounded(edit: Edit) -> Edit:
    """Returns an edit that raises LookupError where the network would become too costly."""

    def within(draft: Draft, rng: random.Random) -> str | None:
        try:
            before = cost(draft)
        except LookupError:
            before = Cost()
        draft.crowded = draft.crowded or not before.within(_LARGE, Cost())
        change = edit(draft, rng)
        if change is not None:
            after = Draft(draft.tree, draft.slot)
            if not cost(after).within(LIMIT, before):
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
        if isinstance(node, ast.Call) and draft.library(node) == "hk.get_parameter" and node.args
    ]
    if len(set(names)) < len(names):
        raise LookupError("two parameters of one name")
    held = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    signals = [n for n in nodes if isinstance(n, ast.Name) and n.id == draft.inputs[0]]
    if all(id(node) in held for node in signals):
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
