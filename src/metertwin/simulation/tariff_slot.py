"""The tariff tables one simulated meter holds, and when it begins to follow them."""

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from metertwin.cosem.apdu.enumerations import DataAccessResult
from metertwin.cosem.calendar_tables import CalendarTables, read_special_days
from metertwin.cosem.classes.calendar import CalendarSlot, TariffTable
from metertwin.cosem.classes.clock import NEVER
from metertwin.cosem.data import Data, array
from metertwin.cosem.datetime import decode_datetime
from metertwin.cosem.errors import CosemError, DecodeError, ServiceError
from metertwin.simulation.tariffs import SPECIAL_DAYS_MAX, TariffCalendar, day_and_night


@dataclass(slots=True)
class TariffSlot:
    """What classes 20 and 11 show of one meter.

    Attributes:
        calendars: The calendar in force and the one that waits.
        special_days: Attribute 2 of class 11, for both.
    """

    calendars: CalendarSlot = field(default_factory=lambda: CalendarSlot(active=_default()))
    special_days: Data = field(default_factory=array)

    def activate(self) -> TariffCalendar:
        """Put the passive calendar into force and return it.

        Raises:
            ServiceError: A simulated meter cannot follow it; the one in force stays.
        """
        calendar = _calendar(self.calendars.passive, self.special_days)
        self.calendars.activate()
        self.calendars.activate_at = NEVER
        return calendar

    def write_special_days(self, entries: Data) -> TariffCalendar:
        """Take other special days and return the calendar in force with them.

        Raises:
            ServiceError: They are malformed or too many.
        """
        try:
            if len(read_special_days(entries)) > SPECIAL_DAYS_MAX:
                raise DecodeError(f"A simulated meter holds {SPECIAL_DAYS_MAX} special days.")
        except CosemError as error:
            raise ServiceError(str(error), result=DataAccessResult.OTHER_REASON) from error
        self.special_days = entries
        return _calendar(self.calendars.active, entries)

    def activation(self, zone: ZoneInfo) -> datetime | None:
        """Return when the passive calendar takes over; None when no moment is given."""
        if self.calendars.activate_at == NEVER:
            return None
        try:
            return decode_datetime(self.calendars.activate_at.octets(), zone).moment
        except DecodeError:
            return None


def _default() -> TariffTable:
    return TariffTable(*day_and_night().attributes())


def _calendar(table: TariffTable, entries: Data) -> TariffCalendar:
    attributes = (table.name, table.seasons, table.weeks, table.days)
    try:
        return TariffCalendar(CalendarTables.read(attributes, entries))
    except DecodeError as error:
        raise ServiceError(
            f"The simulated meter refuses a calendar it cannot read: {error}",
            result=DataAccessResult.OTHER_REASON,
        ) from error
