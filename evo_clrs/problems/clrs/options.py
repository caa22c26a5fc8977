"""Options of the CLRS problem."""

import dataclasses
import math

from evo_clrs.errors import UserError
from evo_clrs.problems.clrs.tasks import task

# Options that say what is trained, where things are kept and what is refused: none of these, with
# the numbers of seeds, shapes the score of one training.
UNRELATED = frozenset(
    ("task", "slot", "seeds", "trainings", "seeds_together", "cache", "fitness_parameters")
    + ("max_memory", "max_gflops", "max_operations")
)


@dataclasses.dataclass(frozen=True)
class Options:
    """What is searched on CLRS, and with what budget; defaults are those of EvoPrompting's search.

    Attributes:
      task: one of the 30 tasks of CLRS-30, e.g. bfs.
      slot: what programs define: processor (a whole processor) or triplet (its triplet function).
      seeds: names of packaged programs or paths of files to start from; empty for the usual ones.
      train_steps: training steps for each program.
      batch_size: samples in each step.
      hidden_size: width of all embeddings.
      triplet_size: triplet features, for the triplet slot.
      learning_rate: learning rate of Adam.
      clip_norm: gradients of a larger global norm are scaled down to it.
      validate_every: steps between two looks at validation data; the best one counts.
      trainings: training seeds for each program; metrics are their means.
      seeds_together: whether the trainings of a program are steps of one graph: on or off. Each is
        what it would be alone, up to rounding.
      length_buckets: a batch comes from one of this many equal parts of the training samples,
        sorted by length of their trajectories, so that short ones do not wait for long ones; 1 for
        batches of all lengths, as published.
      fitness_parameters: parameters that fitness counts: all (as the paper) or live.
      matmul_precision: precision of matrix products: float32, tensorfloat32 or bfloat16.
      max_memory: GiB that one training pass through a program may need, as predicted.
      max_gflops: GFLOPs that one training pass through a program may take, as predicted.
      max_operations: operations of a graph with its gradient, which set its compile time.
      cache: folder that keeps sampled data; empty for the usual one, none for no cache.
    """

    task: str = "bfs"
    slot: str = "processor"
    seeds: tuple[str, ...] = ()
    train_steps: int = 2000
    batch_size: int = 32
    hidden_size: int = 128
    triplet_size: int = 8
    learning_rate: float = 1e-3
    clip_norm: float = 1.0
    validate_every: int = 50
    trainings: int = 1
    seeds_together: str = "off"
    length_buckets: int = 1
    fitness_parameters: str = "all"
    matmul_precision: str = "float32"
    max_memory: float = 4.0
    max_gflops: float = 500.0
    max_operations: int = 20_000
    cache: str = ""

    def __post_init__(self) -> None:
        task(self.task)  # is there one of this name?
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, int | float) and not (value > 0 and math.isfinite(value)):
                raise UserError(f"--{name} must be above zero, got {value}")
        for name, choices in (
            ("slot", ("processor", "triplet")),
            ("fitness_parameters", ("all", "live")),
            ("matmul_precision", ("float32", "tensorfloat32", "bfloat16")),
            ("seeds_together", ("on", "off")),
        ):
            if getattr(self, name) not in choices:
                raise UserError(
                    f"--{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )
