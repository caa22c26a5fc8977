"""The grammar on design slots: edits of the choices themselves, without any syntax tree.

What an edit means comes from `TRAITS`: how many parameters the options of a space have, and which
of them are a skip, a pool, nothing at all, or the same layer in another width or kernel size.
Kinds that also exist for code (`edits.KINDS`) have the same names.
"""

import dataclasses
import functools
import itertools
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from evo_clrs import records
from evo_clrs.spaces import Choices, Place, Space

# How often a proposal is made by one, two and three edits, of designs and of code.
EDIT_COUNTS: Mapping[int, float] = {1: 0.45, 2: 0.35, 3: 0.2}

# Kinds of edits and how often each is drawn, relative to the others. A space has those of the
# first eight that its traits give a meaning, and all of the others.
KINDS: Mapping[str, float] = {
    "grow": 1.0,  # an option with more parameters
    "shrink": 1.0,  # an option with fewer parameters
    "depth": 1.0,  # an option with parameters in place of one without, or the other way round
    "width": 1.0,  # an option of another width
    "kernel": 1.0,  # an option of another kernel size
    "residual": 1.0,  # a skip connection
    "pooling": 1.0,  # an option that pools
    "remove": 1.0,  # nothing
    "replace": 3.0,  # any other option
    "swap": 1.0,  # two places exchange their options
    "crossover": 2.0,  # places of another parent
}
_AT_TWO_PLACES = ("swap", "crossover")
_TRIES = 20


@dataclasses.dataclass(frozen=True)
class Traits:
    """What the options of a space are, as far as edits ask.

    Attributes:
      parameters: number of parameters of each option, relative to the others.
      skips: options that pass their input on beside other paths.
      pools: options that pool.
      nothing: options that leave the place empty.
      widths: options that are the same layer in several widths.
      kernels: options that are the same layer with several kernel sizes.
    """

    parameters: Mapping[str, float]
    skips: frozenset[str] = frozenset()
    pools: frozenset[str] = frozenset()
    nothing: frozenset[str] = frozenset()
    widths: frozenset[str] = frozenset()
    kernels: frozenset[str] = frozenset()


# By name of the space. One without an entry has the kinds replace, swap and crossover.
TRAITS: Mapping[str, Traits] = {
    "nasbench201": Traits(
        # In units of channels squared: a kernel of 1 x 1 and one of 3 x 3.
        parameters={
            "none": 0,
            "skip_connect": 0,
            "avg_pool_3x3": 0,
            "nor_conv_1x1": 1,
            "nor_conv_3x3": 9,
        },
        skips=frozenset({"skip_connect"}),
        pools=frozenset({"avg_pool_3x3"}),
        nothing=frozenset({"none"}),
        kernels=frozenset({"nor_conv_1x1", "nor_conv_3x3"}),
    ),
    "nasbench_macro": Traits(
        # In units of channels squared: two 1 x 1 convolutions, to 3 or 6 times the width and back.
        parameters={"identity": 0, "mb3_k3": 6, "mb6_k5": 12},
        nothing=frozenset({"identity"}),
        widths=frozenset({"mb3_k3", "mb6_k5"}),
    ),
    "nats_sizes": Traits(
        parameters={f"channels_{width}": width for width in range(8, 65, 8)},
        widths=frozenset(f"channels_{width}" for width in range(8, 65, 8)),
    ),
}

# For each place and each option that may stand there now, the options that an edit may put there.
_Moves = tuple[tuple[Choices, ...], ...]


@dataclasses.dataclass(frozen=True)
class _Rules:
    """What a request allows in a space.

    Attributes:
      allowed: options allowed at each place.
      pairs: pairs of places that have the same options.
      moves: the edits of one place, by kind.
      weights: the kinds that the space has, with their weights.
    """

    allowed: tuple[Choices, ...]
    pairs: tuple[tuple[int, int], ...]
    moves: Mapping[str, _Moves]
    weights: Mapping[str, float]


def propose(
    request: records.Request, space: Space, generators: Iterable[random.Random]
) -> list[records.Proposal]:
    """Returns one design for each generator; see `Grammar` for what the operations do.

    Raises:
      ValueError: `request.allowed` does not belong to the space.
    """
    rules = _rules(space, request.allowed)
    named = {kind: rules.weights[kind] for kind in request.kinds if kind in rules.weights}
    designs, best = _parents(request, space)
    draw = _Draw(rules, named, designs, best)
    operation = _OPERATIONS[request.operation] if designs else _Draw.at_random
    proposals = []
    for rng in generators:
        choices, kinds = operation(draw, rng)
        proposals.append(records.Proposal(source=space.write(choices), edits=kinds))
    return proposals


