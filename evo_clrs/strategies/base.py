"""What every strategy offers, and the order of calls, kept once for all of them."""

import collections
import dataclasses
import heapq
import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from evo_clrs.errors import UserError
from evo_clrs.records import Candidate, Parent, Request


class Strategy(Protocol):
    """Decides what to ask for and who survives; knows neither JAX nor language models.

    The order of calls is `tell(seeds)`, then `ask()` and `tell(children)` in turn until `ask`
    returns nothing; any other order raises RuntimeError. The state is a pure function of options,
    seed and what was told, so a run is resumed by telling the recorded candidates again.
    """

    @property
    def finished(self) -> bool:
        """Whether nothing more will be asked for."""
        ...

    @property
    def children(self) -> int:
        """How many children the whole search asks for, for telling how far it is."""
        ...

    def ask(self) -> Sequence[Request]:
        """Returns the requests of the next round, empty when the search is finished.

        Raises:
          RuntimeError: the candidates of the last round have not been told yet.
        """
        ...

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Takes in all candidates of the round with their evaluations, in the order asked.

        The first call takes the seeds. Candidates without an evaluation count as rejected.

        Raises:
          RuntimeError: nothing was asked since the last call.
          ValueError: a candidate does not answer one of the requests of this round.
          UserError: there is nothing to search from, since no seed was scored.
        """
        ...

    def population(self) -> Sequence[Candidate]:
        """Returns the programs that the next requests draw from; the survivors at the end."""
        ...

    def best(self, count: int = 1) -> Sequence[Candidate]:
        """Returns up to `count` of the best candidates of the search so far, best first."""
        ...

    def tuning_set(self) -> Sequence[Candidate]:
        """Returns the children of the last round that a language model should be tuned on."""
        ...


@runtime_checkable
class Steady(Strategy, Protocol):
    """A strategy that can be asked for one request while others are under way.

    In the steady schedule `ask_one` and `tell_one` take the place of `ask` and `tell` after the
    seeds: `tell_one` always answers the oldest request that was not answered yet.
    """

    def ask_one(self) -> Request | None:
        """Returns the next request, None when nothing more is to be asked for."""
        ...

    def tell_one(self, candidates: Sequence[Candidate]) -> None:
        """Takes in the candidates of the oldest request under way."""
        ...


@runtime_checkable
class Islander(Steady, Protocol):
    """A strategy that can take in candidates of another population, see `strategies.islands`."""

    def immigrate(self, candidates: Sequence[Candidate]) -> None:
        """Takes in migrants between two rounds or requests, as if they had been bred here."""
        ...


@runtime_checkable
class Learner(Strategy, Protocol):
    """A strategy that learns principles in words, see `strategies.lapt`.

    A round of such a strategy may be a single request with operation `principles`: its reply is
    told to `learn` and not to `tell`, and no candidates come of it.
    """

    @property
    def source(self) -> str:
        """The file that holds what is learnt from before the search, empty for none."""
        ...

    @property
    def source_top(self) -> int:
        """How many of its best designs are looked at."""
        ...

    @property
    def principles(self) -> str:
        """What it has learnt so far, in words."""
        ...

    def teach(self, examples: Sequence[Parent]) -> None:
        """Takes in the best designs of the source, best first; called once, before `tell`."""
        ...

    def learn(self, replies: Sequence[str]) -> None:
        """Takes in the replies to the request for principles; an empty one says nothing."""
        ...


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much a search asks for: the same three numbers for every strategy.

    Attributes:
      rounds: rounds of the search.
      prompts_per_round: requests in each round.
      samples_per_prompt: children asked for with each request.

    Raises:
      UserError: a number, here or in a strategy's own options, is not above zero.
    """

    rounds: int = 10
    prompts_per_round: int = 10
    samples_per_prompt: int = 16

    def __post_init__(self) -> None:
        for name in ("rounds", "prompts_per_round", "samples_per_prompt"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} must be 1 or more, got {getattr(self, name)}")

    @property
    def children(self) -> int:
        """Children asked for in all."""
        return self.rounds * self.prompts_per_round * self.samples_per_prompt


