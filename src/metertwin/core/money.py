"""Money: exact decimals, and the one rounding a tariff states.

Amounts are computed exactly (whole counts of energy times decimal prices) and rounded where the
tariff's rule says, never earlier. Batches carry money as integers of 10^-n of the currency's unit,
so a fleet's bills are as exact as a single one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import (
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    ROUND_UP,
    Decimal,
)
from enum import StrEnum

from metertwin.core.errors import InvalidInputError

DIGITS_MAX = 6


class MoneyError(InvalidInputError):
    """A rounding rule or currency that is none."""

    code = "input.money"


class RoundingMode(StrEnum):
    """What becomes of what lies between two amounts."""

    HALF_UP = "half_up"  # half away from zero, as people round
    HALF_EVEN = "half_even"
    DOWN = "down"  # towards zero
    UP = "up"  # away from zero


class RoundingPlace(StrEnum):
    """Where a bill rounds."""

    LINE = "line"  # each line is rounded, the total is their sum
    BILL = "bill"  # lines stay exact, the total is rounded


_MODES = {
    RoundingMode.HALF_UP: ROUND_HALF_UP,
    RoundingMode.HALF_EVEN: ROUND_HALF_EVEN,
    RoundingMode.DOWN: ROUND_DOWN,
    RoundingMode.UP: ROUND_UP,
}


@dataclass(frozen=True, slots=True)
class Rounding:
    """A rounding rule.

    Attributes:
        digits: Digits behind the point of the currency's unit, 0 to 6; 2 are cents.
        mode: Which way.
        place: Whether lines or only the total are rounded.
    """

    digits: int = 2
    mode: RoundingMode = RoundingMode.HALF_UP
    place: RoundingPlace = RoundingPlace.LINE

    def __post_init__(self) -> None:
        if not 0 <= self.digits <= DIGITS_MAX:
            raise MoneyError(
                f"Rounding to {self.digits} digits is not possible; give 0 to {DIGITS_MAX}.",
                digits=self.digits,
            )

    def rounded(self, amount: Decimal) -> Decimal:
        """Return the amount with exactly `digits` digits behind the point.

        Example:
            >>> Rounding().rounded(Decimal("1.005")), Rounding().rounded(Decimal("-1.005"))
            (Decimal('1.01'), Decimal('-1.01'))
        """
        return amount.quantize(Decimal(1).scaleb(-self.digits), rounding=_MODES[self.mode])


def rounded_together(amounts: Sequence[Decimal], total: Decimal, digits: int) -> list[Decimal]:
    """Return amounts rounded so that together they are their sum, rounded: largest remainders.

    Of equal remainders the earlier amount gets what is left.

    Args:
        amounts: Parts of the total.
        total: Their sum, as exact as it is known.
        digits: Digits behind the point.

    Example:
        >>> thirds = [Decimal(1) / 3] * 3
        >>> [str(each) for each in rounded_together(thirds, Decimal(1), 2)]
        ['0.34', '0.33', '0.33']
    """
    unit = Decimal(1).scaleb(-digits)
    parts = [amount.quantize(unit, ROUND_FLOOR) for amount in amounts]
    left = total.quantize(unit, ROUND_HALF_UP) - sum(parts, Decimal(0))
    order = sorted(range(len(parts)), key=lambda at: (parts[at] - amounts[at], at))
    for at in order[: int(left / unit)]:
        parts[at] += unit
    return parts


def checked_currency(text: str) -> str:
    """Return a currency's three letters; raises MoneyError for anything else."""
    if not (len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()):
        raise MoneyError(
            f"Currency {text[:20]!r} is not a code; write three capital letters such as EUR.",
            currency=text[:20],
        )
    return text
