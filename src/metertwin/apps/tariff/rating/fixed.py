"""Columns of exact decimals: whole numbers with a common number of digits behind the point.

A bill is exact or it is wrong, and a fleet's bills must not cost a Python object per amount. So a
column holds int64 as long as nothing can overflow, and Python integers from there on: each step
bounds its result before it computes it. A bound is carried from step to step, and the values are
looked at only where it would not do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metertwin.core.money import Rounding, RoundingMode

_LIMIT = 2**63
Integers = NDArray[Any]  # int64, or Python integers where int64 could overflow


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """A column of decimals: integers x 10^-digits, shape (n,)."""

    integers: Integers
    digits: int
    _bound: int | None = None  # no magnitude is above it; None: nobody looked yet

    @classmethod
    def zeros(cls, count: int) -> "Fixed":
        """Return a column of zeros."""
        return cls(np.zeros(count, np.int64), 0, 0)

    @classmethod
    def constant(cls, value: Decimal, count: int) -> "Fixed":
        """Return a column of one value."""
        integer, digits = _parts(value)
        integers = np.full(count, integer, np.int64 if _fits(integer) else object)
        return cls(integers, digits, abs(integer))

    @classmethod
    def of(cls, values: list[Decimal]) -> "Fixed":
        """Return a column of these values."""
        parts = [_parts(value) for value in values]
        digits = max((digits for _, digits in parts), default=0)
        integers = [integer * 10 ** (digits - own) for integer, own in parts]
        kind = np.int64 if all(map(_fits, integers)) else object
        return cls(np.array(integers, kind), digits)

    def __len__(self) -> int:
        return len(self.integers)

    @property
    def bound(self) -> int:
        """A number that no integer's magnitude is above."""
        if self._bound is None:
            object.__setattr__(self, "_bound", _magnitude(self.integers))
        assert self._bound is not None
        return self._bound

    def __add__(self, other: "Fixed") -> "Fixed":
        mine, theirs = _aligned(self, other)
        integers, bound = _roomy(
            mine.integers,
            mine.bound + theirs.bound,
            lambda: _magnitude(mine.integers) + _magnitude(theirs.integers),
        )
        return Fixed(integers + theirs.integers, mine.digits, bound)

    def __sub__(self, other: "Fixed") -> "Fixed":
        return self + -other

    def __neg__(self) -> "Fixed":
        return Fixed(-self.integers, self.digits, self._bound)

    def with_digits(self, digits: int) -> "Fixed":
        """Return the same values with at least this many digits."""
        if digits <= self.digits:
            return self
        return self._scaled(10 ** (digits - self.digits), digits)

    def times(self, factor: Decimal) -> "Fixed":
        """Return every value times one factor."""
        integer, digits = _parts(factor)
        return self._scaled(integer, self.digits + digits)

    def _scaled(self, factor: int, digits: int) -> "Fixed":
        integers, bound = _roomy(
            self.integers,
            self.bound * abs(factor),
            lambda: _magnitude(self.integers) * abs(factor),
        )
        if not _fits(factor):  # zeros times it would, but numpy cannot hold it
            integers = integers.astype(object)
        return Fixed(integers * factor, digits, bound)

    def times_each(self, other: "Fixed") -> "Fixed":
        """Return each value times the other column's."""
        integers, bound = _roomy(
            self.integers,
            self.bound * other.bound,
            lambda: _magnitude(self.integers) * _magnitude(other.integers),
        )
        return Fixed(integers * other.integers, self.digits + other.digits, bound)

    def at_most(self, other: "Fixed") -> "Fixed":
        """Return the smaller of both, row by row."""
        mine, theirs = _aligned(self, other)
        integers = np.minimum(mine.integers, theirs.integers)
        return Fixed(integers, mine.digits, max(mine.bound, theirs.bound))

    def at_least(self, other: "Fixed") -> "Fixed":
        """Return the larger of both, row by row."""
        mine, theirs = _aligned(self, other)
        integers = np.maximum(mine.integers, theirs.integers)
        return Fixed(integers, mine.digits, max(mine.bound, theirs.bound))

    def positive(self) -> "Fixed":
        """Return the values above 0, and 0 for others."""
        return Fixed(np.maximum(self.integers, 0), self.digits, self._bound)

    def rounded(self, rounding: Rounding) -> "Fixed":
        """Return the values rounded by a tariff's rule, with exactly its digits."""
        if self.digits <= rounding.digits:
            return self.with_digits(rounding.digits)
        unit = 10 ** (self.digits - rounding.digits)
        if not _fits(2 * unit):
            quotients = _ROUND[rounding.mode](np.abs(self.integers).astype(object), unit)
        else:
            quotients = _ROUND[rounding.mode](np.abs(self.integers), unit)
        signed = np.where(self.integers < 0, -quotients, quotients)
        return Fixed(_narrowed(signed), rounding.digits, self.bound // unit + 1)

    def row(self, row: int) -> Decimal:
        """Return one value, exactly."""
        return _decimal(int(self.integers[row]), self.digits)

    def rows(self) -> list[Decimal]:
        """Return all values, exactly."""
        return [_decimal(integer, self.digits) for integer in self.integers.tolist()]

    def take(self, rows: NDArray[np.int64]) -> "Fixed":
        """Return some of the rows."""
        return Fixed(self.integers[rows], self.digits, self._bound)

    def is_any(self) -> bool:
        """Say whether any value is not 0."""
        return bool((self.integers != 0).any())


def total(columns: list[Fixed], count: int) -> Fixed:
    """Return the sum of columns, row by row."""
    summed = Fixed.zeros(count)
    for column in columns:
        summed = summed + column
    return summed


def shared(part: Fixed, width: Fixed, whole: Fixed, digits: int) -> Fixed:
    """Return part / whole x width, row by row, rounded half up to `digits`; 0 where whole is 0.

    Args:
        part: From 0 to `whole`.
        width: What is to be shared, 0 or more.
        whole: What `part` is a part of, with the same digits.
        digits: Digits of the result.
    """
    a, b = part.integers, width.with_digits(digits).integers
    at_least_one = Fixed(np.maximum(whole.integers, 1), 0)
    c = at_least_one.times(Decimal(10 ** max(0, width.digits - digits))).integers
    if 2 * _magnitude(c) ** 2 >= _LIMIT or object in (a.dtype, b.dtype):
        a, b, c = a.astype(object), b.astype(object), c.astype(object)
    # a x b would leave int64 for an ordinary month; b = quotient x c + rest keeps both terms small.
    quotient, rest = b // c, b % c
    return Fixed(_narrowed(a * quotient + (2 * a * rest + c) // (2 * c)), digits)


def _half_up(magnitudes: Integers, unit: int) -> Integers:
    quotients = magnitudes // unit
    rounded: Integers = quotients + (magnitudes - quotients * unit >= unit - unit // 2)
    return rounded


def _half_even(magnitudes: Integers, unit: int) -> Integers:
    quotients = magnitudes // unit
    twice = 2 * (magnitudes - quotients * unit)
    rounded: Integers = quotients + ((twice > unit) | ((twice == unit) & (quotients % 2 == 1)))
    return rounded


_ROUND: dict[RoundingMode, Callable[[Integers, int], Integers]] = {
    RoundingMode.HALF_UP: _half_up,
    RoundingMode.HALF_EVEN: _half_even,
    RoundingMode.DOWN: lambda magnitudes, unit: magnitudes // unit,
    RoundingMode.UP: lambda magnitudes, unit: -(-magnitudes // unit),
}


def _parts(value: Decimal) -> tuple[int, int]:
    assert value.is_finite()  # prices are checked with the tariff
    whole, _, fraction = f"{value:f}".partition(".")
    return int(whole + fraction), len(fraction)


def _decimal(integer: int, digits: int) -> Decimal:
    # Read from text, because arithmetic on decimals rounds to the context's 28 figures.
    return Decimal(f"{integer}E-{digits}")


def _fits(integer: int) -> bool:
    return abs(integer) < _LIMIT


def _magnitude(integers: Integers) -> int:
    if integers.size == 0:
        return 0
    return max(int(integers.max()), -int(integers.min()))


def _roomy(integers: Integers, bound: int, look: Callable[[], int]) -> tuple[Integers, int]:
    """Return integers of a kind whose results have room, and what bounds the results.

    Args:
        integers: What is computed with.
        bound: No result's magnitude is above it.
        look: Returns the bound that the values themselves give, where `bound` is too wide.
    """
    if bound >= _LIMIT:
        bound = look()
    return (integers if bound < _LIMIT else integers.astype(object)), bound


def _narrowed(integers: Integers) -> Integers:
    is_needless = integers.dtype == object and _magnitude(integers) < _LIMIT
    return integers.astype(np.int64) if is_needless else integers


def _aligned(first: Fixed, second: Fixed) -> tuple[Fixed, Fixed]:
    digits = max(first.digits, second.digits)
    return first.with_digits(digits), second.with_digits(digits)
