"""What a network costs, told from its text: weights, products, recurrent steps, widths."""

import ast
import dataclasses
import itertools
import math
from collections.abc import Mapping

from evo_clrs.proposers.grammar.clean import loaded, stored
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.rules import shape_of
from evo_clrs.proposers.grammar.sequences import CORES, LOOPS
from evo_clrs.proposers.grammar.values import Array, Items, Layer, Size

# Matrices of a recurrent cell for its input, and as many for its state.
_GATES = {"hk.GRU": 3, "hk.LSTM": 4, "hk.VanillaRNN": 1}


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a network costs; layers in functions of the program, and biases, are left out.

    Attributes:
      weights: numbers in its matrices and kernels.
      products: multiplications by weights for one signal.
      steps: steps of recurrent layers, one after another.
      widest: most units of one layer.
    """

    weights: float = 0.0
    products: float = 0.0
    steps: float = 0.0
    widest: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.weights + other.weights,
            self.products + other.products,
            self.steps + other.steps,
            max(self.widest, other.widest),
        )

    def within(self, limit: "Cost", before: "Cost") -> bool:
        """Whether no figure is over the limit, unless it was so before and did not grow."""
        figures = zip(*map(dataclasses.astuple, (self, limit, before)), strict=True)
        return all(new <= max(most, old) for new, most, old in figures)


def cost(draft: Draft, sizes: Mapping[str, int]) -> Cost:
    """Returns what a network costs where symbols have these sizes.

    Raises:
      LookupError: an axis would be empty, or a length is not whole.
    """
    total = Cost()
    alive = set(living(draft))
    for node, statement in draft.expressions():
        if statement not in alive:
            continue
        value = draft.value(node)
        if isinstance(value, Array):
            _entries(value, sizes)
        if isinstance(node, ast.Call) and node.args:
            total += _of_call(draft, node, sizes)
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


def _entries(array: Array, sizes: Mapping[str, int]) -> float:
    dims = [dim.at(sizes) for dim in array.shape]
    if any(dim < 1 or dim.denominator != 1 for dim in dims):
        raise LookupError(f"no such sizes: {array}")
    return float(math.prod(dims))


def _of_call(draft: Draft, node: ast.Call, sizes: Mapping[str, int]) -> Cost:
    layer, x, out = draft.value(node.func), draft.value(node.args[0]), draft.value(node)
    name, steps = draft.called(node), 1.0
    if name in LOOPS and name.endswith("unroll") and len(node.args) > 1:
        layer, x = draft.value(node.args[0]), draft.value(node.args[1])
        out = out.items[0] if isinstance(out, Items) else out
        if isinstance(x, Array) and isinstance(out, Array):
            steps = _entries(Array(out.shape[:-1]), sizes) / sizes["B"]
    elif isinstance(layer, Layer) and layer.kind in CORES and isinstance(out, Items):
        out = out.items[0]
    if not isinstance(layer, Layer) or not isinstance(x, Array) or not isinstance(out, Array):
        return Cost()
    inner, width = (float(array.shape[-1].at(sizes)) for array in (x, out))
    if layer.kind in CORES:
        weights = _GATES[layer.kind] * width * (inner + width)
        return Cost(weights, weights * steps, steps, width)
    positions = _entries(out, sizes) / width
    widths = [inner, width]
    if layer.kind == "hk.nets.MLP":
        inside = shape_of(layer.get("output_sizes")) or ()
        widths = [inner, *(float(dim.at(sizes)) for dim in inside)]
    elif layer.kind in ("hk.Conv1D", "hk.DepthwiseConv1D"):
        setting = layer.get("kernel_shape")
        reach = setting.dim.number if isinstance(setting, Size) else None
        each = 1.0 if layer.kind == "hk.DepthwiseConv1D" else inner
        widths = [(reach or 1) * each, width]
    elif layer.kind != "hk.Linear":
        return Cost()
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    return Cost(weights, weights * positions, 0.0, max(widths[1:]))
