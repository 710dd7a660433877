"""A meter as its object model sees it: a row of the columns and nothing of its own."""

import contextlib
import math
from datetime import datetime, timedelta

import numpy as np

from metertwin.core.ids import MeterId
from metertwin.cosem.classes.control import ControlState
from metertwin.cosem.classes.image_transfer import ImageSlot
from metertwin.cosem.data import Data
from metertwin.cosem.errors import ServiceError
from metertwin.cosem.server.device import LogicalDevice
from metertwin.simulation.columns import CONNECTED, UWH_PER_WH, Energy
from metertwin.simulation.event_log import MeterEvent
from metertwin.simulation.tariff_slot import TariffSlot
from metertwin.simulation.tariffs import TariffCalendar
from metertwin.simulation.world import STATUS_CLOCK_ADJUSTED, World

FIRMWARE = "MTW-1.0.0"
_REGISTER_MASK = 0xFFFF_FFFF
_MICROSECONDS_PER_S = 1_000_000


class Metering:
    """What all meters of a world share beyond its columns: things few meters ever have.

    Args:
        world: The world.

    Attributes:
        tariffs: Tariff tables of meters whose calendar was asked for, by row.
        images: Firmware images under way, by row.
        firmware: Firmware of meters that got another one, by row.
    """

    __slots__ = ("firmware", "images", "tariffs", "world")

    def __init__(self, world: World) -> None:
        self.world = world
        self.tariffs: dict[int, TariffSlot] = {}
        self.images: dict[int, ImageSlot] = {}
        self.firmware: dict[int, str] = {}


class Meter:
    """One meter.

    Args:
        shared: What it shares with all others.
        row: Its row.

    Attributes:
        device: The logical device that serves it; None for a meter nobody serves.
    """

    __slots__ = ("device", "row", "shared")

    def __init__(self, shared: Metering, row: int) -> None:
        self.shared = shared
        self.row = row
        self.device: LogicalDevice[Meter] | None = None

    @property
    def world(self) -> World:
        """The world it is in."""
        return self.shared.world

    @property
    def id(self) -> MeterId:
        """Its id."""
        return self.world.street.meter_ids[self.row]

    @property
    def serial(self) -> str:
        """Serial number; a replaced meter has another one."""
        return f"{self.row + 1:08d}{int(self.world.columns.generation[self.row]):02d}"

    @property
    def firmware(self) -> str:
        """Version of the firmware."""
        return self.shared.firmware.get(self.row, FIRMWARE)

    @property
    def is_answering(self) -> bool:
        """Whether it answers: it has voltage and the scenario does not silence it."""
        columns = self.world.columns
        return bool(columns.is_powered[self.row]) and not bool(columns.is_silent[self.row])

    def energy_wh(self, counter: Energy) -> int:
        """Return a register in whole Wh or varh; it rolls over at 2^32."""
        counted = int(self.world.columns.energy_uwh[counter, self.row])
        return (counted // UWH_PER_WH) & _REGISTER_MASK

    @property
    def clock(self) -> datetime:
        """What its clock shows, as UTC."""
        offset_s = float(self.world.columns.clock_offset_s[self.row])
        return self.world.current_time() + timedelta(seconds=offset_s)

    def set_clock(self, moment: datetime) -> None:
        """Set its clock, and log the old and the new time."""
        world = self.world
        rows = np.array([self.row])
        world.log(rows, MeterEvent.CLOCK_ADJUSTED_OLD)
        offset = moment - world.current_time()
        world.columns.clock_offset_s[self.row] = offset.total_seconds()
        world.columns.status[self.row] |= STATUS_CLOCK_ADJUSTED
        world.log(rows, MeterEvent.CLOCK_ADJUSTED_NEW)

    @property
    def is_connected(self) -> bool:
        """Whether the breaker is closed."""
        return bool(self.world.columns.control_state[self.row] == CONNECTED)

    @property
    def control_state(self) -> ControlState:
        """What the breaker is or is ready for."""
        return ControlState(int(self.world.columns.control_state[self.row]))

    def disconnect(self) -> None:
        """Open the breaker; the load is gone from the next step on."""
        self._switch(ControlState.DISCONNECTED, MeterEvent.REMOTE_DISCONNECTION)

    def reconnect(self) -> None:
        """Close the breaker."""
        self._switch(ControlState.CONNECTED, MeterEvent.REMOTE_CONNECTION)

    def _switch(self, state: ControlState, event: MeterEvent) -> None:
        if self.control_state is not state:
            self.world.columns.control_state[self.row] = state
            self.world.log(np.array([self.row]), event)

    @property
    def limit_w(self) -> int:
        """Threshold of the limiter."""
        return int(self.world.columns.limit_w[self.row])

    def set_limit(self, limit_w: int) -> None:
        """Set the threshold, in W; `columns.NO_LIMIT_W` for none."""
        self.world.columns.limit_w[self.row] = limit_w
        self.world.columns.over_limit_s[self.row] = 0
        self.world.log(np.array([self.row]), MeterEvent.LIMITER_CHANGED)

    @property
    def tariffs(self) -> TariffSlot:
        """Its tariff tables."""
        return self.shared.tariffs.setdefault(self.row, TariffSlot())

    def activate_calendar(self) -> None:
        """Follow the passive calendar from the next step on.

        Raises:
            ServiceError: It says something this meter cannot do.
        """
        self._follow(self.tariffs.activate())
        self.world.log(np.array([self.row]), MeterEvent.CALENDAR_ACTIVATED)

    def schedule_calendar(self) -> None:
        """Activate the passive calendar when its time comes, or no more if it has none."""
        moment = self.tariffs.activation(self.world.config.zone)
        if moment is None:
            self.world.due.pop(self.row, None)
        else:
            self.world.due[self.row] = (math.ceil(self._true_s(moment)), self._activate_if_possible)

    def write_special_days(self, entries: Data) -> None:
        """Follow other special days from the next step on.

        Raises:
            ServiceError: They cannot be understood or are too many.
        """
        self._follow(self.tariffs.write_special_days(entries))

    def _activate_if_possible(self) -> None:
        with contextlib.suppress(ServiceError):  # nobody asks: the one in force stays
            self.activate_calendar()

    def _true_s(self, shown: datetime) -> float:
        return shown.timestamp() - float(self.world.columns.clock_offset_s[self.row])

    def _follow(self, calendar: TariffCalendar) -> None:
        calendars = self.world.calendars
        known = [place for place, each in enumerate(calendars) if each.tables == calendar.tables]
        if not known:
            calendars.append(calendar)
        self.world.columns.calendar[self.row] = known[0] if known else len(calendars) - 1

    @property
    def image(self) -> ImageSlot:
        """Where a firmware image gathers."""
        slot = self.shared.images.get(self.row)
        if slot is None:
            slot = ImageSlot(activate=self._start_firmware)
            self.shared.images[self.row] = slot
        return slot

    def _start_firmware(self, identifier: bytes, _image: bytes) -> None:
        self.shared.firmware[self.row] = identifier.decode("ascii", "replace")
        self.world.log(np.array([self.row]), MeterEvent.FIRMWARE_ACTIVATED)

    @property
    def lowest_invocation_counter(self) -> int:
        """The lowest counter the managing client may cipher with next."""
        return 0 if self.device is None else self.device.gate(1).lowest_accepted
