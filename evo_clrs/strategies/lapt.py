"""LAPT: design principles learnt from one task narrow the search on another.

References: Zhou et al., "Design Principle Transfer in Neural Architecture Search via Large Language
Models", AAAI 2025, https://arxiv.org/abs/2408.11330.
"""

import collections
import dataclasses
import math
from collections.abc import Sequence

from evo_clrs.errors import UserError
from evo_clrs.randomness import generator
from evo_clrs.records import Candidate, Parent, Request
from evo_clrs.strategies import principles
from evo_clrs.strategies.base import Budget, Turns, as_parent, fitness, fittest, is_scored
from evo_clrs.strategies.principles import Kept, Lessons

WAYS = ("auto", "words", "histogram")


@dataclasses.dataclass(frozen=True)
class Options(Budget):
    """Options of LAPT; the defaults are the paper's for NAS-Bench-201.

    Attributes:
      source: table of another task whose best designs the principles are learnt from.
      source_top: how many of its best designs are looked at.
      population: how many of the last designs are parents.
      tournament: how many different ones of them are drawn, for the fittest to be the parent.
      options_per_place: at most so many options are kept at each place; 0 for no limit.
      adapt_after: after how many designs the principles are looked at again; empty for never.
      adapt_top: how many of the best designs are shown then.
      histogram_count: without a language model, an option is kept if so many of the source's best
        designs have it at its place.
      principles: `words` of a language model; `histogram`, the control without one, which asks for
        no words and adapts nothing; or `auto`, words where there are any, else the histogram.
      principles_temperature: sampling temperature of the words.
      temperature: sampling temperature of designs.

    Raises:
      UserError: an option is out of range; the message names it.
    """

    rounds: int = 20
    prompts_per_round: int = 1
    samples_per_prompt: int = 1
    source: str = ""
    source_top: int = 50
    population: int = 5
    tournament: int = 2
    options_per_place: int = 2
    adapt_after: tuple[int, ...] = (10, 15)
    adapt_top: int = 5
    histogram_count: int = 10
    principles: str = "auto"
    principles_temperature: float = 0.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("source_top", "population", "tournament", "adapt_top", "histogram_count"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("options_per_place", "principles_temperature", "temperature"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise UserError(f"--{name} must be 0 or more, got {getattr(self, name)}")
        if self.tournament > self.population:
            raise UserError(
                f"--tournament must be at most --population ({self.population}), "
                f"got {self.tournament}"
            )
        rising = sorted({0, *self.adapt_after}) == [0, *self.adapt_after]
        if not rising:
            told = ",".join(map(str, self.adapt_after))
            raise UserError(f"--adapt_after must be rising numbers above zero, got {told}")
        if self.principles not in WAYS:
            raise UserError(
                f"--principles must be one of {', '.join(WAYS)}, got {self.principles!r}"
            )


# What the requests for principles say beside the designs they show.
LIMIT = "Keep at most {limit} options at each place."
IMPROVED = """\
A search under the principles below found these designs on its task, and its best has improved \
since they were stated. Update the principles by what these designs show."""
NOT_IMPROVED = """\
A search under the principles below found these designs on its task, but its best has not \
improved since they were stated. Update the principles, and keep other options where these may \
have misled."""
BEFORE = """\
The principles so far:

{principles}"""


class Lapt(Turns):
    """The LAPT search, see `strategies.base.Learner` for the contract.

    First the source's best designs are shown, for principles in words and the options to keep at
    each place. Then regularised evolution runs within these options: designs at random until the
    population is full, then mutations of the fittest of a tournament; the oldest leaves. Whenever
    `adapt_after` says so, the best designs of this search are shown and the principles updated:
    by what they show if the best has improved since the last look (at first: since the population
    was full), and else by asking for other options.

    Without a language model, by these rules:
      learning: at each place the options that at least `histogram_count` of the source's best
        designs have, most frequent first, at most `options_per_place`; the most frequent if none
        has.
      improved: at each place the options that the best designs shown have.
      not improved: each place with room takes in the source's most frequent option not yet kept.
    """

    without_language_model = "principles are counted from the best designs shown, not read"

    def __init__(self, options: Options, seed: int):
        super().__init__(seed, seeds_in_history=False)
        if not options.source:
            raise UserError(
                "lapt learns from the table of another task: give --source=FILE, "
                "not the table that is searched"
            )
        self.options = options
        self._taught: Lessons | None = None
        self._kept: Kept = ()
        self._principles = ""
        self._looked_at = [0]  # how many children had been told when principles were asked for
        self._born: list[Candidate] = []
        self._alive: collections.deque[Candidate] = collections.deque(maxlen=options.population)

    @property
    def source(self) -> str:
        """The table that is learnt from."""
        return self.options.source

    @property
    def source_top(self) -> int:
        """How many of its best designs are looked at."""
        return self.options.source_top

    @property
    def principles(self) -> str:
        """The principles in force: words if there are any, the rule, and the options it keeps."""
        return self._principles

    @property
    def kept(self) -> Kept:
        """The options that the search may use, place by place; empty before the first words."""
        return self._kept

    @property
    def finished(self) -> bool:
        """Whether all rounds have been told."""
        return self.round >= self.options.rounds

    @property
    def children(self) -> int:
        """How many designs are asked for."""
        return self.options.children

    def population(self) -> Sequence[Candidate]:
        """Returns the last designs scored, oldest first."""
        return tuple(self._alive)

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Takes in the children of a round, see `Strategy.tell`; seeds play no part."""
        if self._asks_principles:
            raise RuntimeError("tell called while principles were asked for: call learn")
        super().tell(candidates)

    def teach(self, examples: Sequence[Parent]) -> None:
        """Takes in the best designs of the source, see `strategies.base.Learner`.

        Raises:
          UserError: there are none, or they are not designs of one space.
        """
        self._taught = principles.read_lessons(examples)

    def learn(self, replies: Sequence[str]) -> None:
        """Takes in words on what to keep, see `strategies.base.Learner`.

        Raises:
          RuntimeError: no words were asked for.
          UserError: words must be used and none can be.
        """
        if not self._asks_principles:
            raise RuntimeError("learn called without asking for principles")
        request = self._waiting.popleft()
        why_not = "none was asked"
        for reply in replies:
            try:
                limit = self.options.options_per_place
                kept = principles.read_kept(reply, self._lessons.space, limit)
            except ValueError as error:
                why_not = str(error)
                continue
            self._keep(kept, "by the words above", reply.strip())
            return
        if self.options.principles == "words":
            raise UserError(
                f"the reply on principles cannot be used, {why_not}: choose a language model with "
                "--lm, or --principles=auto for a rule without one"
            )
        kept, rule = self._by_rule(request.parents)
        self._keep(kept, rule, f"No words of a language model were used: {why_not}.")

    @property
    def _asks_principles(self) -> bool:
        return bool(self._waiting) and self._waiting[0].operation == "principles"

    @property
    def _lessons(self) -> Lessons:
        if self._taught is None:
            raise RuntimeError("called before the strategy was taught")
        return self._taught

    def _requests(self) -> Sequence[Request]:
        if self._look_is_due():
            self._looked_at.append(len(self._born))
            return [self._ask_principles()]
        return [self._ask(position) for position in range(self.options.prompts_per_round)]

    def _take(self, children: Sequence[Candidate]) -> None:
        self._born.extend(children)
        self._alive.extend(filter(is_scored, children))

    # Principles.

    def _look_is_due(self) -> bool:
        if not self._kept:
            return True
        if self.options.principles == "histogram":
            return False
        last = self._looked_at[-1]
        return any(last < number <= len(self._born) for number in self.options.adapt_after)

    def _ask_principles(self) -> Request:
        """Asks for words; the control asks for none, so that what it keeps is recorded alike."""
        limit = self.options.options_per_place
        shown = self._lessons.examples
        parts = [LIMIT.format(limit=limit)] if limit else []
        if self._kept:
            shown = tuple(map(as_parent, self._best_born()))
            before = BEFORE.format(principles=self._principles)
            parts = [IMPROVED if self._improved() else NOT_IMPROVED, before, *parts]
        words = 0 if self.options.principles == "histogram" else 1
        return Request(
            index=self.next_index(),
            round=self.round,
            parents=shown,
            targets={},
            temperatures=(self.options.principles_temperature,) * words,
            instruction="\n\n".join(parts),
            operation="principles",
        )

    def _best_born(self) -> Sequence[Candidate]:
        """Returns the best children so far, each design once."""
        first = {child.program: child for child in reversed(self._born) if is_scored(child)}
        return fittest(list(first.values()), self.options.adapt_top)

    def _improved(self) -> bool:
        """Whether the best has improved since the look before this one, or since the first ones."""
        before = self._looked_at[-2] or self.options.population
        return _highest(self._born) > _highest(self._born[:before])

    def _by_rule(self, shown: Sequence[Parent]) -> tuple[Kept, str]:
        """Returns what to keep without a language model, and by which rule, in words."""
        space, counts = self._lessons.space, self._lessons.counts
        limit, least = self.options.options_per_place, self.options.histogram_count
        if not self._kept:
            rule = f"by the histogram: what at least {least} of {len(shown)} designs have"
            return principles.frequent(counts, space, least, limit), rule
        if self._improved():
            kept = principles.frequent(principles.count(shown, space), space, 1, limit)
            return kept, f"since the best improved: what the {len(shown)} best designs have"
        rule = "since the best did not improve: one option more of the source where there is room"
        return principles.widened(self._kept, counts, space, limit), rule

    def _keep(self, kept: Kept, rule: str, words: str) -> None:
        self._kept = kept
        when = f"After {len(self._born)} designs" if self._born else "Learnt from the source"
        lines = principles.in_words(kept, self._lessons.space)
        self._principles = f"{words}\n\n{when}, kept {rule}.\n{lines}"

    # Designs.

    def _ask(self, position: int) -> Request:
        options = self.options
        parents: tuple[Parent, ...] = ()
        if len(self._alive) == options.population:
            draw = generator(self.seed, "tournament", self.round, position)
            rivals = draw.sample(list(self._alive), options.tournament)
            parents = (as_parent(fittest(rivals, 1)[0]),)
        return Request(
            index=self.next_index(position),
            round=self.round,
            parents=parents,
            targets={},
            temperatures=(options.temperature,) * options.samples_per_prompt,
            operation="mutate" if parents else "random",
            allowed=self._kept,
        )


def _highest(children: Sequence[Candidate]) -> float:
    return max(map(fitness, filter(is_scored, children)), default=-math.inf)
