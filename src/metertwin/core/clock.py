"""Time is handed in, never taken.

`now()` is the time the meters live in: the wall clock on a real network, a faster one over a
simulation. `monotonic_s()` is always this machine's own second, because a socket's deadline does
not run faster when the simulated day does.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from metertwin.core.errors import InvalidInputError


class Clock(Protocol):
    """What every part asks for the time."""

    @property
    def speed_ratio(self) -> float:
        """Seconds of `now()` per second of this machine."""
        ...

    def now(self) -> datetime:
        """Return the time of the meters' world, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return this machine's monotonic time in s, for deadlines and durations."""
        ...


class SystemClock:
    """The wall clock."""

    speed_ratio = 1.0

    def now(self) -> datetime:
        """Return the wall clock's time, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return this machine's monotonic time in s."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """Time that runs `speed_ratio` times as fast since an origin shared by several processes.

    CLOCK_MONOTONIC is one clock for all processes of a machine, so two processes with the same
    origin read the same simulated time without talking to each other.

    Args:
        origin: Simulated time at `origin_monotonic_s`, UTC-aware.
        origin_monotonic_s: This machine's monotonic time at the origin, in s.
        speed_ratio: Simulated seconds per second, above 0.
    """

    origin: datetime
    origin_monotonic_s: float
    speed_ratio: float

    def __post_init__(self) -> None:
        if not self.speed_ratio > 0:
            raise InvalidInputError(
                f"Speed {self.speed_ratio} is not above 0; give simulated seconds per second.",
                speed_ratio=self.speed_ratio,
            )
        if self.origin.tzinfo is None:
            raise InvalidInputError(f"Clock origin {self.origin} has no time zone; give it in UTC.")

    def now(self) -> datetime:
        """Return the simulated time, in UTC."""
        elapsed_s = (time.monotonic() - self.origin_monotonic_s) * self.speed_ratio
        return self.origin + timedelta(seconds=elapsed_s)

    def monotonic_s(self) -> float:
        """Return this machine's monotonic time in s."""
        return time.monotonic()


@dataclass(slots=True)
class ManualClock:
    """Time that moves only when told: for tests and stepwise simulation."""

    current: datetime
    speed_ratio: float = 1.0
    _elapsed_s: float = field(default=0.0, init=False)

    def now(self) -> datetime:
        """Return the time it was last moved to, in UTC."""
        return self.current

    def monotonic_s(self) -> float:
        """Return the seconds it was advanced in all."""
        return self._elapsed_s

    def advance(self, step_s: float) -> None:
        """Move forward by `step_s` seconds."""
        self.current += timedelta(seconds=step_s)
        self._elapsed_s += step_s


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Return a UTC-aware time as microseconds since 1970, exactly.

    Raises:
        InvalidInputError: The time has no zone.
    """
    if moment.tzinfo is None:
        raise InvalidInputError(f"Time {moment.isoformat()} has no zone; give it in UTC.")
    return (moment - _EPOCH) // _MICROSECOND


def from_us(since_epoch_us: int) -> datetime:
    """Return microseconds since 1970 as a UTC-aware time.

    Example:
        >>> from_us(to_us(datetime(2026, 3, 29, 1, tzinfo=UTC)))
        datetime.datetime(2026, 3, 29, 1, 0, tzinfo=datetime.timezone.utc)
    """
    return _EPOCH + timedelta(microseconds=since_epoch_us)
