"""The prediction of a model as StableHLO, to find out which parameters can change it."""

import dataclasses
import math
from typing import Any

import jax

from evo_clrs.problems.clrs.data import Pool
from evo_clrs.problems.clrs.model import Model, Parameters
from evo_clrs.problems.clrs.shapes import empty_batch

# Steps of message passing: enough for hints and embeddings to be fed back, whatever the task.
_STEPS = 2


@dataclasses.dataclass(frozen=True)
class PredictionModule:
    """A model's prediction, lowered but not compiled.

    Attributes:
      text: StableHLO whose `main` takes all parameter arrays first, one argument each, then key,
        inputs, hints and lengths, and returns the decided outputs. No argument is left out.
      names: names of the parameter arrays in the order of the arguments, e.g. `slot/linear/w`.
      sizes: how many numbers each of them holds.
    """

    text: str
    names: tuple[str, ...]
    sizes: tuple[int, ...]

    def count(self, positions: Any) -> int:
        """Returns how many numbers the parameters among these argument positions hold."""
        return sum(self.sizes[i] for i in set(positions) if i < len(self.sizes))


def prediction_module(model: Model) -> PredictionModule:
    """Returns the prediction of a model at the first size of its slot.

    The loop over steps is a loop in the text too, so that what a later step would read counts.
    """
    dimensions = dict(model.slot.sizes[0])
    samples = dataclasses.replace(
        empty_batch(model.task, model.categories, dimensions["B"], dimensions["N"], _STEPS),
        outputs={},
    )

    def predict(params: Parameters, key: jax.Array, samples: Pool) -> dict[str, jax.Array]:
        return model.predict(params, key, samples)

    shapes = model.shapes()
    traced = jax.jit(predict, keep_unused=True).trace(shapes, jax.random.PRNGKey(0), samples)
    arrays = [
        (f"model/{module}/{name}", array.shape)
        for module, parameters in sorted(shapes["model"].items())
        for name, array in sorted(parameters.items())
    ]
    arrays += [(f"slot/{parameter.name}", parameter.shape) for parameter in model.slot.parameters]
    return PredictionModule(
        text=traced.lower(lowering_platforms=("cpu",)).as_text(),
        names=tuple(name for name, _ in arrays),
        sizes=tuple(math.prod(shape) for _, shape in arrays),
    )
