"""Units of meter values, by their DLMS code, and exact decimals from integer and scaler.

A register is an integer, a scaler and a unit: value = integer x 10^scaler. The decimal is derived
when somebody asks; a float is never stored, so an energy re-read years later is the same number.
Codes as in the DLMS UA Blue Book's unit enumeration, checked against captured meters.
"""

from decimal import Decimal
from enum import IntEnum

from metertwin.core.errors import InvalidInputError


class Unit(IntEnum):
    """Unit of a meter value; the number is the DLMS code."""

    SECOND = 7
    DEGREE = 8
    CELSIUS = 9
    CUBIC_METER = 13
    WATT = 27
    VOLT_AMPERE = 28
    VAR = 29
    WATT_HOUR = 30
    VOLT_AMPERE_HOUR = 31
    VAR_HOUR = 32
    AMPERE = 33
    COULOMB = 34
    VOLT = 35
    HERTZ = 44
    NONE = 255

    @property
    def symbol(self) -> str:
        """The unit as printed behind a value; empty for a plain number."""
        return _SYMBOLS[self]


_SYMBOLS = {
    Unit.SECOND: "s",
    Unit.DEGREE: "deg",
    Unit.CELSIUS: "degC",
    Unit.CUBIC_METER: "m3",
    Unit.WATT: "W",
    Unit.VOLT_AMPERE: "VA",
    Unit.VAR: "var",
    Unit.WATT_HOUR: "Wh",
    Unit.VOLT_AMPERE_HOUR: "VAh",
    Unit.VAR_HOUR: "varh",
    Unit.AMPERE: "A",
    Unit.COULOMB: "C",
    Unit.VOLT: "V",
    Unit.HERTZ: "Hz",
    Unit.NONE: "",
}

SCALER_MIN = -128
SCALER_MAX = 127


def unit_from_code(code: int) -> Unit:
    """Return the unit of a DLMS code.

    Raises:
        InvalidInputError: The code is not one MeterTwin knows.
    """
    try:
        return Unit(code)
    except ValueError:
        raise InvalidInputError(
            f"Unit code {code} is not known; known are {', '.join(str(u.value) for u in Unit)}.",
            unit_code=code,
        ) from None


def scaled(integer: int, scaler: int) -> Decimal:
    """Return integer x 10^scaler exactly.

    Example:
        >>> scaled(2304, -1)
        Decimal('230.4')
        >>> scaled(12, 3)
        Decimal('12000')
    """
    if scaler > 0:
        return Decimal(integer * 10**scaler)
    return Decimal(integer).scaleb(scaler)
