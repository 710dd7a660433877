"""Activity calendar, class 20: the tariff table in the meter, one in force and one prepared."""

from collections.abc import Callable
from dataclasses import dataclass, field

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.enumerations import DataAccessResult
from metertwin.cosem.classes.clock import NEVER
from metertwin.cosem.classes.definition import CosemObject, S, Write
from metertwin.cosem.classes.interface import ACTIVITY_CALENDAR
from metertwin.cosem.data import Data, Tag, array, octets
from metertwin.cosem.errors import ServiceError

ACTIVITY_CALENDAR_NAME = Obis(0, 0, 13, 0, 0, 255)
_UNNAMED = octets(b"")
_EMPTY = array()


@dataclass(slots=True)
class TariffTable:
    """One calendar as COSEM values: name, seasons, weeks and days."""

    name: Data = _UNNAMED
    seasons: Data = _EMPTY
    weeks: Data = _EMPTY
    days: Data = _EMPTY


@dataclass(slots=True)
class CalendarSlot:
    """A meter's two calendars.

    Args:
        active: The one in force.
        passive: The one that is written and waits.
        activate_at: Date-time at which it takes over, an octet string of 12.
    """

    active: TariffTable = field(default_factory=TariffTable)
    passive: TariffTable = field(default_factory=TariffTable)
    activate_at: Data = NEVER

    def activate(self) -> None:
        """Put a copy of the passive calendar into force."""
        passive = self.passive
        self.active = TariffTable(passive.name, passive.seasons, passive.weeks, passive.days)


class ActivityCalendar(CosemObject[S]):
    """Class 20, Activity calendar; only the passive calendar can be written.

    Args:
        slot: The meter's two calendars.
        activate: Puts the passive calendar into force; raises ServiceError to refuse it.
        schedule: Called after the date-time of the next activation was written.
        obis: The logical name.
    """

    interface = ACTIVITY_CALENDAR
    __slots__ = ()

    def __init__(
        self,
        slot: Callable[[S], CalendarSlot],
        *,
        activate: Callable[[S], None] | None = None,
        schedule: Callable[[S], None] | None = None,
        obis: Obis = ACTIVITY_CALENDAR_NAME,
    ) -> None:
        def put_into_force(state: S, _parameter: Data) -> None:
            if activate is None:
                slot(state).activate()
            else:
                activate(state)

        super().__init__(
            obis,
            {
                2: lambda state: slot(state).active.name,
                3: lambda state: slot(state).active.seasons,
                4: lambda state: slot(state).active.weeks,
                5: lambda state: slot(state).active.days,
                6: lambda state: slot(state).passive.name,
                7: lambda state: slot(state).passive.seasons,
                8: lambda state: slot(state).passive.weeks,
                9: lambda state: slot(state).passive.days,
                10: lambda state: slot(state).activate_at,
            },
            methods={1: put_into_force},
            writes=_writes(slot, schedule),
        )


def _writes(
    slot: Callable[[S], CalendarSlot], schedule: Callable[[S], None] | None
) -> dict[int, Write[S]]:
    def into_passive(name: str, tag: Tag) -> Write[S]:
        def write(state: S, value: Data) -> None:
            setattr(slot(state).passive, name, _of_type(value, tag))

        return write

    def set_time(state: S, value: Data) -> None:
        slot(state).activate_at = _of_type(value, Tag.OCTET_STRING)
        if schedule is not None:
            schedule(state)

    return {
        6: into_passive("name", Tag.OCTET_STRING),
        7: into_passive("seasons", Tag.ARRAY),
        8: into_passive("weeks", Tag.ARRAY),
        9: into_passive("days", Tag.ARRAY),
        10: set_time,
    }


def _of_type(value: Data, tag: Tag) -> Data:
    if value.tag is not tag:
        raise ServiceError(
            f"The activity calendar takes {tag.name} here, not {value.tag.name}.",
            result=DataAccessResult.TYPE_UNMATCHED,
        )
    return value
