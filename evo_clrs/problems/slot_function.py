"""A slot, filled: what the trusted model calls where the evolved code belongs.

A `SlotFunction` is stateless: parameters and a key go in, arrays come out. `from_graph` makes one
of the bytes that the jail exported; that is the way of every program. `from_haiku` makes one of
code in this process, and is only for code that we trust, as the library's own processors.

Keys are raw threefry keys, uint32[2], because that is what an exported graph takes.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
from jax.export import Exported

from evo_clrs import linear
from evo_clrs.problems import draws
from evo_clrs.records import Graph, Parameter, Size, for_seeds, seeds_at
from evo_clrs.slots import SLOTS, Slot

Arrays = tuple[jax.Array, ...]
Outputs = tuple[Any, ...]  # arrays, None for an absent optional one


@dataclasses.dataclass(frozen=True, eq=False)
class SlotFunction:
    """One program as pure functions.

    Attributes:
      slot: the slot it fills.
      parameters: shapes of its parameters, in the order `init` returns them.
      properties: static yes/no answers that shape the decoders, e.g. `{"inf_bias": False}`.
      sizes: sizes it can be called at, one seed's first; only the first one if `any_size`.
      any_size: whether other sizes than those of `sizes` work as well.
      init: `(key, size) -> parameters`; they have the same shapes at every size.
      apply: `(parameters, key, size, arguments) -> outputs` in the slot's order, an absent optional
        output as None. Differentiable in parameters and arguments. Raises KeyError at other sizes.
        `jax.vmap` may map it, over S of anything if it is at a size of `sizes` for S together.
    """

    slot: Slot
    parameters: tuple[Parameter, ...]
    properties: Mapping[str, bool]
    sizes: tuple[Size, ...]
    any_size: bool
    init: Callable[[jax.Array, Size], Arrays]
    apply: Callable[[Arrays, jax.Array, Size, Arrays], Outputs]

    def shapes(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Returns shapes and dtypes of what `init` returns."""
        return tuple(jax.ShapeDtypeStruct(p.shape, p.dtype) for p in self.parameters)

    def count(self) -> int:
        """Returns how many numbers its parameters hold."""
        return sum(math.prod(parameter.shape) for parameter in self.parameters)


def from_graph(graph: Graph) -> SlotFunction:
    """Returns the slot function of an exported graph.

    Its VJP is the exported one, which computes the slot's forward pass again. Parameters with a
    description are drawn by `draws.draw`, which compiles nothing.
    """
    applied = {entry.size: jax.export.deserialize(bytearray(entry.apply)) for entry in graph.sizes}
    described = [p if p.initialiser else None for p in graph.parameters]
    exported = {
        entry.size: (
            jax.export.deserialize(bytearray(entry.init)).call if entry.init else None,
            _mappable(applied, entry.size),
            tuple(shape is not None for shape in entry.outputs),
        )
        for entry in graph.sizes
        if seeds_at(entry.size) is None
    }

    def at(size: Size) -> tuple[Any, Any, tuple[bool, ...]]:
        graph.at(size)  # its KeyError says what is missing
        return exported[size]

    def init(key: jax.Array, size: Size) -> Arrays:
        code = at(size)[0]
        others = iter(code(key) if code else ())
        drawn = iter(draws.draw(described, key))
        return tuple(next(drawn if parameter else others) for parameter in described)

    def apply(parameters: Arrays, key: jax.Array, size: Size, arguments: Arrays) -> Outputs:
        _, function, presence = at(size)
        outputs = iter(function(tuple(parameters), key, tuple(arguments)))
        return tuple(next(outputs) if present else None for present in presence)

    return SlotFunction(
        slot=SLOTS[graph.slot],
        parameters=graph.parameters,
        properties=graph.properties,
        sizes=tuple(entry.size for entry in graph.sizes),
        any_size=False,
        init=init,
        apply=apply,
    )


