"""Fresh parameters of a trusted Haiku function, without compiling or running it."""

from collections.abc import Callable, Mapping
from typing import Any

import haiku as hk
import jax

from evo_clrs.initialisers import Recorder
from evo_clrs.problems import draws
from evo_clrs.records import Initialiser, Parameter

_PURPOSE = 1  # of draws: models around slots

Parameters = Mapping[str, Mapping[str, jax.Array]]


def describe(
    function: Callable[..., Any], *arguments: Any
) -> Mapping[str, Mapping[str, Parameter]]:
    """Returns the parameters of a Haiku function with how they are drawn, as a Haiku tree.

    Args:
      function: makes and calls Haiku modules; it must not be transformed yet.
      *arguments: what the function takes; only their shapes matter.

    Raises:
      ValueError: a parameter has none of Haiku's standard initialisers.
    """
    recorder, found = Recorder(), dict[tuple[str, str], Initialiser | None]()

    def call(*arguments: Any) -> None:
        with recorder.recording():
            function(*arguments)

    def init(key: jax.Array, *arguments: Any) -> Parameters:
        made: Parameters = hk.transform(call).init(key, *arguments)
        found.update({(m, name): recorder.of(made[m][name]) for m in made for name in made[m]})
        return made

    def described(module: str, name: str, leaf: Any) -> Parameter:
        how = found[module, name]
        if how is None:
            raise ValueError(f"{module}/{name}: expected one of Haiku's standard initialisers")
        return Parameter(f"{module}/{name}", leaf.shape, leaf.dtype.name, how)

    shapes = jax.eval_shape(init, jax.random.PRNGKey(0), *arguments)
    return {
        module: {name: described(module, name, leaf) for name, leaf in sorted(leaves.items())}
        for module, leaves in sorted(shapes.items())
    }


def initialise(parameters: Mapping[str, Mapping[str, Parameter]], key: jax.Array) -> Parameters:
    """Returns parameters, distributed as Haiku would draw them, as `draws.draw` does.

    Args:
      parameters: as `describe` returns them.
      key: uint32[2].
    """
    leaves, structure = jax.tree.flatten(parameters)
    return jax.tree.unflatten(structure, draws.draw(leaves, key, _PURPOSE))
