"""Columns of exact decimals: whole numbers with a common number of digits behind the point.

A bill is exact or it is wrong, and a fleet's bills must not cost a Python object per amount. So a
column holds int64 as long as nothing can overflow, and Python integers from there on: each step
bounds its result before it computes it.
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

    @classmethod
    def zeros(cls, count: int) -> "Fixed":
        """Return a column of zeros."""
        return cls(np.zeros(count, np.int64), 0)

    @classmethod
    def constant(cls, value: Decimal, count: int) -> "Fixed":
        """Return a column of one value."""
        integer, digits = _parts(value)
        return cls(np.full(count, integer, np.int64 if _fits(integer) else object), digits)

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

    def __add__(self, other: "Fixed") -> "Fixed":
        mine, theirs, digits = _aligned(self, other)
        if _magnitude(mine) + _magnitude(theirs) >= _LIMIT:
            mine = mine.astype(object)
        return Fixed(mine + theirs, digits)

    def __sub__(self, other: "Fixed") -> "Fixed":
        return self + -other

    def __neg__(self) -> "Fixed":
        return Fixed(-self.integers, self.digits)

    def with_digits(self, digits: int) -> "Fixed":
        """Return the same values with at least this many digits."""
        if digits <= self.digits:
            return self
        return Fixed(_multiplied(self.integers, 10 ** (digits - self.digits)), digits)

    def times(self, factor: Decimal) -> "Fixed":
        """Return every value times one factor."""
        integer, digits = _parts(factor)
        return Fixed(_multiplied(self.integers, integer), self.digits + digits)

    def times_each(self, other: "Fixed") -> "Fixed":
        """Return each value times the other column's."""
        mine = self.integers
        if _magnitude(mine) * _magnitude(other.integers) >= _LIMIT:
            mine = mine.astype(object)
        return Fixed(mine * other.integers, self.digits + other.digits)

    def at_most(self, other: "Fixed") -> "Fixed":
        """Return the smaller of both, row by row."""
        mine, theirs, digits = _aligned(self, other)
        return Fixed(np.minimum(mine, theirs), digits)

    def at_least(self, other: "Fixed") -> "Fixed":
        """Return the larger of both, row by row."""
        mine, theirs, digits = _aligned(self, other)
        return Fixed(np.maximum(mine, theirs), digits)

    def positive(self) -> "Fixed":
        """Return the values above 0, and 0 for others."""
        return Fixed(np.maximum(self.integers, 0), self.digits)

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
        return Fixed(_narrowed(signed), rounding.digits)

    def row(self, row: int) -> Decimal:
        """Return one value, exactly."""
        return _decimal(int(self.integers[row]), self.digits)

    def rows(self) -> list[Decimal]:
        """Return all values, exactly."""
        return [_decimal(integer, self.digits) for integer in self.integers.tolist()]

    def take(self, rows: NDArray[np.int64]) -> "Fixed":
        """Return some of the rows."""
        return Fixed(self.integers[rows], self.digits)

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
    c = _multiplied(np.maximum(whole.integers, 1), 10 ** max(0, width.digits - digits))
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
    sign, figures, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # not NaN, not infinite: prices are checked with the tariff
    integer = int("".join(map(str, figures)) or "0") * (-1 if sign else 1)
    return (integer, -exponent) if exponent < 0 else (integer * 10**exponent, 0)


def _decimal(integer: int, digits: int) -> Decimal:
    # Read from text, because arithmetic on decimals rounds to the context's 28 figures.
    return Decimal(f"{integer}E-{digits}")


def _fits(integer: int) -> bool:
    return abs(integer) < _LIMIT


def _magnitude(integers: Integers) -> int:
    if integers.size == 0:
        return 0
    return max(int(integers.max()), -int(integers.min()))


def _multiplied(integers: Integers, factor: int) -> Integers:
    is_small = _fits(factor) and _magnitude(integers) * abs(factor) < _LIMIT
    return (integers if is_small else integers.astype(object)) * factor


def _narrowed(integers: Integers) -> Integers:
    is_needless = integers.dtype == object and _magnitude(integers) < _LIMIT
    return integers.astype(np.int64) if is_needless else integers


def _aligned(first: Fixed, second: Fixed) -> tuple[Integers, Integers, int]:
    digits = max(first.digits, second.digits)
    return first.with_digits(digits).integers, second.with_digits(digits).integers, digits
