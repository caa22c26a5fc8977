"""Dimensions with symbols: sums of products such as `2*H`, `N*H/4` or `8`."""

import dataclasses
from collections.abc import Mapping
from fractions import Fraction


class Quotient(str):
    """A symbol for `dim // by` where that is no polynomial, e.g. `(1 + L/8)//2`."""

    dim: "Dim"
    by: int

    def __new__(cls, dim: "Dim", by: int) -> "Quotient":
        symbol = super().__new__(cls, f"({dim})//{by}")
        symbol.dim, symbol.by = dim, by
        return symbol


@dataclasses.dataclass(frozen=True)
class Dim:
    """A polynomial with rational coefficients over symbols such as N and H.

    A quotient such as `H // 4` is kept as `H/4`: symbols are taken to be divisible.

    Attributes:
      terms: sorted pairs of a product of symbols (sorted; empty for a plain number) and its
        coefficient, never zero.
    """

    terms: tuple[tuple[tuple[str, ...], Fraction], ...]

    @classmethod
    def of(cls, value: "int | str | Dim") -> "Dim":
        """Returns the dimension of a number, of a symbol `"H"`, or of a multiple `"2H"`."""
        if isinstance(value, Dim):
            return value
        if isinstance(value, int):
            return _collect({(): Fraction(value)})
        if isinstance(value, Quotient):
            return _collect({(value,): Fraction(1)})
        digits = value[: len(value) - len(value.lstrip("0123456789"))]
        return _collect({(value[len(digits) :],): Fraction(int(digits or 1))})

    @property
    def number(self) -> int | None:
        """Its value if it holds no symbol and is whole, else None."""
        if not self.terms:
            return 0
        (symbols, value), *rest = self.terms
        return int(value) if not rest and not symbols and value.denominator == 1 else None

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols it depends on."""
        return frozenset(symbol for product, _ in self.terms for symbol in product)

    def at(self, sizes: Mapping[str, int]) -> Fraction:
        """Returns its value where each symbol has the size given."""
        total = Fraction(0)
        for product, value in self.terms:
            for symbol in product:
                if isinstance(symbol, Quotient) and symbol not in sizes:
                    value *= symbol.dim.at(sizes) // symbol.by
                else:
                    value *= sizes[symbol]
            total += value
        return total

    def floor(self, by: int, unit: int = 8) -> "Dim":
        """Returns the whole quotient by a number, if `unit` divides every symbol but quotients."""
        exact: dict[tuple[str, ...], Fraction] = {}
        rest: dict[tuple[str, ...], Fraction] = {}
        for product, value in self.terms:
            known = 1 if any(isinstance(symbol, Quotient) for symbol in product) else unit
            fits = product and (value * known / by).denominator == 1
            (exact if fits else rest)[product] = value
        left = _collect(rest)
        whole = _collect({product: value / by for product, value in exact.items()})
        if left.number is not None:
            return whole + Dim.of(left.number // by)
        return whole + Dim.of(Quotient(left, by))

    def divisible(self, by: int, unit: int = 8) -> bool:
        """Whether `by` divides it, if `unit` divides every symbol."""
        return bool(self.terms) and all(
            (value * (unit if product else 1) / by).denominator == 1
            for product, value in self.terms
        )

    def __add__(self, other: "Dim") -> "Dim":
        total = dict(self.terms)
        for product, value in other.terms:
            total[product] = total.get(product, Fraction(0)) + value
        return _collect(total)

    def __sub__(self, other: "Dim") -> "Dim":
        return self + other * Dim.of(-1)

    def __mul__(self, other: "Dim") -> "Dim":
        total: dict[tuple[str, ...], Fraction] = {}
        for left, a in self.terms:
            for right, b in other.terms:
                product = tuple(sorted(left + right))
                total[product] = total.get(product, Fraction(0)) + a * b
        return _collect(total)

    def over(self, other: "Dim") -> "Dim | None":
        """Returns the quotient by a dimension of one term, None if it is not a polynomial."""
        if len(other.terms) != 1:
            return None
        ((divisor, b),) = other.terms
        total = {}
        for product, a in self.terms:
            rest = list(product)
            for symbol in divisor:
                if symbol not in rest:
                    return None
                rest.remove(symbol)
            total[tuple(rest)] = a / b
        if not any(total) and not divisor and total:
            total[()] = Fraction(total[()].numerator // total[()].denominator)
        return _collect(total)

    def __str__(self) -> str:
        def term(product: tuple[str, ...], value: Fraction) -> str:
            names = "*".join(product)
            return names if value == 1 and names else "*".join(filter(None, [str(value), names]))

        return " + ".join(term(*entry) for entry in self.terms) or "0"


def _collect(total: Mapping[tuple[str, ...], Fraction]) -> Dim:
    return Dim(tuple(sorted((product, value) for product, value in total.items() if value)))


ONE = Dim.of(1)
