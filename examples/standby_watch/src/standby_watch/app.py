"""Watches each home's standby power: the least it draws in any hour of the night.

A refrigerator comes and goes, so one quarter of an hour says little; the quietest hour between
midnight and five says what is always on. The app puts one output per home and night, answers the
request `standby`, and raises the finding `standby_rose` when a night lies well above the usual.

Nothing here asks a clock, reads a file or opens a socket: what the app knows it was given, so a
rehearsal over last year's history gives what it would have given then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np
from numpy.typing import NDArray

from metertwin.apps.app import (
    NOTHING,
    Answer,
    AppInfo,
    AppSettings,
    AppSettingsError,
    AppStateError,
    Asked,
    Finding,
    History,
    HistoryWanted,
    Outcome,
    Output,
    RequestKind,
)
from metertwin.apps.view import GroupView
from metertwin.core.clock import to_us
from metertwin.core.errors import ConflictError, NotFoundError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis

IMPORT_ENERGY = Obis.parse("1-0:1.8.0")
NIGHT_HOURS = 5
NIGHTS_KEPT = 30
NIGHTS_NEEDED = 5  # before "usual" means anything
STATE_VERSION = 2
_CONFIG = {"zone", "rise_ratio"}


class StandbyUnknownError(NotFoundError):
    """No night of this home was seen yet."""

    code = "not_found.standby"


@dataclass(frozen=True)
class StandbyArguments:
    """The request `standby` takes no arguments."""


@dataclass(frozen=True)
class Standby:
    """The answer.

    Attributes:
        standby_w: Least mean power of any hour of the last night, in W.
        usual_w: Median over the nights kept, in W.
        nights_count: How many nights that rests on.
        night: Local date of the last night.
    """

    standby_w: float
    usual_w: float
    nights_count: int
    night: str


class Home(msgspec.Struct, array_like=True):
    """What is known of one home.

    Attributes:
        last_night: Local date of the last night looked at.
        nights_w: Standby of the nights kept, in W, the last one last.
    """

    last_night: str = ""
    nights_w: list[float] = []

    def usual_w(self) -> float | None:
        """Return the median of the nights; None while they are too few."""
        return float(np.median(self.nights_w)) if len(self.nights_w) >= NIGHTS_NEEDED else None


class StandbyWatch:
    """The app, for one group.

    Args:
        settings: `config` may have `zone` (IANA name, default Europe/Berlin) and `rise_ratio` (how
            far above the usual a night must lie, default 1.5).
    """

    info = AppInfo(
        name="standby_watch",
        version="1.0.0",
        requests={
            "standby": RequestKind(StandbyArguments, "What the home draws while everybody sleeps."),
        },
        registers=(IMPORT_ENERGY,),
        window_days=2,
        wakes=True,
    )

    def __init__(self, settings: AppSettings) -> None:
        problems = [f"it has no {name}" for name in sorted(settings.config.keys() - _CONFIG)]
        rise_ratio = settings.config.get("rise_ratio", 1.5)
        if not isinstance(rise_ratio, float | int) or not 1 < rise_ratio < inf:
            problems.append(f"rise_ratio is {rise_ratio}, not a number above 1")
            rise_ratio = 1.5
        zone = str(settings.config.get("zone", "Europe/Berlin"))
        try:
            self._zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            problems.append(f"zone {zone[:40]!r} is no IANA name such as Europe/Berlin")
        if problems:
            raise AppSettingsError(f"standby_watch cannot be configured so: {'; '.join(problems)}.")
        self._rise_ratio = float(rise_ratio)
        self._last_night = ""
        self._homes: dict[MeterId, Home] = {}

    def on_intervals(self, _view: GroupView) -> Outcome:
        """Do nothing: a night is looked at once, when it is over."""
        return NOTHING

    def on_time(self, view: GroupView) -> Outcome:
        """Look at last night, an hour after its end so that the last intervals have come."""
        local = view.now.astimezone(self._zone)
        night = local.date().isoformat()
        if local.hour < NIGHT_HOURS + 1 or night <= self._last_night:
            return NOTHING
        midnight = datetime(local.year, local.month, local.day, tzinfo=self._zone).astimezone(UTC)
        start_us = to_us(midnight)
        end_us = to_us(midnight + timedelta(hours=NIGHT_HOURS))
        if start_us < view.intervals.first_us:
            return NOTHING  # the host has not seen the whole night, or not yet
        self._last_night = night
        outputs, findings = [], []
        for meter, standby_w in zip(view.meters, _nights_w(view, start_us, end_us), strict=True):
            if np.isnan(standby_w):
                continue  # an hour without a gap in it was not there: say nothing of that home
            home = self._homes.setdefault(meter, Home())
            if home.last_night >= night:
                continue  # looked at before its share was joined with one that was not as far
            usual_w = home.usual_w()
            if usual_w is not None and standby_w > self._rise_ratio * usual_w:
                detail = f"{standby_w:.0f} W last night, {usual_w:.0f} W as a rule."
                findings.append(Finding(meter, "standby_rose", midnight, detail))
            outputs.append(Output(meter, "standby", midnight, {"standby_w": round(standby_w, 1)}))
            home.nights_w.append(standby_w)
            del home.nights_w[:-NIGHTS_KEPT]
            home.last_night = night
        return Outcome(outputs, findings)

    def history_wanted(self, _view: GroupView, _asked: Asked) -> HistoryWanted | None:
        """Want nothing: the nights kept are enough."""
        return None

    def answer(self, _view: GroupView, asked: Asked, _history: History) -> Answer:
        """Answer `standby`; raises StandbyUnknownError before the first night."""
        home = self._homes.get(asked.meter or MeterId(""))
        if home is None:
            raise StandbyUnknownError(
                f"No night of meter {asked.meter} was seen yet; ask again after 06:00.",
                meter=asked.meter,
            )
        nights_w = home.nights_w
        usual_w = float(np.median(nights_w))
        return Answer(Standby(nights_w[-1], usual_w, len(nights_w), home.last_night))

    def save(self) -> bytes:
        """Return the nights kept."""
        return _packed(self._last_night, self._homes)

    def restore(self, octets: bytes) -> None:
        """Take the nights back; raises AppStateError for a state of another version."""
        self._last_night, self._homes = _unpacked(octets)

    def share(self, meters: Sequence[MeterId]) -> bytes:
        """Return the nights of these homes only."""
        return _packed(
            self._last_night, {each: self._homes[each] for each in meters if each in self._homes}
        )

    def join(self, states: Sequence[bytes]) -> bytes:
        """Return the nights of all; raises AppStateError for a state of another version."""
        parts = [_unpacked(octets) for octets in states]
        homes = {meter: home for _, of_part in parts for meter, home in of_part.items()}
        # The earliest: one share may not have looked at last night yet.
        return _packed(min(last_night for last_night, _ in parts), homes)


def _packed(last_night: str, homes: Mapping[MeterId, Home]) -> bytes:
    return msgspec.msgpack.encode([STATE_VERSION, last_night, dict(sorted(homes.items()))])


def _unpacked(octets: bytes) -> tuple[str, dict[MeterId, Home]]:
    version, last_night, homes = msgspec.msgpack.decode(octets)
    if version == 1:  # nights alone
        return last_night, {meter: Home(last_night, nights_w) for meter, nights_w in homes.items()}
    if version != STATE_VERSION:
        raise AppStateError(
            f"The state of standby_watch has version {version}, this one reads 1 to "
            f"{STATE_VERSION}."
        )
    return last_night, msgspec.convert(homes, dict[MeterId, Home])


def _nights_w(view: GroupView, start_us: int, end_us: int) -> list[float]:
    rows = np.arange(len(view.meters), dtype=np.int64)
    try:
        table = view.intervals.table(IMPORT_ENERGY, start_us, end_us, rows)
        return [float(standby_w) for standby_w in quietest_hours_w(table)]
    except ConflictError:
        # Meters of one group may capture in different periods; those are no one table.
        tables = (view.intervals.table(IMPORT_ENERGY, start_us, end_us, rows[[r]]) for r in rows)
        return [float(quietest_hours_w(table)[0]) for table in tables]


def quietest_hours_w(table: IntervalTable) -> NDArray[np.float64]:
    """Return each meter's least mean power over any hour from the table's start on, in W.

    An hour with a gap in it does not count; NaN where no hour does. Shape (n_meters,).
    """
    if 3600 % table.register.period_s:
        return np.full(len(table.meters), np.nan)  # its captures say nothing of single hours
    per_hour = 3600 // table.register.period_s
    hours = table.interval_count // per_hour
    shape = (len(table.meters), hours, per_hour)
    # Wh gained in an hour are W on average.
    mean_w = table.gain[:, : hours * per_hour].reshape(shape).sum(axis=2) * (
        10.0**table.register.scaler
    )
    is_whole = table.is_known[:, : hours * per_hour].reshape(shape).all(axis=2)
    least_w = np.where(is_whole, mean_w, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(least_w), least_w, np.nan)
