"""What to simulate and how to serve it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from metertwin.simulation.errors import SimulationConfigError
from metertwin.simulation.households import Shares

METER_COUNT_MAX = 60_000
"""Server addresses are 16 bits, some are reserved, and every feeder's transformer has a meter."""
_LIVED_DAYS_MAX = 400


class Framing(StrEnum):
    """How APDUs are framed on TCP."""

    WRAPPER = "wrapper"
    HDLC = "hdlc"


class Security(StrEnum):
    """How clients prove themselves."""

    NONE = "none"  # everybody may read and command: for tests on one machine
    LOW = "low"  # a password for each meter
    HIGH = "high"  # HLS-GMAC, every service authenticated and encrypted, keys for each meter


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """A simulation.

    Attributes:
        meter_count: Households, each with a meter, 1 to `METER_COUNT_MAX`.
        group_size: Meters on one feeder; None for all connection points of the bundled grid.
        seed: The same seed is the same street.
        step_s: Length of a step in s, a divisor of 900; None lets it follow the clock's speed, see
            `timeline.step_for_speed`.
        profile_days: Days of load profile a meter keeps, 1 or more.
        zone: The meters' local time.
        shares: Who has what; with `profile_file` nobody has anything beyond the file.
        scenario_file: What goes wrong; see `scenario_file`.
        profile_file: Measured profiles; see `measured`.
        has_transformer_meters: Whether each feeder's transformer has a meter as well.
        host: Address to serve on.
        port: Port to serve on, 0 for any free one.
        framing: How APDUs are framed.
        security: How clients prove themselves.
        begins_at: When the street began, if it was before the clock's time: a street started again
            lives through the time since in fast motion, so that its registers go on. None for the
            clock's time.
        lived_days: Days the street lived before it began, in steps of a quarter of an hour, so
            that load profiles have a past; 0 to 400.
        push_to: Where every meter pushes its registers each quarter of an hour, host and port;
            in the clear, so not together with security high. None for no pushes.
        is_secret_random: Whether passwords and keys are random; else they follow from the seed,
            which anybody can repeat.
        secret: What passwords and keys follow from instead, so that a street started again has the
            ones it had; empty for none.
    """

    meter_count: int = 118
    group_size: int | None = None
    seed: int = 1
    step_s: int | None = None
    profile_days: int = 10
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Berlin"))
    shares: Shares | None = None
    scenario_file: Path | None = None
    profile_file: Path | None = None
    has_transformer_meters: bool = True
    host: str = "127.0.0.1"
    port: int = 0
    framing: Framing = Framing.WRAPPER
    security: Security = Security.HIGH
    begins_at: datetime | None = None
    lived_days: int = 0
    push_to: tuple[str, int] | None = None
    is_secret_random: bool = True
    secret: bytes = field(default=b"", repr=False)

    def check(self, point_count: int) -> None:
        """Raise SimulationConfigError unless the values make sense.

        Args:
            point_count: Connection points of a feeder.
        """
        if not 1 <= self.meter_count <= METER_COUNT_MAX:
            raise SimulationConfigError(
                f"{self.meter_count} meters cannot be served; one process serves 1 to "
                f"{METER_COUNT_MAX}.",
                meter_count=self.meter_count,
            )
        if self.group_size is not None and not 1 <= self.group_size <= point_count:
            raise SimulationConfigError(
                f"A group of {self.group_size} meters does not fit a feeder of {point_count} "
                "connection points; choose less, or more meters in more groups.",
                group_size=self.group_size,
            )
        if self.profile_days < 1:
            raise SimulationConfigError(
                f"A load profile of {self.profile_days} days is none; keep 1 or more.",
                profile_days=self.profile_days,
            )
        if not 0 <= self.lived_days <= _LIVED_DAYS_MAX:
            raise SimulationConfigError(
                f"A street cannot have lived for {self.lived_days} days; give 0 to "
                f"{_LIVED_DAYS_MAX}.",
                lived_days=self.lived_days,
            )
        if self.push_to is not None and self.security is Security.HIGH:
            raise SimulationConfigError(
                "Meters with security high do not push: their pushes would go in the clear. "
                "Choose security none or low, or poll them."
            )
        self._check_shares()

    def _check_shares(self) -> None:
        if self.shares is None:
            return
        shares = self.shares
        for name in ("three_phase_ratio", "pv_ratio", "ev_ratio", "heat_pump_ratio"):
            share = getattr(shares, name)
            if not 0.0 <= share <= 1.0:
                raise SimulationConfigError(
                    f"Share {name} is {share}; it is a part of the households, 0 to 1.",
                    share=name,
                )
