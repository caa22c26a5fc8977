"""The networks of the data set's authors, trained as they train them: a check of all that we add.

Source: Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024; settings and
accuracies are those of the notebook that comes with the data set: all training signals in batches
of 100 that come in the same order again and again, and the accuracy after the last step of one
training. One training says little: over 8 seeds the CNN reaches 92.5 to 95.5 and
the GRU 89.8 to 92.0, and the authors' own two notebooks have the GRU at 89.1 and 92.1.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import jax

from evo_clrs import programs
from evo_clrs.gates import graph, static
from evo_clrs.jail.jail import Jail
from evo_clrs.problems import slot_function, traced
from evo_clrs.problems.mnist1d.data import Splits
from evo_clrs.problems.mnist1d.trial import Trial, draw_in_order, size_of
from evo_clrs.slots import NETWORK
from evo_clrs.training import loop

# Accuracy on test data after the last step, in per cent.
PUBLISHED: Mapping[str, float] = {"linear": 31.5, "mlp": 65.1, "cnn": 92.3, "gru": 89.1}
TRAINING = loop.Training(
    steps=6000,
    batch_size=100,
    learning_rate=0.01,
    clip_norm=math.inf,
    steps_per_call=500,
    validate_every=500,
)


@dataclasses.dataclass(frozen=True)
class Result:
    """What one baseline reaches.

    Attributes:
      name: the program's name.
      parameters: how many it has.
      accuracies: on test data after the last step, in per cent, one for each seed.
      seconds: compiling and training, for all seeds.
    """

    name: str
    parameters: int
    accuracies: tuple[float, ...]
    seconds: float

    @property
    def mean(self) -> float:
        """Mean accuracy, in per cent."""
        return sum(self.accuracies) / len(self.accuracies)


def reproduce(
    name: str,
    seeds: int,
    jail: Jail,
    record_test: Callable[[int], None],
    training: loop.Training = TRAINING,
) -> Result:
    """Trains a baseline on all 4,000 training signals, from seeds 0, 1, ..., and tests it.

    Args:
      name: a program of the slot, such as one of `PUBLISHED`.
      seeds: how many trainings.
      jail: where the program is traced.
      record_test: called before test data are read, with how many signals.
      training: settings, the authors' by default.

    Raises:
      Rejected: the program does not pass a gate, or training breaks.
    """
    source = programs.load(NETWORK.name)[name]
    static.check(source, NETWORK)
    traced_graph = jail.trace(NETWORK, source, (size_of(training.batch_size),))
    graph.check(traced_graph, graph.GraphLimits())
    splits = Splits(held_out=0, record_test=record_test)
    with traced.forgetting(), jax.default_matmul_precision("float32"):
        at_once = loop.steps_in_a_call(training.steps_per_call)
        training = dataclasses.replace(training, steps_per_call=at_once)
        network = slot_function.from_graph(traced_graph)
        order = loop.ByStep(draw_in_order)
        trial = Trial(network, training, splits.samples("train"), order)
        test = trial.scorer(splits.samples("test"))
        accuracies, seconds = [], trial.compile_seconds
        for seed in range(seeds):
            outcome = trial.run(seed)
            accuracies.append(round(100 * test(outcome.state.params, seed), 2))
            seconds += outcome.train_seconds
    return Result(name, network.count(), tuple(accuracies), round(seconds, 1))
