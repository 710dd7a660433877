"""One poll of one meter: its registers at this moment, then what its profile and log have new.

Each exchange takes the link for itself and gives it back, so that a command or a read through a
twin waits for one exchange, not for a meter's two silent weeks to be fetched.
"""

from dataclasses import dataclass

from metertwin.core.clock import Clock, to_us
from metertwin.core.obis import Obis, parse_cached
from metertwin.core.reading import Quality
from metertwin.gateway.config import PollSettings
from metertwin.gateway.events import (
    CLOCK_OFF,
    CLOCK_RIGHT,
    METER_REPLACED,
    EventOutbox,
)
from metertwin.gateway.meter import PolledMeter
from metertwin.gateway.metrics import GatewayMetrics
from metertwin.gateway.pending import PendingReadings, Piece
from metertwin.meters.port import MeterIdentity, ProfileRows, Snapshot

_US_PER_S = 1_000_000
# What one poll fetches at most of a profile; the rest waits for the next, so that a meter that was
# away for a year does not hold its place in the lane for minutes.
_CHUNKS_PER_POLL = 8
_LOG_EVERY_US = 900 * _US_PER_S
# A meter's clock shows hundredths at best, and it is read somewhere within the round trip.
_CLOCK_GRAIN_S = 1.0


@dataclass(slots=True)
class Poller:
    """Reads meters into the queue.

    Attributes:
        settings: What is read.
        clock: The meters' time.
        pending: Where readings go.
        events: Where findings go.
        metrics: What is counted.
    """

    settings: PollSettings
    clock: Clock
    pending: PendingReadings
    events: EventOutbox
    metrics: GatewayMetrics

    async def poll(self, meter: PolledMeter) -> None:
        """Read what is new of one meter.

        Raises:
            MeterLinkError: The meter failed; what was read before that is kept.
        """
        piece, snapshot = await self.read_moment(meter)
        meter.is_doubtful = snapshot.round_trip_s > self.settings.slow_s
        clock_us = int(piece.captured_at_us[0])
        for profile in self.settings.profiles:
            await self._catch_up(meter, parse_cached(profile), clock_us)
        # The second bound lets a clock that was set back not postpone the log by as much.
        until_log_us = meter.log_due_us - clock_us
        if self.settings.event_log is not None and not 0 < until_log_us <= _LOG_EVERY_US:
            await self._follow_log(meter, parse_cached(self.settings.event_log), clock_us)
            meter.log_due_us = clock_us + _LOG_EVERY_US
        meter.polled_at_us = piece.received_at_us
        self.metrics.polls_count += 1

    async def read_moment(self, meter: PolledMeter) -> tuple[Piece, Snapshot]:
        """Read the polled registers; return the piece as it was queued, and the snapshot."""
        async with meter.in_turn(self.metrics) as identity:
            snapshot = await meter.link.read_moment()
        if identity is not None:
            await self._recognise(meter, identity)
        piece = self.queue(meter, snapshot)
        await self._check_clock(meter, snapshot, piece.received_at_us)
        return piece, snapshot

    async def read_register(self, meter: PolledMeter, obis: Obis) -> Piece:
        """Read one register; return the piece as it was queued."""
        async with meter.in_turn(self.metrics) as identity:
            snapshot = await meter.link.read_register(obis)
        if identity is not None:
            await self._recognise(meter, identity)
        return self.queue(meter, snapshot)

    async def read_range(
        self, meter: PolledMeter, profile: Obis, first_us: int, last_us: int
    ) -> Piece:
        """Read a range of a profile; return the piece as it was queued."""
        async with meter.in_turn(self.metrics):
            rows = await meter.link.read_profile(profile, first_us, last_us)
        return self._queue_rows(meter, rows)

    def queue(self, meter: PolledMeter, snapshot: Snapshot) -> Piece:
        """Queue what a snapshot brought; a meter without a clock gets our time and the doubt."""
        received_at_us = to_us(self.clock.now())
        captured_at_us, quality = snapshot.captured_at_us, snapshot.quality
        if captured_at_us is None:
            captured_at_us, quality = received_at_us, quality | Quality.CLOCK_INVALID
        piece = Piece(
            meter=meter.meter,
            registers=snapshot.registers,
            integers=snapshot.integers,
            captured_at_us=(captured_at_us,),
            quality=(quality,),
            received_at_us=received_at_us,
            origin=meter.entry.reading_origin,
        )
        self.pending.add(piece)
        self.metrics.readings_count += len(piece)
        return piece

    def _queue_rows(self, meter: PolledMeter, rows: ProfileRows) -> Piece:
        piece = Piece(
            meter=meter.meter,
            registers=rows.registers,
            integers=rows.integers.ravel(),
            captured_at_us=rows.captured_at_us,
            quality=rows.quality,
            received_at_us=to_us(self.clock.now()),
            origin=meter.entry.reading_origin,
        )
        self.pending.add(piece)
        self.metrics.readings_count += len(piece)
        self.metrics.profile_rows_count += len(rows.captured_at_us)
        return piece

    async def period_us(self, meter: PolledMeter, profile: Obis) -> int:
        """Return a profile's capture period in microseconds; 0 when nothing can be followed."""
        async with meter.in_turn(self.metrics):
            shape = await meter.link.profile_shape(profile)
        return shape.period_s * _US_PER_S if shape.registers else 0

    async def _catch_up(self, meter: PolledMeter, profile: Obis, clock_us: int) -> None:
        """Read the profile up to the meter's clock, a chunk at a time."""
        period_us = await self.period_us(meter, profile)
        if not period_us:
            return
        period_s = period_us // _US_PER_S
        position = self._position(meter, period_s, clock_us)
        for _ in range(_CHUNKS_PER_POLL):
            if clock_us - position < period_us:
                break
            last_us = min(position + self.settings.profile_rows_count * period_us, clock_us)
            async with meter.in_turn(self.metrics):
                rows = await meter.link.read_profile(profile, position + _US_PER_S, last_us)
            self._queue_rows(meter, rows)
            if last_us < clock_us:
                position = last_us  # all up to here was asked for, whether it is there or not
            elif len(rows.captured_at_us):
                position = int(rows.captured_at_us[-1])
            else:
                break  # the interval that just ended may come a moment later
            meter.read_us[period_s] = position

    def _position(self, meter: PolledMeter, period_s: int, clock_us: int) -> int:
        position = meter.read_us.get(period_s)
        if position is None:
            position = meter.progress.profile_us.get(period_s)
        if position is None:
            position = clock_us - int(self.settings.first_profile_s * _US_PER_S)
        if position > clock_us:
            # The clock was set back, at some moment since the last poll, and passes the intervals
            # of that hour again, with other values in them.
            position = clock_us - self._since_last_poll_us(meter)
        meter.read_us[period_s] = position
        return position

    def _since_last_poll_us(self, meter: PolledMeter) -> int:
        if not meter.polled_at_us:
            return int(self.settings.first_profile_s * _US_PER_S)
        return to_us(self.clock.now()) - meter.polled_at_us

    async def _follow_log(self, meter: PolledMeter, log: Obis, clock_us: int) -> None:
        progress = meter.progress
        since_us = progress.log_us
        if since_us is None:
            since_us = clock_us - int(self.settings.first_profile_s * _US_PER_S)
        since_us = min(since_us, clock_us)
        async with meter.in_turn(self.metrics):
            entries = await meter.link.read_log(log, since_us, clock_us)
        # The last second is read again: more may have happened in it. What comes twice has the same
        # identity and is one event to everybody.
        await self.events.logged(meter.meter, entries)
        progress.log_us = max((entry.captured_at_us for entry in entries), default=since_us)

    async def _recognise(self, meter: PolledMeter, identity: MeterIdentity) -> None:
        known = meter.progress.serial
        if known and identity.serial and known != identity.serial:
            await self.events.own(
                meter.meter,
                METER_REPLACED,
                f"serial number {known} was replaced by {identity.serial}",
            )
        meter.progress.serial = identity.serial or known

    async def _check_clock(
        self, meter: PolledMeter, snapshot: Snapshot, received_at_us: int
    ) -> None:
        if snapshot.captured_at_us is None:
            return
        # Where a simulated day runs fast, a round trip is long in the meters' time.
        half_trip_s = snapshot.round_trip_s * self.clock.speed_ratio / 2
        ahead_s = (snapshot.captured_at_us - received_at_us) / _US_PER_S + half_trip_s
        is_off = abs(ahead_s) > self.settings.clock_limit_s + half_trip_s + _CLOCK_GRAIN_S
        if is_off == meter.is_clock_off:
            return
        meter.is_clock_off = is_off
        direction = "ahead of" if ahead_s > 0 else "behind"
        await self.events.own(
            meter.meter,
            CLOCK_OFF if is_off else CLOCK_RIGHT,
            f"the meter's clock is {abs(ahead_s):.0f} s {direction} the gateway's",
        )
