"""A worker without memory for designs that pool: of NumPy's for some, of XLA's for others."""

import dataclasses

import numpy as np

from evo_clrs import problems
from evo_clrs.executors import worker

_POOLING = 4  # average pooling, which no seed has
_TOO_MUCH = 1 << 45  # numbers


def kind_of(choices) -> str:
    """Returns whose memory a design runs out of, empty for nobody's."""
    if _POOLING not in choices:
        return ""
    return ("numpy", "xla")[choices.index(_POOLING) % 2]


@dataclasses.dataclass
class Exhausting:
    """A problem whose trainings need too much."""

    problem: object

    def evaluate(self, work, split, seeds):
        kind = kind_of(work.choices)
        if kind == "numpy":
            np.zeros(_TOO_MUCH)
        if kind == "xla":
            import jax.numpy as jnp

            jnp.zeros(_TOO_MUCH, jnp.float32).block_until_ready()
        return self.problem.evaluate(work, split, seeds)


if __name__ == "__main__":
    make = problems.make
    problems.make = lambda *asked: Exhausting(make(*asked))
    worker.main()
