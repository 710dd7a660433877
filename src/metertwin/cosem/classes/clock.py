"""Clock, class 8: the time a meter believes in."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from metertwin.core.obis import Obis
from metertwin.cosem.classes.definition import CosemObject, Invoke, Role, S, Value, Write
from metertwin.cosem.classes.interface import CLOCK
from metertwin.cosem.data import boolean, enum, int8, int16, octets, uint8

CLOCK_NAME = Obis(0, 0, 1, 0, 0, 255)
NEVER = octets(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x00\xff")
"""A COSEM date-time with every field unspecified."""

_INTERNAL_CRYSTAL = 1
_NONE: Mapping[int, Any] = MappingProxyType({})  # Any: holds for every state


class Clock(CosemObject[S]):
    """Class 8, Clock; every client may read it.

    Args:
        time: The current COSEM date-time, an octet string of 12.
        obis: The logical name; a meter has one clock, and profiles refer to it.
        time_zone_minutes: Deviation of local normal time from UTC with DLMS's sign, UTC = local +
            deviation: -60 in Central Europe.
        status: Clock status bits of the current time.
        is_daylight_saving: Whether summer time is switched on at all.
        begins: Date-time with wildcards at which summer time begins.
        ends: Date-time with wildcards at which it ends.
        daylight_saving_minutes: How far summer time moves the clock.
        set_time: Takes a new time; the method shift_time takes seconds.
        shift_time: Takes int16 seconds, -900 to 900.
        methods: Methods 1 to 5 by number, where the meter has them.
        read_by: Least role that may read.
    """

    interface = CLOCK
    __slots__ = ()

    def __init__(
        self,
        time: Value[S],
        *,
        obis: Obis = CLOCK_NAME,
        time_zone_minutes: int = 0,
        status: Value[S] | None = None,
        is_daylight_saving: bool = False,
        begins: Value[S] = NEVER,
        ends: Value[S] = NEVER,
        daylight_saving_minutes: int = 60,
        set_time: Write[S] | None = None,
        shift_time: Invoke[S] | None = None,
        methods: Mapping[int, Invoke[S] | None] = _NONE,
        read_by: Role = Role.PUBLIC,
    ) -> None:
        values: dict[int, Value[S]] = {
            2: time,
            3: int16(time_zone_minutes),
            4: uint8(0) if status is None else status,
            5: begins,
            6: ends,
            7: int8(daylight_saving_minutes),
            8: boolean(is_daylight_saving),
            9: enum(_INTERNAL_CRYSTAL),
        }
        writes = {2: set_time} if set_time else _NONE
        every_method = {**methods, 6: shift_time}
        super().__init__(obis, values, methods=every_method, writes=writes, read_by=read_by)
