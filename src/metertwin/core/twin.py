"""The twin document: what the meter said, what is wanted of it, and how fresh that is.

`reported` comes from the meter alone and `desired` from people and apps alone; nothing copies one
into the other. Every value carries its age at the moment of the answer, because a value that was
true yesterday looks exactly like one that is true now.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis


class TwinStatus(StrEnum):
    """How a twin stands to its meter."""

    WAITING = "waiting"  # nothing was heard of the meter yet
    IN_STEP = "in_step"  # the newest value is younger than the group's freshness limit
    STALE = "stale"  # it is older; the values are shown with their age
    UNREACHABLE = "unreachable"  # the twin's host cannot be reached; these are its last values


@dataclass(frozen=True, slots=True)
class ReportedValue:
    """The newest value of one register.

    Attributes:
        value: integer x 10^scaler, in `unit`.
        unit: Symbol of the unit; empty for a plain number.
        age_s: Seconds from `captured_at` to the answer, in the meters' time; may be slightly
            negative when the meter's clock is ahead.
    """

    obis: str
    value: Decimal
    unit: str
    integer: int
    scaler: int
    period_s: int
    captured_at: datetime
    received_at: datetime
    age_s: float
    quality: int
    origin: str


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One meter's ledger at one consumer: `received == taken + missing`, always.

    Attributes:
        received: Highest reading number heard of.
        taken: Distinct readings applied (twin host) or stored (recorder).
        duplicate: Deliveries dropped because their number was known.
        missing: Numbers up to `received` that never came.
    """

    meter: MeterId
    received: int
    taken: int
    duplicate: int
    missing: int


@dataclass(frozen=True, slots=True)
class TwinSummary:
    """A twin in a list: enough to see which one to open."""

    meter: MeterId
    group: GroupId
    status: TwinStatus
    age_s: float | None
    power_import_w: float | None
    power_export_w: float | None
    voltage_v: float | None
    energy_import_wh: float | None
    is_connected: bool | None


@dataclass(frozen=True, slots=True)
class TwinDocument:
    """Everything a twin says of itself.

    Attributes:
        epoch: Under which claim the host owns the group.
        age_s: Age of the newest reported value, in s; None while waiting.
        reported: By OBIS code; load-profile series have "@<period_s>s" behind it.
        desired: By path, for example {"disconnect_control": "connected"}.
        desired_version: Grows with every change of `desired`; 0 when there was none.
        pending: Paths whose reported value differs from the desired one.
        wishes: By path: asked while the twin's host cannot be reached, and not yet there; null to
            want nothing.
    """

    meter: MeterId
    group: GroupId
    status: TwinStatus
    epoch: int
    age_s: float | None
    answered_at: datetime
    reported: dict[str, ReportedValue]
    ledger: LedgerLine
    desired: dict[str, str | int] = field(default_factory=dict)
    desired_version: int = 0
    pending: list[str] = field(default_factory=list)
    wishes: dict[str, str | int | None] = field(default_factory=dict)


class AnswerSource(StrEnum):
    """Where an answer comes from."""

    TWIN = "twin"  # the twin's state was fresh enough
    METER = "meter"  # the twin read through to the meter
    LAST_KNOWN = "last_known"  # the twin cannot be reached; this is the last that is known of it


@dataclass(frozen=True, slots=True)
class RegisterAnswer:
    """The newest value of one register, and whether the meter was asked for it."""

    meter: MeterId
    reading: ReportedValue
    source: AnswerSource
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class UsageNow:
    """What a usage point draws and feeds now, and what it has in all; None: no such register."""

    meter: MeterId
    answered_at: datetime
    source: AnswerSource
    power_import: ReportedValue | None
    power_export: ReportedValue | None
    energy_import: ReportedValue | None
    energy_export: ReportedValue | None


@dataclass(frozen=True, slots=True)
class ProfileSeries:
    """One captured register of a load profile over a range; the lists are of one length.

    Attributes:
        period_s: Capture period in s.
        captured_at: End of each interval, oldest first.
        values: Register value at each, in `unit`, exact.
        quality: `Quality` bits of each.
    """

    obis: str
    unit: str
    period_s: int
    captured_at: list[datetime]
    values: list[Decimal]
    quality: list[int]


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """What a meter captured between two times, and whether it was asked for it just now."""

    meter: MeterId
    answered_at: datetime
    source: AnswerSource
    series: list[ProfileSeries]


def obis_key(obis: Obis, period_s: int) -> str:
    """Return the key of a register in `TwinDocument.reported`."""
    return f"{obis}@{period_s}s" if period_s else str(obis)
