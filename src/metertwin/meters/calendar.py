"""The tariff calendar of a DLMS meter: read, compared by what it says, written where it differs.

Only the calendar that waits is written, and it takes over as a whole, so the one in force is never
half a calendar; a writing that was cut short is finished by repeating it. The special days alone
have one table for both: it is written just before, put back if the meter refuses the calendar, and
written for a later day only where no day before minds.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple

from metertwin.apps.tariff.activity_calendar import (
    USUAL_LIMITS,
    CalendarLimits,
    MeterCalendarError,
    from_tables,
    to_tables,
)
from metertwin.apps.tariff.calendar import Calendar, CalendarError
from metertwin.apps.tariff.calendar_meaning import meaning
from metertwin.apps.tariff.calendar_text import CalendarOrder
from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import (
    AttributeDescriptor,
    MethodDescriptor,
    SelectedAttribute,
)
from metertwin.cosem.calendar_tables import CalendarTables, SpecialDay, read_special_days
from metertwin.cosem.data import Data, array, int8, octets
from metertwin.cosem.datetime import decode_datetime, encode_datetime
from metertwin.cosem.errors import CosemError
from metertwin.meters.errors import AnswerError, EffectError
from metertwin.meters.model import MeterModel
from metertwin.meters.port import Effect, MeterCalendar
from metertwin.meters.session import DlmsSession

_CALENDAR = Obis(0, 0, 13, 0, 0)
_SPECIAL_DAYS = Obis(0, 0, 11, 0, 0)
_ACTIVE = tuple(AttributeDescriptor(20, _CALENDAR, number) for number in range(2, 6))
_PASSIVE = tuple(AttributeDescriptor(20, _CALENDAR, number) for number in range(6, 10))
_ACTIVATE_AT = AttributeDescriptor(20, _CALENDAR, 10)
_ACTIVATE = MethodDescriptor(20, _CALENDAR, 1)
_ENTRIES = AttributeDescriptor(11, _SPECIAL_DAYS, 2)
_NEVER = octets(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x00\xff")
_TIME_TOLERANCE = timedelta(seconds=1)
_YEAR_DAYS = 366


class CalendarWish(NamedTuple):
    """A calendar a meter is to follow, now or later.

    Attributes:
        now: The time.
        zone: The zone of the meter's clock.
    """

    order: CalendarOrder
    now: datetime
    zone: tzinfo

    @property
    def activate_at(self) -> datetime | None:
        """When it takes over; None when that is now."""
        wanted = self.order.activate_at
        return wanted if wanted is not None and wanted > self.now else None


async def read_calendar(session: DlmsSession, model: MeterModel, zone: tzinfo) -> MeterCalendar:
    """Return the calendar in force.

    Raises:
        AnswerError: The meter refuses it, or it says what a tariff calendar cannot.
        MeterLinkError: The meter fails.
    """
    activates_at = await _activates_at(session, zone)
    attributes, entries = await _attributes(session, model, _ACTIVE)
    try:
        tables = _tables(attributes, entries)
        calendar = from_tables(tables)
    except (CosemError, CalendarError) as error:
        raise AnswerError(f"The meter's tariff calendar cannot be understood: {error}") from error
    return MeterCalendar(tables.name.decode("utf-8", "replace"), calendar, activates_at)


async def holds_calendar(session: DlmsSession, model: MeterModel, wish: CalendarWish) -> bool:
    """Return whether the meter follows the calendar, or will from the wanted time on.

    Raises:
        MeterLinkError: The meter fails or refuses.
    """
    activates_at = await _activates_at(session, wish.zone)
    if activates_at is None or activates_at <= wish.now:
        return await _says(session, model, _ACTIVE, wish.order.calendar)
    if wish.activate_at is None or abs(activates_at - wish.activate_at) > _TIME_TOLERANCE:
        return False  # another calendar would take over
    return await _says(session, model, _PASSIVE, wish.order.calendar)


async def write_calendar(session: DlmsSession, model: MeterModel, wish: CalendarWish) -> Effect:
    """Make the meter follow a calendar, unless it does.

    Raises:
        MeterCalendarError: The meter cannot hold it, or its special days cannot wait.
        EffectError: The meter took it and shows another one.
        MeterLinkError: The meter fails or refuses.
    """
    if await holds_calendar(session, model, wish):
        return Effect(was_so_before=True, detail="")
    tables = to_tables(wish.order.calendar, _limits_of(model))
    has_special_days = _SPECIAL_DAYS in model.classes
    if tables.special_days and not has_special_days:
        raise MeterCalendarError("The meter has no special days table, the calendar has holidays.")
    at = wish.activate_at
    if at is not None:
        await _check_special_days(session, model, tables, wish)
    if await _activates_at(session, wish.zone) is not None:
        await session.set(_ACTIVATE_AT, _NEVER)  # nothing half written may take over
    for descriptor, value in zip(_PASSIVE, tables.attributes(), strict=True):
        await session.set(descriptor, value)
    _, entries = await _attributes(session, model, ())
    if has_special_days:
        await session.set(_ENTRIES, tables.entries())
    try:
        if at is None:
            await session.action(_ACTIVATE, int8(0))
        else:
            await session.set(_ACTIVATE_AT, octets(encode_datetime(at, wish.zone)))
    except AnswerError:
        if has_special_days:
            await session.set(_ENTRIES, entries)  # the calendar in force stays, with its own
        raise
    if not await holds_calendar(session, model, wish):
        raise EffectError(
            "The meter accepted a tariff calendar and shows another one afterwards; read it and "
            "compare.",
            wanted=tables.name.decode(),
        )
    return Effect(was_so_before=False, detail=f"calendar {tables.name.decode()}")


async def _says(
    session: DlmsSession,
    model: MeterModel,
    descriptors: Sequence[AttributeDescriptor],
    wanted: Calendar,
) -> bool:
    attributes, entries = await _attributes(session, model, descriptors)
    try:
        shown = from_tables(_tables(attributes, entries))
    except (CosemError, CalendarError):
        return False  # whatever it says, it is not what we would say
    return meaning(shown) == meaning(wanted)


def _tables(attributes: Sequence[Data], entries: Data) -> CalendarTables:
    """Return a calendar with those special days that are its own.

    The one table serves both calendars: what names a day profile only the other one has is the
    other one's.
    """
    tables = CalendarTables.read(attributes, entries)
    own = {day.day_id for day in tables.days}
    special_days = tuple(special for special in tables.special_days if special.day_id in own)
    return replace(tables, special_days=special_days)


async def _attributes(
    session: DlmsSession, model: MeterModel, descriptors: Sequence[AttributeDescriptor]
) -> tuple[list[Data], Data]:
    """Return attributes and, behind them, the special days."""
    wanted = [*descriptors, *([_ENTRIES] if _SPECIAL_DAYS in model.classes else [])]
    results = await session.get_list([SelectedAttribute(descriptor) for descriptor in wanted])
    values = [result for result in results if isinstance(result, Data)]
    if len(values) < len(wanted):
        refused = [str(result) for result in results if not isinstance(result, Data)]
        raise AnswerError(f"The meter refuses to show its tariff calendar: {', '.join(refused)}.")
    count = len(descriptors)
    return values[:count], values[count] if len(values) > count else array()


async def _activates_at(session: DlmsSession, zone: tzinfo) -> datetime | None:
    """Return when the calendar that waits takes over; None where no moment is set."""
    shown = await session.get(_ACTIVATE_AT)
    try:
        return decode_datetime(shown.octets(), zone).moment
    except CosemError:
        return None


def _limits_of(model: MeterModel) -> CalendarLimits:
    """Return what a meter holds, as far as its list of objects tells."""
    rates_count = 0
    while Obis(1, 0, 1, 8, rates_count + 1) in model.classes:
        rates_count += 1
    return replace(USUAL_LIMITS, rates_count=rates_count) if rates_count else USUAL_LIMITS


async def _check_special_days(
    session: DlmsSession, model: MeterModel, tables: CalendarTables, wish: CalendarWish
) -> None:
    """Raise MeterCalendarError if the special days would be felt before their calendar is."""
    _, entries = await _attributes(session, model, ())
    try:
        shown = read_special_days(entries)
    except CosemError:
        shown = ()
    assert wish.activate_at is not None
    day, last = wish.now.astimezone(wish.zone).date(), wish.activate_at.astimezone(wish.zone).date()
    last = min(last, day + timedelta(days=_YEAR_DAYS))
    while day <= last:
        if _on(shown, day) != _on(tables.special_days, day):
            raise MeterCalendarError(
                f"{day} is a special day before the calendar takes over on {last}, and the meter "
                "has one table of them for both calendars; activate at once or from an earlier day."
            )
        day += timedelta(days=1)


def _on(special_days: Sequence[SpecialDay], day: date) -> list[int]:
    return [special.day_id for special in special_days if special.date.is_on(day)]
