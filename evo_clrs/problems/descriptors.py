"""What a network looks like from outside: numbers that place it among others."""

from collections.abc import Sequence

from evo_clrs.records import Parameter


def width_to_depth(parameters: Sequence[Parameter]) -> float:
    """Returns the widest layer over the number of layers, 0 where there is no layer.

    A layer is a parameter of two or more dimensions, i.e. a matrix or a kernel, and its width is
    the last of them, the outputs in Haiku's layout; biases and scales are no layers.

    Source: Nasir et al., "LLMatic", GECCO 2024, the descriptor of its archive of networks.
    """
    widths = [parameter.shape[-1] for parameter in parameters if len(parameter.shape) >= 2]
    return max(widths) / len(widths) if widths else 0.0
