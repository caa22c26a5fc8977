"""Parameters and FLOPs of NAS-Bench-201's networks, in closed form, as the benchmark counts them.

The network: a 3x3 convolution to 16 channels, three stages of five cells at widths 16, 32 and 64,
a residual block of stride 2 between stages, batch normalisation, global pooling, a linear layer.
FLOPs are multiply-adds of convolutions and of the linear layer with its bias; batch normalisation,
pooling and sums count as nothing.

Reference: Dong and Yang, "NAS-Bench-201", ICLR 2020, section 2, https://arxiv.org/abs/2001.00326.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence

from evo_clrs.spaces import CELL, Choices

CLASSES: Mapping[str, int] = {"cifar10": 10, "cifar100": 100, "imagenet16-120": 120}

_WIDTHS = (16, 32, 64)
_CELLS = 5  # in each stage
_SIDES: Mapping[str, int] = {"cifar10": 32, "cifar100": 32, "imagenet16-120": 16}
_KERNELS: Mapping[str, int] = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}


def parameters(choices: Choices, data: str) -> int:
    """Returns the parameters of the network with this cell, all of them."""
    every_edge = range(len(choices))
    return _outside_parameters() + head_parameters(data) + _cell_parameters(choices, every_edge)


def live_parameters(choices: Choices, data: str) -> int:
    """Returns the parameters on a way from the image to the prediction.

    An edge of the cell is dead if `none` cuts it from the cell's input or output. If the cell's
    output is cut from its input, only the last normalisation and the linear layer are left.
    """
    live = live_edges(choices)
    if not live:
        return head_parameters(data)
    return _outside_parameters() + head_parameters(data) + _cell_parameters(choices, live)


def flops(choices: Choices, data: str) -> float:
    """Returns the multiply-adds of one forward pass of one image."""
    per_channel_pair = 0  # summed over the convolutions of a cell
    for choice in choices:
        per_channel_pair += _KERNELS.get(CELL.operations[choice], 0) ** 2
    return float(per_channel_pair * _channel_pairs(data) + _outside_flops(data))


def live_edges(choices: Choices) -> Sequence[int]:
    """Returns the numbers of the edges on a way from the cell's input to its output, in order."""
    return _live_edges(tuple(CELL.operations[choice] != "none" for choice in choices))


@functools.cache
def _live_edges(open_edges: tuple[bool, ...]) -> Sequence[int]:
    """There are 64 ways to cut the edges."""
    edges = [edge for edge, is_open in zip(CELL.edges, open_edges, strict=True) if is_open]
    fed, needed = {0}, {3}
    for start, end in sorted(edges):
        if start in fed:
            fed.add(end)
    for start, end in sorted(edges, reverse=True):
        if end in needed:
            needed.add(start)
    return tuple(
        number
        for number, (start, end) in enumerate(CELL.edges)
        if open_edges[number] and start in fed and end in needed
    )


def _cell_parameters(choices: Choices, edges: Sequence[int]) -> int:
    """Returns the parameters on these edges, over all cells of the network."""
    return sum([_edge_parameters(choices[edge]) for edge in edges])


@functools.cache
def _edge_parameters(choice: int) -> int:
    """Returns weights, scales and shifts of one edge in all cells of the network."""
    kernel = _KERNELS.get(CELL.operations[choice])
    if kernel is None:
        return 0
    return sum(_CELLS * _convolution(width, width, kernel) for width in _WIDTHS)


def _convolution(inputs: int, outputs: int, kernel: int) -> int:
    """Returns the parameters of a convolution without bias, with batch normalisation."""
    return inputs * outputs * kernel**2 + 2 * outputs


@functools.cache
def _outside_parameters() -> int:
    """Returns the parameters of the stem and the residual blocks."""
    count = _convolution(3, _WIDTHS[0], 3)
    for width, wider in itertools.pairwise(_WIDTHS):
        shortcut = width * wider  # pooling, then a 1x1 convolution without normalisation
        count += _convolution(width, wider, 3) + _convolution(wider, wider, 3) + shortcut
    return count


def head_parameters(data: str) -> int:
    """Returns the parameters of the last normalisation and the linear layer."""
    return 2 * _WIDTHS[-1] + (_WIDTHS[-1] + 1) * CLASSES[data]


@functools.cache
def _channel_pairs(data: str) -> int:
    """Returns how often a kernel of an edge is applied, over channels, places and cells."""
    side = _SIDES[data]
    return sum(_CELLS * width**2 * (side >> stage) ** 2 for stage, width in enumerate(_WIDTHS))


@functools.cache
def _outside_flops(data: str) -> int:
    """Returns the multiply-adds of stem, residual blocks and linear layer."""
    side = _SIDES[data]
    count = 3 * _WIDTHS[0] * 9 * side**2
    for stage, (width, wider) in enumerate(itertools.pairwise(_WIDTHS), start=1):
        count += (width * wider * 9 + wider * wider * 9 + width * wider) * (side >> stage) ** 2
    return count + (_WIDTHS[-1] + 1) * CLASSES[data]
