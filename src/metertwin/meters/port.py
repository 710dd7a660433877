"""The port: what a gateway asks of a meter, whatever the meter speaks.

Time in a snapshot or a profile is the meter's own, turned to UTC; when it arrived is the caller's
business. A link is used by one task at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from metertwin.apps.tariff.calendar import Calendar
from metertwin.core.batch import Int64s, UInt8s
from metertwin.core.command import Arguments, CommandKind
from metertwin.core.obis import Obis
from metertwin.core.reading import Register


class MeterIdentity(NamedTuple):
    """Which device is at the other end.

    Attributes:
        serial: The number on its plate; empty when it does not tell.
        model: What meters of the same type and firmware have in common; static attributes are
            read once for each.
    """

    serial: str
    model: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Registers read at one moment.

    Attributes:
        registers: Which; the same tuple object for all meters of a model that answer in full.
        integers: Their integers, in the same order.
        captured_at_us: The meter's clock when it answered, microseconds since 1970 UTC;
            None when the meter has no clock or does not know the time.
        quality: `Quality` bits, from the clock's status.
        round_trip_s: Seconds of this machine from question to answer.
    """

    registers: tuple[Register, ...]
    integers: list[int]
    captured_at_us: int | None
    quality: int
    round_trip_s: float


@dataclass(frozen=True, slots=True)
class ProfileShape:
    """What a load profile captures.

    Attributes:
        registers: The columns that are registers, in order.
        period_s: Capture period in s; 0 when entries are captured on events.
    """

    registers: tuple[Register, ...]
    period_s: int


@dataclass(frozen=True, slots=True, eq=False)
class ProfileRows:
    """Entries of a load profile.

    Attributes:
        registers: One per column.
        integers: Shape (n_rows, n_registers).
        captured_at_us: End of each interval by the meter's clock, microseconds since 1970 UTC,
            shape (n_rows,).
        quality: `Quality` bits of each entry, shape (n_rows,).
    """

    registers: tuple[Register, ...]
    integers: Int64s
    captured_at_us: Int64s
    quality: UInt8s


class LoggedEvent(NamedTuple):
    """One entry of a meter's event log."""

    captured_at_us: int
    code: int


@dataclass(frozen=True, slots=True)
class MeterCalendar:
    """The tariff calendar a meter follows.

    Attributes:
        name: As the meter calls it.
        calendar: What it says; its periods are the meter's rates.
        activates_at: When the calendar that waits takes over; None: no time is set.
    """

    name: str
    calendar: Calendar
    activates_at: datetime | None


class Effect(NamedTuple):
    """What became of a command at the meter.

    Attributes:
        was_so_before: The meter was in the wanted state already; nothing was written.
        detail: What a person should know, for example that a button must be pressed.
    """

    was_so_before: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """One APDU a meter sent unasked.

    Attributes:
        host: The address it came from.
        source_sap: The sender's port in the wrapper.
        apdu: The APDU as it came.
    """

    host: str
    source_sap: int
    apdu: bytes


class MeterLink(Protocol):
    """One meter's link. Every method but `close` raises MeterLinkError when the meter fails."""

    @property
    def is_open(self) -> bool:
        """Whether the association stands, as far as this end knows."""
        ...

    async def open(self) -> MeterIdentity:
        """Connect and associate, and say which device answered."""
        ...

    async def read_moment(self) -> Snapshot:
        """Read all registers the link was made for, with the meter's clock, in one exchange."""
        ...

    async def read_register(self, obis: Obis) -> Snapshot:
        """Read one register, also one that is not among those polled."""
        ...

    async def profile_shape(self, profile: Obis) -> ProfileShape:
        """Return what a profile captures, nothing where there is none; asked once a model."""
        ...

    async def read_profile(self, profile: Obis, first_us: int, last_us: int) -> ProfileRows:
        """Read the entries captured from `first_us` to `last_us`, both included, by time."""
        ...

    async def read_log(self, log: Obis, first_us: int, last_us: int) -> Sequence[LoggedEvent]:
        """Read the entries of an event log from `first_us` to `last_us`, both included."""
        ...

    async def read_calendar(self) -> MeterCalendar:
        """Read the tariff calendar in force, with the special days."""
        ...

    async def execute(self, kind: CommandKind, arguments: Arguments, now: datetime) -> Effect:
        """Bring the meter to a wanted state, unless it is there; `now` is for its clock.

        Raises:
            EffectError: It accepted and is not in that state afterwards.
        """
        ...

    async def is_so(self, kind: CommandKind, arguments: Arguments, now: datetime) -> bool:
        """Return whether the meter is in the state a command wants; nothing is written."""
        ...

    async def read_push(self, pushed: Pushed) -> Snapshot:
        """Return what a push says; the meter is asked only for what its model's pushes hold."""
        ...

    async def close(self) -> None:
        """Release the association and close the connection; never fails."""
        ...
