"""How many parameters a program has in the model of each task, and whether it can matter there.

Counted, not trained, at the width of the published protocol. A program is traced at a batch of one
sample, since batch and nodes do not change what parameters hold.
"""

import dataclasses
import functools
from collections.abc import Mapping

from evo_clrs.gates import liveness, mlir
from evo_clrs.problems import slot_function, traced
from evo_clrs.problems.clrs import influence
from evo_clrs.problems.clrs.encoding import count_channels
from evo_clrs.problems.clrs.model import Model, ModelOptions
from evo_clrs.problems.clrs.shapes import categories_of
from evo_clrs.problems.clrs.splits import Splits
from evo_clrs.problems.clrs.tasks import CLRS30, Task, task
from evo_clrs.records import Graph, Size
from evo_clrs.slots import SLOTS

_OPTIONS = ModelOptions()
_NODES = 4


@dataclasses.dataclass(frozen=True)
class Counted:
    """A program in the model of a task.

    Attributes:
      parameters: numbers in all parameter arrays of the model.
      live: those in arrays that can change a prediction.
      inert: whether the program cannot change a prediction.
    """

    parameters: int
    live: int
    inert: bool


def size_in(task_name: str) -> Size:
    """Returns the size at which a program is to be traced to be counted in a task.

    Raises:
      UserError: there is no such task.
    """
    posed, categories = _posed(task_name)
    return _OPTIONS.size(batch_size=1, nodes=_NODES, channels=count_channels(posed, categories))


def count(slot_name: str, graph: Graph, task_name: str) -> Counted:
    """Returns what a graph that was traced at the task's `size_in` amounts to in it.

    Raises:
      UserError: there is no such task.
      Rejected: the graph holds what the graph gate does not know.
    """
    posed, categories = _posed(task_name)
    with traced.forgetting():
        make = functools.partial(_model, posed, categories)
        read = influence.live_slot_outputs(make, SLOTS[slot_name], size_in(task_name))
        counts = influence.count_parameters(make(slot_function.from_graph(graph)))
        return Counted(counts.all, counts.live, liveness.inert(mlir.read_graph(graph), read))


@functools.cache
def _posed(task_name: str) -> tuple[Task, Mapping[str, int]]:
    """Returns a task of the published protocol, and the classes of its categorical features."""
    posed = task(task_name, CLRS30)
    sample = Splits(posed, CLRS30).pools("train", count=1)[0]
    return posed, categories_of(posed, sample)


def _model(posed: Task, categories: Mapping[str, int], slot: slot_function.SlotFunction) -> Model:
    return Model(posed, categories, slot, _OPTIONS)
