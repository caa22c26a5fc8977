"""Random draws depend on their key and on nothing else."""

import pytest

from evo_clrs import randomness


def test_equal_keys_give_equal_draws():
    first = randomness.generator(3, "parents", 1, 2)
    second = randomness.generator(3, "parents", 1, 2)
    assert [first.random() for _ in range(5)] == [second.random() for _ in range(5)]


@pytest.mark.parametrize(
    "other",
    [(4, "parents", 1, 2), (3, "temperatures", 1, 2), (3, "parents", 2, 1), (3, "parents", 12)],
)
def test_any_part_of_the_key_changes_the_seed(other):
    assert randomness.seed_for(*other) != randomness.seed_for(3, "parents", 1, 2)


def test_seeds_fit_a_signed_64_bit_integer():
    seeds = [randomness.seed_for(0, "range", index) for index in range(1000)]
    assert min(seeds) >= 0 and max(seeds) < 2**63
    assert max(seeds) > 2**62  # the upper bits are used
    assert len(set(seeds)) == 1000


def test_seeds_stay_what_they_were():
    # Recorded runs depend on it. The number is what `printf 0:data | sha256sum` begins with.
    assert randomness.seed_for(0, "data") == 0xF5928D159A315A4E >> 1