def _mappable(
    applied: Mapping[Size, Exported], size: Size
) -> Callable[[Arrays, jax.Array, Arrays], Arrays]:
    """Returns an exported apply, differentiable, as a function that `jax.vmap` can map.

    An export has no rule for being mapped: over S it is replaced by the one for S seeds together.
    """

    def call(at: Size, parameters: Arrays, key: jax.Array, arguments: Arrays) -> Arrays:
        return tuple(applied[at].call(parameters, key, arguments))

    def pull(
        at: Size, parameters: Arrays, key: jax.Array, arguments: Arrays, cotangents: Arrays
    ) -> tuple[Arrays, Arrays]:
        """Returns the cotangents of parameters and arguments."""
        found = applied[at].vjp().call(*parameters, key, *arguments, *cotangents)
        count = len(parameters)
        return tuple(found[:count]), tuple(found[count + 1 :])

    forward, backward = (_with_rule(function, applied, size) for function in (call, pull))

    @jax.custom_vjp
    def apply(parameters: Arrays, key: jax.Array, arguments: Arrays) -> Arrays:
        return forward(parameters, key, arguments)

    def apply_backward(kept: Any, cotangents: Arrays) -> tuple[Arrays, None, Arrays]:
        of_parameters, of_arguments = backward(*kept, cotangents)
        return of_parameters, None, of_arguments

    apply.defvjp(lambda *kept: (forward(*kept), kept), apply_backward)
    return apply


def _with_rule(function: Callable[..., Any], traced: Collection[Size], size: Size) -> Any:
    """Returns a function at a size, with a rule for `jax.vmap`: call it at S together instead."""

    @jax.custom_batching.custom_vmap
    def alone(*operands: Any) -> Any:
        return function(size, *operands)

    @alone.def_vmap
    def rule(seeds: int, mapped: Sequence[Any], *operands: Any) -> tuple[Any, Any]:
        at = for_seeds(size, seeds)
        if at not in traced:
            raise KeyError(f"graph was not traced for {seeds} seeds together at {dict(size)}")

        def spread(array: jax.Array, has_axis: bool) -> jax.Array:
            return array if has_axis else jnp.broadcast_to(array, (seeds, *array.shape))

        results = function(at, *jax.tree.map(spread, tuple(operands), tuple(mapped)))
        return results, jax.tree.map(lambda _: True, results)

    return alone


def from_haiku(slot: Slot, factory: Callable[..., Any], size: Size) -> SlotFunction:
    """Returns the slot function of trusted Haiku code, called in this process.

    Args:
      slot: the slot to fill.
      factory: for a slot of kind `class`, called with the slot's constants by position (as
        `clrs.get_processor_factory(...)` is) and returns the module; for one of kind `function`,
        the function itself.
      size: a size to find out the parameters' shapes at; others work as well.
    """
    properties: dict[str, bool] = {}

    def call(at: Size, arguments: Arrays) -> Outputs:
        dimensions = dict(at)
        constants = {name: dimensions[symbol] for name, symbol in slot.constants}
        inputs, factored = linear.inputs_of(slot, arguments)
        with linear.through_channels(factored):
            if slot.kind == "function":
                outputs = factory(*inputs, **constants)
            else:
                module = factory(*constants.values())
                properties.update({name: bool(getattr(module, name)) for name in slot.properties})
                shape = {name: dimensions[symbol] for name, symbol in slot.call_constants}
                outputs = module(*inputs, **shape)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    functions = hk.transform(call)

    @functools.partial(jax.jit, static_argnums=1)
    def tree(key: jax.Array, at: Size) -> hk.MutableParams:
        return functions.init(key, at, arguments_at(slot, at))

    shapes = jax.eval_shape(lambda key: tree(key, size), jax.random.PRNGKey(0))
    leaves, structure = jax.tree_util.tree_flatten_with_path(shapes)
    parameters = tuple(
        Parameter("/".join(step.key for step in path), leaf.shape, leaf.dtype.name)
        for path, leaf in leaves
    )

    def apply(parameters: Arrays, key: jax.Array, at: Size, arguments: Arrays) -> Outputs:
        return functions.apply(jax.tree.unflatten(structure, parameters), key, at, arguments)

    return SlotFunction(
        slot=slot,
        parameters=parameters,
        properties=dict(properties),
        sizes=(size,),
        any_size=True,
        init=lambda key, at: tuple(jax.tree.leaves(tree(key, at))),
        apply=apply,
    )


def arguments_at(slot: Slot, size: Size) -> Arrays:
    """Returns zeros of the shapes that enter a slot's graph."""
    return tuple(jnp.zeros(tensor.at(size)) for tensor in slot.arguments)
