"""What every proposer offers: programs, when asked."""

from collections.abc import Sequence
from typing import Protocol

from evo_clrs import records, slots


class Proposer(Protocol):
    """Writes programs when asked. It knows no JAX and never runs what it writes.

    Attributes:
      name: what `--lm` calls it, e.g. `grammar`.
    """

    name: str

    def propose(
        self, request: records.Request, slot: slots.Slot, prompt: str, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns one proposal for each of `request.samples` children asked for, in order.

        Args:
          request: parents with their metrics, targets and temperatures.
          slot: what the programs must define.
          prompt: the request as text; proposers that read `request` itself may ignore it.
          seed: the run's seed. Every draw depends on it, on `request.index` and on the position
            of the sample, and on nothing else: equal arguments give equal proposals.
        """
        ...
