"""The window: the recent load-profile captures of a group, for its apps.

Only what an app asked for is kept. A capture has its place by its time, so a late one and a
corrected one simply land there, and what is kept does not depend on how the stream was cut into
batches. Energies are computed when they are asked for, by the same arithmetic as history's.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from metertwin.apps.view import FreshIntervals
from metertwin.core.batch import Int64s, ReadingBatch
from metertwin.core.errors import ConflictError, NotFoundError
from metertwin.core.ids import MeterId
from metertwin.core.interval_table import IntervalTable, IntervalTableError, KnownSpans
from metertwin.core.interval_table_from_registers import table_from_captures
from metertwin.core.ledger import Kept, Rows
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.register_series import US_PER_S, SeriesRules
from metertwin.core.units import Unit
from metertwin.twins.apps.blocks import Cells
from metertwin.twins.apps.fresh import fresh_of
from metertwin.twins.apps.series import Captured, CaptureSeries, Told

DAY_US = 86_400 * US_PER_S
_HOUR_US = 3_600 * US_PER_S
LONGEST_DAYS = 800
SHORTEST_PERIOD_S = 60
_USUAL_PERIOD_S = 900
_MOST_SCALERS_APART = 9  # beyond, integers might leave their 64 bits
# Energy registers are double-long-unsigned, 32 bits; one that shows more is a wider one, and so
# wide that it goes round in no meter's life.
_USUAL_MODULUS_COUNT = 2**32
_WIDE_MODULUS_COUNT = 2**62

log = structlog.get_logger(__name__)


class WindowError(NotFoundError):
    """The window does not hold what was asked of it."""

    code = "not_found.window"


class MixedProfilesError(ConflictError):
    """Meters asked about together count one quantity in several units or periods."""

    code = "conflict.mixed_profiles"


@dataclass(frozen=True, slots=True)
class Kind:
    """Captures that can stand in one table."""

    obis: Obis
    unit: Unit
    period_s: int


class IntervalWindow:
    """Recent captures of the registers that a group's apps want.

    Args:
        wanted_days: Days to keep besides the newest one, by register.
        meters: Meter of each row; grows with the group.
        maximal_power_w: Highest power a connection can carry; tells a rollover from a reset.

    Attributes:
        now_us: Newest time a reading was received, the gateway's clock; 0 before the first.
        since_us: By register: all captured from then on is here, as far as the days reach.
        unusable: Registers left out: captured more often than every 60 s, or with a scaler more
            than 9 from the others'.
        lock: Held while captures are written, and while another thread reads them.
    """

    def __init__(
        self, wanted_days: Mapping[Obis, int], meters: Sequence[MeterId], maximal_power_w: float
    ) -> None:
        self.wanted_days = dict(wanted_days)
        self.now_us = 0
        self.since_us = dict.fromkeys(wanted_days, 0)
        self.unusable: set[Register] = set()
        self.lock = threading.Lock()
        self.series: dict[Kind, CaptureSeries] = {}
        self._meters = meters
        self._maximal_power_w = maximal_power_w
        self._told: dict[Obis, list[Told]] = {}

    @property
    def size_bytes(self) -> int:
        """Memory of the captures, in bytes."""
        blocks = [block for each in self.series.values() for block in each.blocks.values()]
        return sum(block.size_bytes for block in blocks)

    def begin(self, now_us: int) -> None:
        """Say that of registers not restored all comes that is captured from now on."""
        for obis, since_us in self.since_us.items():
            if not since_us:
                self.since_us[obis] = now_us

    def first_us(self, obis: Obis) -> int:
        """Return from when on everything captured of a register is here, on the hour."""
        since_us = -(-self.since_us[obis] // _HOUR_US) * _HOUR_US
        return max(self.kept_from_us(obis), since_us)

    def kept_from_us(self, obis: Obis) -> int:
        """Return the midnight, UTC, before which captures are dropped."""
        today = self.now_us // DAY_US
        return max(today - self.wanted_days[obis], 0) * DAY_US

    def period_us(self, obis: Obis) -> int:
        """Return the capture period of a register, as far as it is known."""
        periods = [kind.period_s for kind in self.series if kind.obis == obis]
        return min(periods, default=self._assumed(obis).period_s) * US_PER_S

    def take(self, batch: ReadingBatch, run_rows: Rows, kept: Kept | None) -> None:
        """Take a batch's captures that are new to the ledger; moves the window on."""
        with self.lock:
            if len(batch):
                self._move_on(int(batch.received_at_us.max()))
            wanted = np.array([self._wants(register) for register in batch.registers], bool)
            if not wanted.any():
                return
            chosen = wanted[batch.register_index]
            if kept is not None:
                chosen &= kept
            # A clock far ahead must not open a block per day of its future.
            chosen &= batch.captured_at_us <= batch.received_at_us + DAY_US
            at = np.flatnonzero(chosen)
            captured = Captured(
                np.repeat(run_rows, batch.counts)[at],
                batch.captured_at_us[at],
                Cells(
                    batch.sequences()[at],
                    batch.integers[at],
                    batch.quality[at],
                    batch.origin[at],
                ),
            )
            index = batch.register_index[at]
            for number in np.unique(index).tolist():
                register = batch.registers[number]
                of_register = captured.take(index == number)
                self._tell(register.obis, self._put(register, of_register))

    def fill(self, register: Register, captured: Captured) -> None:
        """Take captures out of history; what is here already stays."""
        if self._wants(register):
            with self.lock:
                self._tell(register.obis, self._put(register, captured))

    def take_fresh(self) -> dict[Obis, list[Told]]:
        """Return by register what was told since the last call and is still kept."""
        told, self._told = self._told, {}
        return {
            obis: [each.since(self.kept_from_us(obis)) for each in of_register]
            for obis, of_register in told.items()
        }

    def everything(self, wanted: Sequence[Obis]) -> FreshIntervals:
        """Return every interval known of some registers."""
        with self.lock:
            return fresh_of(
                series.everything(self.kept_from_us(kind.obis))
                for kind, series in self.series.items()
                if kind.obis in wanted
            )

    def table(self, obis: Obis, start_us: int, end_us: int, rows: Int64s) -> IntervalTable:
        """Return the intervals of some twins over [start, end), known or not.

        Raises:
            WindowError: The register is not kept.
            MixedProfilesError: The twins count it in several units or periods.
            IntervalTableError: The range is off the grid, reversed or longer than 800 days.
        """
        if obis not in self.wanted_days:
            raise WindowError(f"The window does not keep {obis}; no app asked for it.")
        with self.lock:
            series = self._series_of(obis, rows)
            _check_range(start_us, end_us, series.period_us)
            first_index = start_us // series.period_us
            count = (end_us - start_us) // series.period_us
            cells = series.captures(first_index, count + 1, rows)
            factors, register = series.factors(rows), series.register
        meters = [self._meters[row] for row in rows.tolist()]
        return _table(meters, register, start_us, cells, self._rules(register, cells, factors))

    def _rules(self, register: Register, cells: Cells, factors: Int64s) -> SeriesRules:
        moduli = _USUAL_MODULUS_COUNT * factors
        moduli[cells.integers.max(axis=1, initial=0) >= moduli] = _WIDE_MODULUS_COUNT
        count = len(factors)
        return SeriesRules(
            modulus_count=moduli,
            scaler=np.full(count, register.scaler, np.int64),
            maximal_power_w=np.full(count, self._maximal_power_w, np.float64),
            period_s=np.full(count, register.period_s, np.int64),
        )

    def _move_on(self, now_us: int) -> None:
        if now_us // DAY_US > self.now_us // DAY_US:
            self.now_us = now_us
            for kind, series in self.series.items():
                series.drop_before(self.kept_from_us(kind.obis))
        self.now_us = max(self.now_us, now_us)

    def _wants(self, register: Register) -> bool:
        if register.obis not in self.wanted_days or not register.period_s:
            return False
        series = self.series.get(Kind(register.obis, register.unit, register.period_s))
        apart = 0 if series is None else abs(series.register.scaler - register.scaler)
        if register.period_s >= SHORTEST_PERIOD_S and apart <= _MOST_SCALERS_APART:
            return True
        if register not in self.unusable:
            self.unusable.add(register)
            log.warning("captures_unusable", register=str(register))
        return False

    def _tell(self, obis: Obis, told: Told) -> None:
        if len(told.rows):
            self._told.setdefault(obis, []).append(told)

    def _put(self, register: Register, captured: Captured) -> Told:
        kind = Kind(register.obis, register.unit, register.period_s)
        series = self.series.setdefault(kind, CaptureSeries(register))
        recent = captured.captured_at_us >= self.kept_from_us(register.obis)
        return series.put(captured.take(recent), register.scaler)

    def _series_of(self, obis: Obis, rows: Int64s) -> CaptureSeries:
        """Return the one series in which these twins count, an empty one if none does."""
        found = [series for kind, series in self.series.items() if kind.obis == obis]
        if not found:
            return CaptureSeries(self._assumed(obis))
        if len(found) == 1:
            return found[0]
        newest = np.stack([series.newest_points(rows) * series.period_us for series in found])
        chosen = np.unique(newest.argmax(axis=0)[newest.max(axis=0, initial=-1) >= 0])
        if len(chosen) > 1:
            ways = " and ".join(
                f"{found[each].register.unit.symbol} every {found[each].register.period_s} s"
                for each in chosen.tolist()
            )
            raise MixedProfilesError(
                f"These {len(rows)} meters count {obis} in {ways}; ask for the meters of each "
                "way by themselves.",
                obis=str(obis),
            )
        return found[int(chosen[0])] if len(chosen) else found[0]

    def _assumed(self, obis: Obis) -> Register:
        """Return how a register is counted of which nothing is known: as the others are."""
        period_s = next((kind.period_s for kind in self.series), _USUAL_PERIOD_S)
        unit = Unit.WATT_HOUR if obis.c in (1, 2) else Unit.VAR_HOUR
        return Register(obis, unit, 0, period_s)