class Turns:
    """Base of the strategies: the order of calls, the numbers of requests, and who was best.

    A strategy overrides `_begin`, `_requests` and `_take`; one that can be steady also `_request`.

    Attributes:
      round: rounds told so far.
      scored: everything scored so far, in the order told; seeds first, if they belong to it.
    """

    def __init__(self, seed: int, seeds_in_history: bool = True):
        """Begins with nothing told.

        Args:
          seed: the run's seed.
          seeds_in_history: whether the seeds count among `scored`, and may be `best`.
        """
        self.seed = seed
        self._seeds_in_history = seeds_in_history
        self.round = 0
        self.scored: list[Candidate] = []
        self._begun = False
        self._asked = 0  # requests so far; the next one has this index
        self._waiting: collections.deque[Request] = collections.deque()

    # What a strategy fills in.

    @property
    def finished(self) -> bool:
        """Whether nothing more will be asked for."""
        raise NotImplementedError

    def _begin(self, seeds: Sequence[Candidate]) -> None:
        """Takes in the seeds that were scored: at least one, unless there were no seeds at all."""

    def _requests(self) -> Sequence[Request]:
        """Returns the requests of the next round, numbered by `self.next_index(position)`."""
        raise NotImplementedError

    def _request(self) -> Request | None:
        """Returns one more request for the steady schedule, numbered by `self.next_index()`.

        A strategy that leaves this out goes by rounds only.

        Raises:
          UserError: it cannot go steadily.
        """
        raise UserError("this strategy goes by rounds: leave out --schedule=steady")

    def _take(self, children: Sequence[Candidate]) -> None:
        """Takes in children with or without a score, in the order asked."""
        raise NotImplementedError

    # The order of calls.

    def next_index(self, position: int = 0) -> int:
        """Returns the index of the request at this position of the round to be asked."""
        return self._asked + position

    @property
    def told(self) -> int:
        """How many requests were told, in `_take` those being told among them."""
        return self._asked - len(self._waiting)

    @property
    def under_way(self) -> Sequence[Request]:
        """Requests that were asked and not told yet, oldest first."""
        return tuple(self._waiting)

    def ask(self) -> Sequence[Request]:
        """Returns the requests of the next round, see `Strategy.ask`."""
        self._expect_begun()
        if self._waiting:
            raise RuntimeError(f"ask called again before round {self.round} was told")
        requests = () if self.finished else self._requests()
        self._note(requests)
        return requests

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Takes in the seeds or the children of a round, see `Strategy.tell`."""
        if not self._begun:
            seeds = [seed for seed in candidates if is_scored(seed)]
            if candidates and not seeds:
                raise no_seed(candidates)
            if self._seeds_in_history:
                self.scored.extend(seeds)
            self._begin(seeds)
            self._begun = True
            return
        if not self._waiting:
            raise RuntimeError("tell called without asking first")
        check_answers(candidates, self._waiting)
        self._waiting.clear()
        self.scored.extend(filter(is_scored, candidates))
        self.round += 1
        self._take(candidates)

    def ask_one(self) -> Request | None:
        """Returns the next request, see `Steady.ask_one`."""
        self._expect_begun()
        request = self._request()
        if request is not None:
            self._note([request])
        return request

    def tell_one(self, candidates: Sequence[Candidate]) -> None:
        """Takes in the children of the oldest request, see `Steady.tell_one`."""
        if not self._waiting:
            raise RuntimeError("tell_one called without asking first")
        check_answers(candidates, [self._waiting[0]])
        self._waiting.popleft()
        self.scored.extend(filter(is_scored, candidates))
        self._take(candidates)

    def _note(self, requests: Sequence[Request]) -> None:
        for position, request in enumerate(requests):
            assert request.index == self.next_index(position)
        self._asked += len(requests)
        self._waiting.extend(requests)

    def _expect_begun(self) -> None:
        if not self._begun:
            raise RuntimeError("ask called before the seeds were told")

    # What is the same for most.

    def best(self, count: int = 1) -> Sequence[Candidate]:
        """Returns up to `count` of the fittest candidates scored, fittest first."""
        return tuple(fittest(self.scored, count))

    def tuning_set(self) -> Sequence[Candidate]:
        """Returns nothing: most strategies tune no language model."""
        return ()


def goes_steadily(strategy: Strategy) -> bool:
    """Whether a strategy can be asked for one request at a time, see `Steady`."""
    if isinstance(strategy, Turns):
        return type(strategy)._request is not Turns._request
    return isinstance(strategy, Steady)


def check_answers(candidates: Sequence[Candidate], asked: Sequence[Request]) -> None:
    """Raises ValueError unless the candidates answer these requests in order, each at most once."""
    samples = {request.index: request.samples for request in asked}
    places = [(candidate.request, candidate.sample) for candidate in candidates]
    for request, sample in places:
        if request is None or request not in samples or sample >= samples[request]:
            raise ValueError(
                f"expected answers to requests {min(samples)} to {max(samples)}, got sample "
                f"{sample} of request {request}"
            )
    if any(first >= second for first, second in zip(places, places[1:], strict=False)):
        raise ValueError("expected candidates in the order asked, each once")


def is_scored(candidate: Candidate) -> bool:
    """Whether a candidate has a score that can be compared."""
    evaluation = candidate.evaluation
    return evaluation is not None and evaluation.scored and math.isfinite(fitness(candidate))


def fitness(candidate: Candidate) -> float:
    """Returns the fitness of a scored candidate."""
    assert candidate.evaluation is not None
    return candidate.evaluation.metrics["fitness"]


def metric(candidate: Candidate, name: str) -> float:
    """Returns a metric of a scored candidate.

    Raises:
      UserError: the problem does not measure it.
    """
    assert candidate.evaluation is not None
    metrics = candidate.evaluation.metrics
    if name not in metrics:
        known = ", ".join(sorted(metrics))
        raise UserError(f"there is no metric {name!r} on this problem: choose from {known}")
    return metrics[name]


def rank(candidate: Candidate) -> tuple[float, int]:
    """Returns what sorts scored candidates, fittest first; ties go to the earlier one."""
    return -fitness(candidate), candidate.index


def fittest(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Returns the fittest, fittest first, see `rank`."""
    return heapq.nsmallest(count, candidates, key=rank)


def no_seed(seeds: Sequence[Candidate]) -> UserError:
    """Returns the error of a search that has nothing to start from, with the reasons."""
    if not seeds:
        return UserError("this strategy starts from seeds: name one or more with --seeds")
    reasons = {seed.evaluation.reason for seed in seeds if seed.evaluation is not None}
    why = "; ".join(sorted(reason for reason in reasons if reason)[:3])
    return UserError(f"no seed could be scored{': ' + why if why else ''}")


def as_parent(candidate: Candidate) -> Parent:
    """Returns a scored candidate as a proposer is shown it."""
    assert candidate.evaluation is not None
    metrics = candidate.evaluation.metrics
    shown = {
        "num_params": int(metrics["num_params"]),
        "val_accuracy": float(metrics["val_accuracy"]),
    }
    return Parent(candidate.program, candidate.source, shown)
