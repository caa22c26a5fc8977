from fractions import Fraction

import pytest

from evo_clrs.proposers.grammar.dims import Dim

H, N = Dim.of("H"), Dim.of("N")


def test_sums_and_products_are_polynomials():
    assert Dim.of("2H") == H + H
    assert (H + N) * (H - N) == H * H - N * N
    assert Dim.of(0) == H - H
    assert str(Dim.of("2H") + N) == "2*H + N"


def test_a_quotient_times_its_divisor_is_the_dimension_again():
    quarter = H.over(Dim.of(4))
    assert quarter is not None
    assert quarter * Dim.of(4) == H
    assert (N * H).over(H) == N
    assert N.over(H) is None


def test_whole_numbers_divide_as_in_python():
    assert Dim.of(7).over(Dim.of(2)) == Dim.of(3)


@pytest.mark.parametrize("dim, number", [(Dim.of(8), 8), (H, None), (H - H, 0)])
def test_number_is_known_without_symbols(dim, number):
    assert dim.number == number


def test_value_at_sizes():
    assert (Dim.of("2H") * N + Dim.of(1)).at({"H": 3, "N": 5}) == Fraction(31)


def test_symbols_are_taken_to_be_multiples_of_eight():
    assert H.divisible(4)
    assert not H.divisible(16)
    assert not Dim.of(6).divisible(4)
