"""Random draws keyed by (seed, purpose, indices): no generator lives across calls."""

import hashlib
import random


def seed_for(seed: int, purpose: str, *indices: int) -> int:
    """Returns a 63-bit seed that depends on all arguments and on nothing else.

    Args:
      seed: the run's seed.
      purpose: what the draw is for, e.g. `"parents"`; different purposes are independent.
      *indices: position of the draw, e.g. round and request number.
    """
    text = ":".join([str(seed), purpose, *map(str, indices)])
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, *indices: int) -> random.Random:
    """Returns a fresh generator seeded by `seed_for`; draw what is needed and let it go."""
    return random.Random(seed_for(seed, purpose, *indices))