def _parents(request: records.Request, space: Space) -> tuple[list[Choices], Choices]:
    """Returns the designs of all parents that read, without repeats, and the best of them.

    The best has the highest val_accuracy, of equals it is the last; a parent without one has the
    lowest.
    """
    found: list[tuple[Choices, float]] = []
    for parent in request.parents:
        try:
            choices = space.read(parent.source)
        except ValueError:
            continue
        found.append((choices, parent.metrics.get("val_accuracy", -math.inf)))
    best, _ = max(reversed(found), key=lambda pair: pair[1], default=((), 0.0))
    return list(dict.fromkeys(choices for choices, _ in found)), best


# A design with the kinds of edits that made it.
_Made = tuple[Choices, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class _Draw:
    """The operations of one request, each a function of a generator.

    Attributes:
      rules: what the request allows.
      named: the kinds that the request names, those that the space has; empty for all.
      designs: the parents.
      best: the best of them.
    """

    rules: _Rules
    named: Mapping[str, float]
    designs: Sequence[Choices]
    best: Choices

    def at_random(self, rng: random.Random) -> _Made:
        return tuple(map(rng.choice, self.rules.allowed)), ("random",)

    def mutate(self, rng: random.Random) -> _Made:
        """One place of the first parent changes, apart from those that were not allowed."""
        base = _moved_in(self.designs[0], self.rules, rng)
        named = {k: weight for k, weight in self.named.items() if k not in _AT_TWO_PLACES}
        for weights in (named, {"replace": 1.0}):
            made = _edited(base, (), self.rules, weights, rng)
            if made is not None:
                return made[0], (made[1],)
        return base, ()  # one option is allowed at each place

    def crossover(self, rng: random.Random) -> _Made:
        """Places of the first parent and of another one."""
        base, mates = self.designs[0], self.designs[1:]
        for _ in range(_TRIES):
            crossed = _crossed(base, mates, rng)
            if crossed is None:
                break
            choices = _moved_in(crossed, self.rules, rng)
            if choices not in self.designs:
                return choices, ("crossover",)
        return self.vary(rng)

    def vary(self, rng: random.Random) -> _Made:
        return self._varied(self.designs, rng)

    def improve(self, rng: random.Random) -> _Made:
        return self._varied([self.best], rng)

    def _varied(self, bases: Sequence[Choices], rng: random.Random) -> _Made:
        """One to three edits of one of the bases that come to none of the parents."""
        for weights in (self.named or self.rules.weights, self.rules.weights):
            for _ in range(_TRIES):
                base = rng.choice(bases)
                mates = [design for design in self.designs if design != base]
                choices = _moved_in(base, self.rules, rng)
                (count,) = rng.choices(list(EDIT_COUNTS), weights=list(EDIT_COUNTS.values()))
                kinds = []
                for _ in range(count):
                    made = _edited(choices, mates, self.rules, weights, rng)
                    if made is not None:
                        choices, kind = made
                        kinds.append(kind)
                if kinds and choices not in self.designs:
                    return choices, tuple(kinds)
        for _ in range(_TRIES):
            drawn = self.at_random(rng)
            if drawn[0] not in self.designs:
                break
        return drawn  # a parent only where hardly anything else is allowed


_OPERATIONS: Mapping[str, Callable[[_Draw, random.Random], _Made]] = {
    "vary": _Draw.vary,
    "mutate": _Draw.mutate,
    "crossover": _Draw.crossover,
    "improve": _Draw.improve,
    "random": _Draw.at_random,
}


def _edited(
    choices: Choices,
    mates: Sequence[Choices],
    rules: _Rules,
    weights: Mapping[str, float],
    rng: random.Random,
) -> tuple[Choices, str] | None:
    """Returns the design after one edit, with its kind; None where no kind finds anything to do."""
    left = dict(weights)
    while left:
        (kind,) = rng.choices(list(left), weights=list(left.values()))
        if kind == "crossover":
            after = _crossed(choices, mates, rng)
            after = after and _moved_in(after, rules, rng)
        elif kind == "swap":
            after = _swapped(choices, rules, rng)
        else:
            after = _moved(choices, rules.moves[kind], rng)
        if after is not None and after != choices:
            return after, kind
        del left[kind]
    return None


def _moved(choices: Choices, moves: _Moves, rng: random.Random) -> Choices | None:
    """Returns the design with another option at one place: place and option both uniform."""
    options = [at_place[choice] for at_place, choice in zip(moves, choices, strict=True)]
    places = [place for place, found in enumerate(options) if found]
    if not places:
        return None
    place = rng.choice(places)
    return (*choices[:place], rng.choice(options[place]), *choices[place + 1 :])


def _swapped(choices: Choices, rules: _Rules, rng: random.Random) -> Choices | None:
    """Returns the design with the options of two places exchanged, where both are allowed."""
    pairs = [
        (first, second)
        for first, second in rules.pairs
        if choices[first] != choices[second]
        and choices[first] in rules.allowed[second]
        and choices[second] in rules.allowed[first]
    ]
    if not pairs:
        return None
    first, second = rng.choice(pairs)
    after = list(choices)
    after[first], after[second] = choices[second], choices[first]
    return tuple(after)


def _crossed(choices: Choices, mates: Sequence[Choices], rng: random.Random) -> Choices | None:
    """Returns a design with places of both, one at least from each of those where they differ.

    All such designs of a mate are equally likely; mates that differ at fewer than two places have
    none.
    """
    for mate in rng.sample(mates, len(mates)):
        differ = [place for place, choice in enumerate(choices) if choice != mate[place]]
        if len(differ) >= 2:
            taken = rng.randrange(1, 2 ** len(differ) - 1)
            after = list(choices)
            for bit, place in enumerate(differ):
                if taken >> bit & 1:
                    after[place] = mate[place]
            return tuple(after)
    return None


def _moved_in(choices: Choices, rules: _Rules, rng: random.Random) -> Choices:
    """Returns the design with an allowed option, drawn uniformly, wherever its own is not."""
    return tuple(
        choice if choice in allowed else rng.choice(allowed)
        for choice, allowed in zip(choices, rules.allowed, strict=True)
    )


@functools.lru_cache(maxsize=256)
def _rules(space: Space, allowed: tuple[tuple[str, ...], ...]) -> _Rules:
    """Returns what a request allows; most requests of a run allow the same."""
    places = space.places
    numbers = _allowed_numbers(places, allowed)
    tests = _tests(TRAITS[space.name]) if space.name in TRAITS else {}
    tests["replace"] = lambda old, new: True
    moves = {}
    for kind, test in tests.items():
        moves[kind] = tuple(
            tuple(
                tuple(new for new in found if new != old and test(name, place.options[new]))
                for old, name in enumerate(place.options)
            )
            for place, found in zip(places, numbers, strict=True)
        )
    meant = {kind for kind, table in moves.items() if any(map(any, table))}
    weights = {k: weight for k, weight in KINDS.items() if k in meant or k in _AT_TWO_PLACES}
    pairs = tuple(
        (first, second)
        for first, second in itertools.combinations(range(len(places)), 2)
        if places[first].options == places[second].options
    )
    return _Rules(numbers, pairs, moves, weights)


def _allowed_numbers(
    places: tuple[Place, ...], allowed: tuple[tuple[str, ...], ...]
) -> tuple[Choices, ...]:
    if not allowed:
        return tuple(tuple(range(len(place.options))) for place in places)
    if len(allowed) != len(places):
        raise ValueError(f"allowed: expected {len(places)} places, got {len(allowed)}")
    for place, options in zip(places, allowed, strict=True):
        if not options or not set(options) <= set(place.options):
            raise ValueError(
                f"allowed: expected options of {place.name}, some of {', '.join(place.options)}; "
                f"got {', '.join(options) or 'none'}"
            )
    return tuple(
        tuple(number for number, name in enumerate(place.options) if name in options)
        for place, options in zip(places, allowed, strict=True)
    )


def _tests(traits: Traits) -> dict[str, Callable[[str, str], bool]]:
    """Returns for each kind whether it may put the second option in the place of the first."""
    size = traits.parameters
    return {
        "grow": lambda old, new: size[new] > size[old],
        "shrink": lambda old, new: size[new] < size[old],
        "depth": lambda old, new: (size[new] > 0) != (size[old] > 0),
        "width": lambda old, new: {old, new} <= traits.widths,
        "kernel": lambda old, new: {old, new} <= traits.kernels,
        "residual": lambda old, new: new in traits.skips,
        "pooling": lambda old, new: new in traits.pools,
        "remove": lambda old, new: new in traits.nothing,
    }
