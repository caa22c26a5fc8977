"""Kernels: sizes, strides, dilations and paddings of convolutions, and windows of pools."""

import ast
import random

from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.edits.applied import POOLS, Applied, applied, attempt

_TRIES = 8
_CHOICES = {
    "kernel_shape": ((1, 2, 3, 4, 5, 7, 9, 11, 15), 3.0),
    "stride": ((1, 2, 3, 4), 2.0),
    "rate": ((1, 2, 3, 4), 1.0),
    "padding": (("SAME", "VALID"), 0.7),
}
_WORDS = {"kernel_shape": "kernel", "rate": "dilation"}


def kernel(draft: Draft, rng: random.Random) -> str | None:
    """Changes the kernel, stride, dilation or padding of a convolution, or the window of a pool."""
    convolutions = applied(draft, ["hk.Conv1D", "hk.DepthwiseConv1D"])
    pools = [
        node
        for node, _ in draft.expressions()
        if draft.called(node) in POOLS and isinstance(node, ast.Call) and len(node.args) == 4
    ]
    targets: list[Applied | ast.Call] = [*convolutions, *pools]
    for _ in range(_TRIES if targets else 0):
        target = rng.choice(targets)
        change = (
            _convolution(draft, target, rng)
            if isinstance(target, Applied)
            else _pool(draft, target, rng)
        )
        if change:
            return change
    return None


def _convolution(draft: Draft, layer: Applied, rng: random.Random) -> str | None:
    names = list(_CHOICES)
    (name,) = rng.choices(names, weights=[_CHOICES[name][1] for name in names])
    new = rng.choice(_CHOICES[name][0])
    old = layer.setting(name)
    default = "SAME" if name == "padding" else 1
    text = repr(default) if old is None else ast.unparse(old)
    if text == repr(new):
        return None
    if attempt(draft, layer.made, lambda: layer.put(name, ast.Constant(new))):
        return f"{_WORDS.get(name, name)} {text} becomes {new!r}"
    return None


def _pool(draft: Draft, node: ast.Call, rng: random.Random) -> str | None:
    stride = rng.choice((1, 2, 3, 4))
    window = stride if rng.random() < 0.5 else rng.choice((2, 3, 4, 5))
    if window < stride:
        return None
    sizes = [ast.parse(f"({size}, 1)", mode="eval").body for size in (window, stride)]

    def change() -> None:
        node.args[1:3] = sizes

    text = ", ".join(map(ast.unparse, node.args[1:3]))
    if text != ", ".join(map(ast.unparse, sizes)) and attempt(draft, node, change):
        return f"a pool takes windows of {window} with stride {stride}"
    return None
