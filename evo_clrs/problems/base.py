"""What the loop needs of a problem: a slot with its seeds, model, data, budget and scores."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from evo_clrs.records import Evaluation, Facts, Parent, Size, Work
from evo_clrs.slots import Slot
from evo_clrs.training.rungs import Rung


class Problem(Protocol):
    """A slot with everything around it. Built from plain options, so that workers can rebuild it.

    Attributes:
      name: its name in the registry.
      title: what it is about, in a few letters fit for a folder name, e.g. `bfs-processor`.
      options: the plain options it was built from; equal options score equally.
      identity: those of its options that shape results, with what they say of files spelt out.
      slot: what programs must define.
      sizes: the sizes at which a program is traced, the training sizes first; none for a slot
        with a design space.
      score_key: all that shapes a score besides the graph and the training seeds.
      training_seeds: the seeds every candidate of a search is trained with.
      instant: whether evaluating is looking up: done at once, in the process of the search.
      remark: what a reader of selection scores must know, in one sentence; empty where finalists
        are trained from fresh seeds and scored on data that the search never saw.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def options(self) -> Mapping[str, object]: ...

    @property
    def identity(self) -> Mapping[str, str | int | float]: ...

    @property
    def slot(self) -> Slot: ...

    @property
    def sizes(self) -> tuple[Size, ...]: ...

    @property
    def score_key(self) -> str: ...

    @property
    def training_seeds(self) -> tuple[int, ...]: ...

    @property
    def instant(self) -> bool: ...

    @property
    def remark(self) -> str: ...

    def seeds(self) -> Mapping[str, str]:
        """Returns the programs a search starts from: name to source text."""
        ...

    def examine(self, work: Work) -> Facts:
        """Returns what is known of a graph or design before training.

        Raises:
          Rejected: at stage `inert` or `over_budget`, or `trace` for a forbidden operation.
        """
        ...

    def evaluate(self, work: Work, split: str, seeds: Sequence[int]) -> Evaluation:
        """Trains a graph or design once per seed and scores it on a split.

        Metrics are means over the seeds: `val_accuracy` and `val_error` (the best seen in
        training), `accuracy` on the split asked for if it is not validation.

        Raises:
          Rejected: at stage `failed`, when training or scoring breaks.
          UserError: when the test split is asked for inside a search.
        """
        ...

    def metrics(self, evaluation: Evaluation, facts: Facts) -> Mapping[str, float]:
        """Returns the evaluation's metrics with what the facts add, for a program with these facts.

        Always there: `val_accuracy` and `val_error` (0 to 1), `num_params`, `flops` (of one forward
        pass of what the program computes, for one batch at the first size; NaN if unknown) and
        `fitness`, of which more is better. Slots of whole networks add `width_to_depth`, the
        widest layer over the number of layers.
        """
        ...


@runtime_checkable
class Stoppable(Problem, Protocol):
    """A problem whose trainings are validated on the way, and can be stopped there.

    Its fitness rises with `val_accuracy`.

    Attributes:
      looks: steps at which a training is validated before its end.
    """

    @property
    def looks(self) -> range: ...

    def evaluate(
        self, work: Work, split: str, seeds: Sequence[int], rungs: Sequence[Rung] = ()
    ) -> Evaluation:
        """Trains as `Problem.evaluate` does, and stops at a rung where the score is too low.

        The training from the first seed is asked: every candidate of a search is trained from it,
        so like is compared with like. One that passes is trained from all seeds; one that is
        stopped is trained from no other, and its metrics are those of its best validation so far.
        Metrics tell the score so far at each rung reached, see `training.rungs.metric_at`; stage
        and budget tell that it was stopped, see `Evaluation.stopped`.

        Raises:
          Rejected: as `Problem.evaluate`.
          UserError: as `Problem.evaluate`.
        """
        ...


@runtime_checkable
class Exemplary(Problem, Protocol):
    """A problem that can show good designs of a related data set, to learn principles from."""

    def examples(self, path: str, count: int) -> Sequence[Parent]:
        """Returns the best `count` designs of another table by validation accuracy, best first.

        Raises:
          UserError: the table cannot be read, is of another space, or is this problem's own.
        """
        ...
