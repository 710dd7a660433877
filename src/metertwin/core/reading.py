"""Readings: what a meter said, exactly, with when, how good and from where.

A value without its quality, origin and age is not a reading. A register is an integer with a
scaler; whether it counts since the meter was made (energy) or stands for the moment (voltage) is
its OBIS code's business.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum, IntFlag
from typing import NamedTuple

from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis
from metertwin.core.units import Unit, scaled


class Quality(IntFlag):
    """What is known against a value; 0 is good.

    The bits of an AMR profile status word, with its unused bit 4 taken for our own doubt.
    """

    GOOD = 0
    CRITICAL_ERROR = 1
    CLOCK_INVALID = 2
    DATA_INVALID = 4
    DAYLIGHT_SAVING = 8  # says which of the two 02:30 it was; no fault
    SUSPECT = 16  # breaks a plausibility rule of ours
    CLOCK_ADJUSTED = 32
    RECOVERED = 64
    POWER_DOWN = 128


class Origin(IntEnum):
    """How a value came to be."""

    MEASURED = 0
    ESTIMATED = 1
    SUBSTITUTED = 2
    SIMULATED = 3


class Register(NamedTuple):
    """One series of a meter: the quantity, how its integer is to be read, and its rhythm.

    Two meters of one group may scale the same quantity differently; those are two registers.

    Attributes:
        obis: The quantity.
        unit: The unit of integer x 10^scaler.
        scaler: Power of ten, -128 to 127.
        period_s: Capture period of the load profile the value comes from, in s;
            0 for a value read at a moment.
    """

    obis: Obis
    unit: Unit
    scaler: int
    period_s: int = 0


@dataclass(frozen=True, slots=True)
class RegisterReading:
    """The value of a register at `captured_at`, by the meter's clock, in UTC."""

    meter: MeterId
    register: Register
    integer: int
    captured_at: datetime
    received_at: datetime
    quality: Quality = Quality.GOOD
    origin: Origin = Origin.MEASURED

    @property
    def value(self) -> Decimal:
        """The exact value in the register's unit."""
        return scaled(self.integer, self.register.scaler)


@dataclass(frozen=True, slots=True)
class IntervalReading:
    """What a register gained over an interval: [interval_start, interval_start + length_s)."""

    meter: MeterId
    register: Register
    integer: int
    interval_start: datetime
    length_s: int
    received_at: datetime
    quality: Quality = Quality.GOOD
    origin: Origin = Origin.MEASURED

    @property
    def value(self) -> Decimal:
        """The exact gain in the register's unit."""
        return scaled(self.integer, self.register.scaler)

    @property
    def interval_end(self) -> datetime:
        """The first moment after the interval."""
        return self.interval_start + timedelta(seconds=self.length_s)
