"""How fast embeddings that come back at every step can grow.

A processor reads the embeddings that it wrote a step before. If an output is at most `a * hidden +
c` with `a` no more than 1, it stays moderate over hundreds of steps, whatever the weights; if it is
a linear map, or a product, of the hidden embeddings, then it may overflow before training has
started.
"""

import ast

from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.rules import ACTIVATIONS
from evo_clrs.proposers.grammar.values import Array, Layer

BOUNDED, STEADY, GROWING = 0, 1, 2

_SQUASHING = ("jax.nn.sigmoid", "jax.nn.softmax", "jnp.tanh", "jax.nn.tanh", "jax.nn.hard_tanh")
_ALIGNING = (
    *("jnp.expand_dims", "jnp.squeeze", "jnp.reshape", "jnp.transpose", "jnp.swapaxes"),
    *("jnp.broadcast_to", "jnp.tile", "jnp.repeat", "jnp.sort", "jnp.split"),
)
_KEEPING = (
    *_ALIGNING,
    *ACTIVATIONS,
    *("jnp.max", "jnp.min", "jnp.mean", "jnp.maximum", "jnp.minimum", "jnp.abs", "jnp.where"),
    *("jnp.concatenate", "jnp.stack", "jax.nn.logsumexp"),
)
_MIXING = ("jnp.sum", "jnp.einsum", "jnp.matmul")


def growth(draft: Draft, node: ast.expr, state: str) -> int:
    """Returns how an expression grows with the slot's input `state`.

    Returns:
      BOUNDED if it does not, STEADY if at most as fast, GROWING if it may grow faster or if it is
      not known.
    """
    return _Growth(draft, state).of(node)


class _Growth:
    """Looks at expressions of one draft, each once."""

    def __init__(self, draft: Draft, state: str):
        self._draft = draft
        self._state = state
        self._known: dict[int, int] = {}

    def of(self, node: ast.expr) -> int:
        """Returns the growth of an expression."""
        if id(node) not in self._known:
            self._known[id(node)] = GROWING  # what a name that refers to itself is taken for
            self._known[id(node)] = self._look(node)
        return self._known[id(node)]

    def _worst(self, nodes: list[ast.expr]) -> int:
        return max(map(self.of, nodes), default=BOUNDED)

    def _look(self, node: ast.expr) -> int:
        match node:
            case ast.Name(id=name):
                definition = self._draft.definition(node)
                if definition is not node:
                    return self.of(definition)
                if name in self._draft.inputs or not isinstance(self._draft.value(node), Array):
                    return STEADY if name == self._state else BOUNDED
                return GROWING
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return self._worst(parts)
            case ast.Subscript(value=inner) | ast.UnaryOp(operand=inner):
                return self.of(inner)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
                return min(self.of(left) + self.of(right), GROWING)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return self._product([left, right])
            case ast.BinOp(left=left, op=ast.Div(), right=right) if self.of(right) == BOUNDED:
                return self.of(left)
            case ast.Compare() | ast.Attribute():
                return BOUNDED
            case ast.Call():
                return self._called(node)
        inside = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        return GROWING if self._worst(inside) else BOUNDED

    def _product(self, factors: list[ast.expr]) -> int:
        factors = [factor for factor in factors if not _is_small(self._draft, factor)]
        grown = self._worst(factors)
        return grown if len(factors) <= 1 or grown == BOUNDED else GROWING

    def _called(self, node: ast.Call) -> int:
        layer, name = self._draft.value(node.func), self._draft.called(node)
        if name in _SQUASHING or isinstance(layer, Layer) and layer.kind.endswith("Norm"):
            return BOUNDED
        if name in _MIXING and node.args:
            mixed = self._draft.definition(node.args[0])
            if isinstance(mixed, ast.BinOp) and isinstance(mixed.op, ast.Mult):
                return self._product([mixed.left, mixed.right])
            if name != "jnp.sum":
                return self._product(
                    [arg for arg in node.args if isinstance(self._draft.value(arg), Array)]
                )
        inside = [*node.args, *(keyword.value for keyword in node.keywords)]
        if isinstance(node.func, ast.Attribute) and not name:
            inside.append(node.func.value)
        grown = self._worst(inside)
        return grown if name in _KEEPING or grown == BOUNDED else GROWING


def _is_small(draft: Draft, node: ast.expr) -> bool:
    """Whether a factor is surely between -1 and 1."""
    node = draft.definition(node)
    match node:
        case ast.Constant(value=float() | int() as number):
            return abs(number) <= 1
        case ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=right):
            return draft.called(draft.definition(right)) == "jax.nn.sigmoid"
        case ast.Call(args=[inner, *_]) if draft.called(node) in _ALIGNING:
            return _is_small(draft, inner)
    return draft.called(node) in _SQUASHING


def is_steady(draft: Draft, state: str, output: int) -> bool:
    """Whether an output of the program grows at most as fast as the slot's input `state`."""
    last = draft.body[-1]
    names = dict(zip((t.name for t in draft.slot.inputs), draft.inputs, strict=False))
    if not isinstance(last, ast.Return) or last.value is None or state not in names:
        return False
    value = draft.definition(last.value)
    outputs = value.elts if isinstance(value, ast.Tuple) else [value]
    return growth(draft, outputs[output], names[state]) <= STEADY
