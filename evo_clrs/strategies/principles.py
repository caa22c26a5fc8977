"""What good designs have in common: from the reply of a language model, or by counting.

Either way it comes down to the options that a search should keep at each place of a design space.

References: Zhou et al., "Design Principle Transfer in Neural Architecture Search via Large Language
Models", AAAI 2025, https://arxiv.org/abs/2408.11330.
"""

import collections
import dataclasses
import re
from collections.abc import Mapping, Sequence

from evo_clrs import spaces
from evo_clrs.errors import UserError
from evo_clrs.records import Parent

# Options to keep, place by place and in the order of the space, as in `Request.allowed`.
Kept = tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True)
class Lessons:
    """Designs to learn from.

    Attributes:
      space: the space that they belong to.
      examples: the designs, best first, as a proposer is shown them.
      counts: for each place how many of them have each option, as of `count`.
    """

    space: spaces.Space
    examples: tuple[Parent, ...]
    counts: tuple[Mapping[str, int], ...]


def read_lessons(examples: Sequence[Parent]) -> Lessons:
    """Returns designs to learn from, with the space that all of them belong to.

    Raises:
      UserError: there are none, or they are not designs of one space.
    """
    if not examples:
        raise UserError("there is nothing to learn from: --source holds no designs")
    for space in spaces.SPACES.values():
        try:
            return Lessons(space, tuple(examples), count(examples, space))
        except ValueError:
            continue
    raise UserError(
        "principles are learnt from designs, and --source gives none of one space: choose a "
        f"problem with a design space ({', '.join(spaces.SPACES)})"
    )


def count(designs: Sequence[Parent], space: spaces.Space) -> tuple[Mapping[str, int], ...]:
    """Returns how many designs have each option, place by place, most frequent first.

    Options that none of them has are left out; ties go to the option that comes first in the space.

    Raises:
      ValueError: a design does not belong to the space.
    """
    read = [space.read(design.source) for design in designs]
    counts = []
    for number, place in enumerate(space.places):
        chosen = collections.Counter(choices[number] for choices in read)
        ranked = sorted(chosen, key=lambda option: (-chosen[option], option))
        counts.append({place.options[option]: chosen[option] for option in ranked})
    return tuple(counts)


def frequent(
    counts: Sequence[Mapping[str, int]], space: spaces.Space, least: int, limit: int = 0
) -> Kept:
    """Returns the options that at least so many designs have, the most frequent one in any case.

    Args:
      counts: how many designs have each option, as of `count`.
      space: the space of the designs.
      least: an option is kept if so many designs have it.
      limit: at most so many options are kept at a place, the most frequent; 0 for any number.
    """
    kept = [[o for o in place if place[o] >= least] or list(place)[:1] for place in counts]
    return in_order([options[: limit or None] for options in kept], space)


def widened(
    kept: Kept, counts: Sequence[Mapping[str, int]], space: spaces.Space, limit: int = 0
) -> Kept:
    """Returns what is kept and, at each place with room, the most frequent option that is not.

    Args:
      kept: options kept so far.
      counts: how many designs have each option, as of `count`.
      space: the space of the designs.
      limit: a place with so many options has no room; 0 for always.
    """
    wider = []
    for options, place in zip(kept, counts, strict=True):
        others = [option for option in place if option not in options]
        room = not limit or len(options) < limit
        wider.append([*options, *(others[:1] if room else [])])
    return in_order(wider, space)


def read_kept(reply: str, space: spaces.Space, limit: int = 0) -> Kept:
    """Returns the options that a reply keeps.

    The reply names each place on a line of its own, `PLACE: OPTION, OPTION`, in any order and with
    any words, bullets, numbers, quotes or fences around the lines. Where a place is named more than
    once the last line counts.

    Args:
      reply: text of a language model.
      space: the space of the designs.
      limit: at most so many options may be kept at a place; 0 for any number.

    Raises:
      ValueError: the reply is empty, leaves out a place, or keeps no, too many or unknown options.
    """
    if not reply.strip():
        raise ValueError("the reply is empty")
    kept = []
    for place in space.places:
        line = rf"^[^\w\n]*(?:\d+[^\w\n]+)?{re.escape(place.name)}[^\w\n]*?:(.*)$"
        lines = re.findall(line, reply, flags=re.IGNORECASE | re.MULTILINE)
        if not lines:
            raise ValueError(f"it has no line `{place.name}: OPTION, OPTION`")
        options = [word for word in re.findall(r"\w+", lines[-1]) if word.lower() != "and"]
        options = list(dict.fromkeys(options))
        unknown = [option for option in options if option not in place.options]
        if unknown:
            raise ValueError(f"{place.name} has no option {unknown[0]}")
        if not options:
            raise ValueError(f"it keeps no option at {place.name}")
        if limit and len(options) > limit:
            raise ValueError(f"it keeps {len(options)} options of at most {limit} at {place.name}")
        kept.append(options)
    return in_order(kept, space)


def in_words(kept: Kept, space: spaces.Space) -> str:
    """Returns the lines that `read_kept` reads."""
    pairs = zip(space.places, kept, strict=True)
    return "\n".join(f"{place.name}: {', '.join(options)}" for place, options in pairs)


def in_order(kept: Sequence[Sequence[str]], space: spaces.Space) -> Kept:
    """Returns options in the order of the space, so that equal choices are written alike."""
    return tuple(
        tuple(option for option in place.options if option in options)
        for place, options in zip(space.places, kept, strict=True)
    )