def _check_range(start_us: int, end_us: int, period_us: int) -> None:
    is_on_grid = start_us % period_us == 0 and end_us % period_us == 0
    if not is_on_grid or not 0 <= end_us - start_us <= LONGEST_DAYS * DAY_US:
        raise IntervalTableError(
            f"Range {start_us} us to {end_us} us is off the grid of {period_us // US_PER_S} s, "
            f"reversed or longer than {LONGEST_DAYS} days.",
            start_us=start_us,
            end_us=end_us,
        )


def _table(
    meters: Sequence[MeterId], register: Register, start_us: int, cells: Cells, rules: SeriesRules
) -> IntervalTable:
    """Return the gains; only from the first to the last capture is there anything to compute."""
    is_present = cells.sequences > 0
    shape = (len(meters), is_present.shape[1] - 1)
    table = IntervalTable(
        meters,
        register,
        start_us,
        gain=np.zeros(shape, np.int64),
        is_known=np.zeros(shape, bool),
        quality=np.zeros(shape, np.uint8),
        origin=np.zeros(shape, np.uint8),
        spans=KnownSpans.none(),
    )
    captured = np.flatnonzero(is_present.any(axis=0))
    if len(captured) < 2:
        return table
    first, last = int(captured[0]), int(captured[-1])
    within = slice(first, last + 1)
    inner = table_from_captures(
        meters,
        register,
        cells.integers[:, within],
        rules,
        start_us=start_us + first * table.period_us,
        is_present=is_present[:, within],
        quality=cells.quality[:, within],
        origin=cells.origin[:, within],
    )
    if inner.gain.shape == shape:
        return inner
    table.gain[:, first:last] = inner.gain
    table.is_known[:, first:last] = inner.is_known
    table.quality[:, first:last] = inner.quality
    table.origin[:, first:last] = inner.origin
    spans = inner.spans
    moved = KnownSpans(spans.row, spans.first_index + first, spans.interval_count, spans.gain)
    return IntervalTable(
        meters,
        register,
        start_us,
        table.gain,
        table.is_known,
        table.quality,
        table.origin,
        moved,
    )
