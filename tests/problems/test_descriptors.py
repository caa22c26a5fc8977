"""Width to depth of a network, counted by hand."""

from evo_clrs.problems.descriptors import width_to_depth
from evo_clrs.records import Parameter


def parameters(*shapes):
    return [Parameter(f"layer_{i}", shape, "float32") for i, shape in enumerate(shapes)]


def test_the_widest_layer_over_the_number_of_layers():
    kernel, bias, matrix = (3, 1, 32), (32,), (320, 256)
    assert width_to_depth(parameters(kernel, bias, matrix, (256,), (256, 10), (10,))) == 256 / 3


def test_biases_and_scales_are_no_layers():
    assert width_to_depth(parameters((7, 5), (900,))) == 5
    assert width_to_depth(parameters((900,), ())) == 0
    assert width_to_depth(()) == 0
