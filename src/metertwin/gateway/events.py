"""What the gateway itself reports: silent meters, wrong clocks, replaced devices, event logs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from metertwin.bus.messages import encode
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import Kind, subject
from metertwin.core.clock import Clock, from_us, to_us
from metertwin.core.event import Event, EventSource
from metertwin.core.ids import GroupId, MeterId
from metertwin.meters.port import LoggedEvent

METER_SILENT = -1
METER_ANSWERING = -2
CLOCK_OFF = -3
CLOCK_RIGHT = -4
METER_REPLACED = -5

_OWN_NAMES = {
    METER_SILENT: "meter_silent",
    METER_ANSWERING: "meter_answering",
    CLOCK_OFF: "clock_off",
    CLOCK_RIGHT: "clock_right",
    METER_REPLACED: "meter_replaced",
}

# The numbers most companion specifications share; a number that is not here keeps its number.
_LOG_NAMES = {
    1: "power_down",
    2: "power_up",
    3: "daylight_saving_changed",
    4: "clock_adjusted_from",
    5: "clock_adjusted_to",
    6: "clock_invalid",
    7: "replace_battery",
    8: "battery_low",
    10: "calendar_activated",
    11: "register_cleared",
    18: "firmware_activated",
    40: "terminal_cover_removed",
    41: "terminal_cover_closed",
    42: "strong_magnetic_field",
    43: "no_magnetic_field",
    44: "meter_cover_removed",
    45: "meter_cover_closed",
    59: "disconnector_ready",
    60: "manual_disconnection",
    61: "manual_connection",
    62: "remote_disconnection",
    63: "remote_connection",
    64: "local_disconnection",
    65: "limiter_exceeded",
    66: "limiter_normal",
    67: "limiter_changed",
    230: "meter_replaced",
}


@dataclass(frozen=True, slots=True)
class EventOutbox:
    """Publishes events of one group; the same event published twice is one event.

    Attributes:
        publisher: Repeats until the stream has it.
        group: The group.
        clock: The meters' time.
    """

    publisher: Publisher
    group: GroupId
    clock: Clock

    async def own(self, meter: MeterId, code: int, detail: str) -> None:
        """Publish something the gateway found out now."""
        now = self.clock.now()
        await self._publish(
            Event(meter, EventSource.GATEWAY, code, _OWN_NAMES[code], now, now, detail)
        )

    async def logged(self, meter: MeterId, entries: Sequence[LoggedEvent]) -> None:
        """Publish entries of a meter's own log."""
        received_at = self.clock.now()
        for captured_at_us, code in entries:
            await self._publish(_of_log(meter, code, from_us(captured_at_us), received_at))

    async def _publish(self, event: Event) -> None:
        identity = f"{event.meter}:{event.source}:{to_us(event.captured_at)}:{event.code}"
        to = subject(self.group, Kind.EVENT, event.meter)
        await self.publisher.publish(to, encode(event), identity)


def _of_log(meter: MeterId, code: int, captured_at: datetime, received_at: datetime) -> Event:
    name = _LOG_NAMES.get(code, f"logged_{code}")
    return Event(meter, EventSource.METER, code, name, captured_at, received_at)
