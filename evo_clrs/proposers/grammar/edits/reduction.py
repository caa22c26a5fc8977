"""Reductions over nodes or positions: max, min, sum, mean, softmax-weighted, top-k and more."""

import ast
import dataclasses
import random

from evo_clrs.proposers.grammar.draft import Draft, Site, quote
from evo_clrs.proposers.grammar.values import Array, Layer, Size

_REDUCERS = ("jnp.max", "jnp.min", "jnp.sum", "jnp.mean", "jax.nn.logsumexp")


@dataclasses.dataclass(frozen=True, eq=False)
class Reduction:
    """A reduction over one axis of nodes or positions.

    Attributes:
      site: the whole reduction.
      how: its name, e.g. `max`.
      x: what is reduced, without its mask.
      shape: shape of x.
      mask: truth values that say which entries count, None if all do.
      axis: that axis.
    """

    site: Site
    how: str
    x: ast.expr
    shape: tuple
    mask: ast.expr | None
    axis: int


def reductions(draft: Draft) -> list[Reduction]:
    """Returns the reductions over one axis of nodes or positions whose operand has known shape."""
    found = []
    for site in draft.sites():
        name = draft.called(site.node)
        if name not in _REDUCERS or not isinstance(site.node, ast.Call):
            continue
        axis = next((k.value for k in site.node.keywords if k.arg == "axis"), None)
        value = None if axis is None else draft.value(axis)
        if len(site.node.args) != 1 or len(site.node.keywords) != 1 or not isinstance(value, Size):
            continue
        how = name.rpartition(".")[2]
        found += _operand(draft, site, how, site.node.args[0], value.dim.number or 0)
    return found


def _operand(draft: Draft, site: Site, how: str, x: ast.expr, axis: int) -> list[Reduction]:
    mask = None
    inner = draft.definition(x)
    if how == "mean" and isinstance(inner, ast.Subscript):
        ordered = draft.definition(inner.value)
        if draft.called(ordered) == "jnp.sort" and isinstance(ordered, ast.Call):
            how, x = "top-k", ordered.args[0]
    elif how == "sum" and _is_weighted(draft, inner) and isinstance(inner, ast.BinOp):
        how, x = "softmax", inner.right
    inner = draft.definition(x)
    if draft.called(inner) == "jnp.where" and isinstance(inner, ast.Call) and len(inner.args) == 3:
        mask, x = inner.args[0], inner.args[1]
    value = draft.value(x)
    if not isinstance(value, Array) or not draft.is_features(value, least=1):
        return []
    axis %= len(value.shape)
    if not draft.is_axis(value.shape, axis):
        return []
    if mask is not None and not _fits(draft, mask, value, axis):
        return []
    return [Reduction(site, how, x, value.shape, mask, axis)]


def _is_weighted(draft: Draft, node: ast.expr) -> bool:
    """Whether it is a product whose left side is a softmax."""
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Mult)
        and draft.called(draft.definition(node.left)) == "jax.nn.softmax"
    )


def _fits(draft: Draft, mask: ast.expr, value: Array, axis: int) -> bool:
    shape = draft.value(mask)
    return (
        isinstance(shape, Array)
        and len(shape.shape) == len(value.shape)
        and draft.is_axis(shape.shape, axis)
    )


def masked(x: ast.expr, mask: ast.expr | None, fill: str) -> ast.expr:
    """Returns x where the mask is on and a number where it is off."""
    return x if mask is None else quote(f"jnp.where(MASK, X, {fill})", MASK=mask, X=x)


def reduced(draft: Draft, target: Reduction, how: str, rng: random.Random) -> ast.expr:
    """Returns the target's operand reduced in another way."""
    x, mask, axis, before = target.x, target.mask, target.axis, target.site.statement
    if how in ("max", "min"):
        fill = "-1e6" if how == "max" else "1e6"
        return quote(f"jnp.{how}(X, axis={axis})", X=masked(x, mask, fill))
    if how == "logsumexp":
        return quote(f"jax.nn.logsumexp(X, axis={axis})", X=masked(x, mask, "-1e6"))
    if how == "sum" or (how == "mean" and mask is None):
        return quote(f"jnp.{how}(X, axis={axis})", X=masked(x, mask, "0.0"))
    if how == "mean" and mask is not None:
        total = draft.insert(before, "total", reduced(draft, target, "sum", rng))
        count = quote(f"jnp.maximum(jnp.sum(MASK, axis={axis}), 1)", MASK=mask)
        count = draft.insert(before, "count", count)
        return quote("TOTAL / COUNT", TOTAL=total, COUNT=count)
    if how == "range":
        largest = draft.insert(before, "largest", reduced(draft, target, "max", rng))
        smallest = draft.insert(before, "smallest", reduced(draft, target, "min", rng))
        return quote("LARGEST - SMALLEST", LARGEST=largest, SMALLEST=smallest)
    x = x if isinstance(x, ast.Name) else draft.insert(before, "messages", x)
    if how == "top-k":
        part = draft.insert(
            before, "ordered", quote(f"jnp.sort(X, axis={axis})", X=masked(x, mask, "0.0"))
        )
        index = ", ".join([":"] * axis + [f"-{rng.choice((2, 3))}:"])
        return quote(f"jnp.mean(PART[{index}], axis={axis})", PART=part)
    logits = x if rng.random() < 0.3 else quote("hk.Linear(1)(X)", X=x)
    if logits is not x:
        logits = draft.insert(before, "logits", logits)
    weights = quote(f"jax.nn.softmax(X, axis={axis})", X=masked(logits, mask, "-1e6"))
    weights = draft.insert(before, "weights", weights)
    return quote(f"jnp.sum(WEIGHTS * X, axis={axis})", WEIGHTS=weights, X=x)


def is_normed(draft: Draft) -> bool:
    """Whether some layer of the program normalises."""
    return any(
        isinstance(draft.value(node), Layer) and draft.called(node).endswith("Norm")
        for node, _ in draft.expressions()
    )


def reduction(draft: Draft, rng: random.Random) -> str | None:
    """Reduces over nodes or positions in another way."""
    targets = reductions(draft)
    if not targets:
        return None
    target = rng.choice(targets)
    choices = ["max", "mean", "softmax", "top-k", "sum", "logsumexp", "min", "range"]
    if draft.slot.kind == "class" and draft.on_graph and not is_normed(draft):
        choices.remove("sum")  # embeddings that come back each step would grow with the nodes
    how = rng.choice([name for name in choices if name != target.how])
    draft.replace(target.site, reduced(draft, target, how, rng))
    return f"{target.how} over {draft.axis_name} becomes {how}"
