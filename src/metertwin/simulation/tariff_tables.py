"""Tariff calendars as COSEM tables and back."""

from metertwin.cosem.apdu.enumerations import ActionResult
from metertwin.cosem.classes.calendar import TariffTable
from metertwin.cosem.classes.clock import NEVER
from metertwin.cosem.data import Data, array, octets, structure, uint8, uint16
from metertwin.cosem.errors import CosemError, ServiceError
from metertwin.simulation.tariffs import DAY_AND_NIGHT, Switch, TariffCalendar

_TARIFF_SCRIPTS = bytes((0, 0, 10, 0, 100, 255))
_WEEK_NAME = b"week"


def default_tables() -> TariffTable:
    """Return tables that say what `DAY_AND_NIGHT` does."""
    season = structure(octets(b"all"), NEVER, octets(_WEEK_NAME))
    week = structure(octets(_WEEK_NAME), *[uint8(1)] * 7)
    actions = [
        structure(
            octets(bytes((*divmod(switch.second_of_day // 60, 60), 0, 0))),
            octets(_TARIFF_SCRIPTS),
            uint16(switch.tariff),
        )
        for switch in DAY_AND_NIGHT.week[0]
    ]
    days = array(structure(uint8(1), array(*actions)))
    return TariffTable(octets(b"day and night"), array(season), array(week), days)


def read_tables(tables: TariffTable) -> TariffCalendar:
    """Return the calendar that tables describe.

    The simulated meter knows two tariffs, selectors 1 and 2, and one season.

    Raises:
        ServiceError: The tables are malformed or need more than that.
    """
    try:
        seasons = tables.seasons.elements()
        if len(seasons) != 1:
            raise _refused(f"{len(seasons)} seasons; it does one")
        _, _, week_name = seasons[0].elements()
        weeks = {
            week.elements()[0].octets(): week.elements()[1:] for week in tables.weeks.elements()
        }
        days = dict(_day(day) for day in tables.days.elements())
        week = weeks[week_name.octets()]
        return TariffCalendar(tuple(days[day.integer()] for day in week))
    except (CosemError, KeyError, ValueError) as error:
        if isinstance(error, ServiceError):
            raise
        raise _refused(f"tables that do not fit together ({error})") from error


def _day(day: Data) -> tuple[int, tuple[Switch, ...]]:
    number, actions = day.elements()
    switches = tuple(sorted((_switch(action) for action in actions.elements()), key=_when))
    if not switches:
        raise _refused("a day without a switch")
    return number.integer(), switches


def _switch(action: Data) -> Switch:
    start, _, selector = action.elements()
    hour, minute, second, _ = start.octets()
    if hour > 23 or minute > 59 or selector.integer() not in {1, 2}:
        raise _refused(f"selector {selector.integer()} at {hour}:{minute}; it has tariffs 1 and 2")
    return Switch(hour * 3600 + minute * 60 + (second if second < 60 else 0), selector.integer())


def _when(switch: Switch) -> int:
    return switch.second_of_day


def _refused(what: str) -> ServiceError:
    return ServiceError(
        f"The simulated meter refuses a calendar with {what}.",
        result=ActionResult.OTHER_REASON,
    )
