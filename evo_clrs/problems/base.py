"""What the loop needs of a problem: a slot with its seeds, model, data, budget and scores."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from evo_clrs.records import Evaluation, Facts, Graph, Size
from evo_clrs.slots import Slot


class Problem(Protocol):
    """A slot with everything around it. Built from plain options, so that workers can rebuild it.

    Attributes:
      name: its name in the registry.
      title: what it is about, in a few letters fit for a folder name, e.g. `bfs-processor`.
      options: the plain options it was built from; equal options score equally.
      identity: those of its options that shape results, with what they say of files spelt out.
      slot: what programs must define.
      sizes: the sizes at which a program is traced, the training sizes first.
      score_key: all that shapes a score besides the graph and the training seeds.
      training_seeds: the seeds every candidate of a search is trained with.
    """

    name: str
    title: str
    options: Mapping[str, object]
    identity: Mapping[str, str | int | float]
    slot: Slot
    sizes: tuple[Size, ...]
    score_key: str
    training_seeds: tuple[int, ...]

    def seeds(self) -> Mapping[str, str]:
        """Returns the programs a search starts from: name to source text."""
        ...

    def examine(self, graph: Graph) -> Facts:
        """Returns what is known of a graph before training.

        Raises:
          Rejected: at stage `inert` or `over_budget`, or `trace` for a forbidden operation.
        """
        ...

    def evaluate(self, graph: Graph, split: str, seeds: Sequence[int]) -> Evaluation:
        """Trains the graph once per seed and scores it on a split.

        Metrics are means over the seeds: `val_accuracy` and `val_error` (the best seen in
        training), `accuracy` on the split asked for if it is not validation.

        Raises:
          Rejected: at stage `failed`, when training or scoring breaks.
          UserError: when the test split is asked for inside a search.
        """
        ...

    def metrics(self, evaluation: Evaluation, facts: Facts) -> Mapping[str, float]:
        """Returns the evaluation's metrics with sizes and fitness of a program with these facts."""
        ...
