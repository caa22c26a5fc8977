"""What every proposer offers: programs, when asked."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

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

        What is asked for is `request.operation`, one of `records.OPERATIONS`. A proposer answers
        each of them: with programs of the slot, whatever the finer difference it knows between
        operations, and `principles` with words in place of a source. An empty source says that it
        has no answer, as when it knows no words; a strategy that asks for them has a rule for that.

        Args:
          request: parents with their metrics, targets, temperatures, and what else the operation
            may heed: the instruction in words, the kinds of edits that stand for it, and the
            options allowed on a slot with a design space.
          slot: what the programs must define, or the space of designs that they write.
          prompt: the request as text; proposers that read `request` itself may ignore it.
          seed: the run's seed. Every draw depends on it, on `request.index` and on the position
            of the sample, and on nothing else: equal arguments give equal proposals.

        Raises:
          UserError: the proposer cannot write programs for this slot.
        """
        ...


@runtime_checkable
class PromptReader(Proposer, Protocol):
    """A proposer that reads prompts.

    Attributes:
      prompt: the template that suits it, where `--prompt` names none.
      identity: what else of its options shapes its samples; equal identities, prompts and seeds
        give equal samples on one machine.
    """

    prompt: str

    @property
    def identity(self) -> Mapping[str, str | int | float]: ...


@runtime_checkable
class Preparer(Proposer, Protocol):
    """A proposer that is told what it will be asked, so that it can begin with all of it."""

    def prepare(
        self, asked: Sequence[tuple[records.Request, str]], slot: slots.Slot, seed: int
    ) -> None:
        """Takes in the requests of a round that were not answered yet, each with its prompt.

        `propose` is then called for each of them, in order.

        Raises:
          Stopped: they are to be answered outside, and the run goes on when they are.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Lesson:
    """A program to learn from.

    Attributes:
      prompt: what was asked.
      parents: sources of the programs that the prompt shows, in order.
      source: the program that came of it.
      counts: parameters of the models with each parent and with the program, in this order; none
        where they are not known.
      changes: what was changed, a line each, as the reply said it; none where it did not.
    """

    prompt: str
    parents: tuple[str, ...]
    source: str
    counts: tuple[float, ...] = ()
    changes: tuple[str, ...] = ()


@runtime_checkable
class Tuner(Proposer, Protocol):
    """A proposer that can learn from the programs of each round.

    Attributes:
      tunes: whether it does.
    """

    @property
    def tunes(self) -> bool: ...

    def tune(self, step: int, lessons: Sequence[Lesson], slot: slots.Slot, seed: int) -> None:
        """Learns from programs; a step that was taken before is only read again.

        Args:
          step: number of the round, from 1.
          lessons: the programs; none leaves the proposer as it is.
          slot: what the programs define.
          seed: the run's seed; every draw depends on it and on the step, and on nothing else.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A reply that is sent back.

    Attributes:
      request: what was asked.
      sample: which reply to the request, from 0.
      attempt: which time it is sent back, from 0.
      prompt: what to ask now: the reply with the reason why it was refused.
      programs: sources that edits in the answer may apply to, in order.
    """

    request: records.Request
    sample: int
    attempt: int
    prompt: str
    programs: tuple[str, ...]


@runtime_checkable
class Repairer(Proposer, Protocol):
    """A proposer that can mend a reply, when told why it was refused."""

    def repair(
        self, refusals: Sequence[Refusal], slot: slots.Slot, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns one proposal for each refusal, in order; draws are keyed as in `propose`."""
        ...
