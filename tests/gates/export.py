"""Makes graphs from Haiku functions, by the calling convention of `records.SizedGraph`."""

from collections.abc import Callable, Mapping, Sequence

import haiku as hk
import jax
import jax.numpy as jnp

from evo_clrs import records

PLATFORMS = ("cpu", "cuda", "tpu")


def export_graph(
    function: Callable,
    shapes: Sequence[Sequence[tuple[int, ...]]],
    properties: Mapping[str, bool] | None = None,
    seeds: int | None = None,
) -> records.Graph:
    """Exports a Haiku function at several sizes.

    Args:
      function: called with float32 arrays; returns an array, or a tuple of arrays and Nones.
      shapes: for each size, the shapes of the inputs.
      properties: static properties of the graph.
      seeds: also exports it at all these sizes for so many seeds together.
    """
    parameters: tuple[records.Parameter, ...] = ()
    sizes = []
    plain = [(records.make_size(N=number), inputs) for number, inputs in enumerate(shapes)]
    several = [(records.for_seeds(size, seeds), inputs) for size, inputs in plain if seeds]
    for size, inputs in plain + several:
        parameters, init, apply, outputs = _export(function, inputs, records.seeds_at(size))
        sizes.append(records.SizedGraph(size, init, apply, outputs))
    return records.Graph("test", parameters, tuple(sizes), dict(properties or {}))


def _export(function: Callable, shapes: Sequence[tuple[int, ...]], seeds: int | None):
    absent: list[tuple[bool, ...]] = []

    def present_outputs(*inputs):
        outputs = function(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        absent.append(tuple(output is None for output in outputs))
        return tuple(output for output in outputs if output is not None)

    network = hk.transform(present_outputs)
    inputs = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
    key = jax.ShapeDtypeStruct((2,), jnp.uint32)
    tree = jax.eval_shape(network.init, key, *inputs)
    leaves, structure = jax.tree.flatten(tree)

    def init(key):
        zeros = [jnp.zeros(array.shape, array.dtype) for array in inputs]
        return tuple(jax.tree.leaves(network.init(key, *zeros)))

    def apply(parameters, key, inputs):
        return network.apply(jax.tree.unflatten(structure, parameters), key, *inputs)

    arguments, mapped = (tuple(leaves), key, inputs), apply
    if seeds is not None:
        mapped = jax.vmap(apply)
        arguments = jax.tree.map(
            lambda array: jax.ShapeDtypeStruct((seeds, *array.shape), array.dtype), arguments
        )
    exported = [
        jax.export.export(jax.jit(init), platforms=PLATFORMS)(key),
        jax.export.export(jax.jit(mapped), platforms=PLATFORMS)(*arguments),
    ]
    first = 0 if seeds is None else 1
    shapes_out = iter(tuple(array.shape)[first:] for array in exported[1].out_avals)
    outputs = tuple(None if missing else next(shapes_out) for missing in absent[-1])
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    parameters = tuple(
        records.Parameter(name, tuple(leaf.shape), str(leaf.dtype))
        for name, leaf in zip(names, leaves, strict=True)
    )
    init_bytes = bytes(exported[0].serialize(vjp_order=0)) if leaves else b""
    return parameters, init_bytes, bytes(exported[1].serialize(vjp_order=1)), outputs
