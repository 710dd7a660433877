"""Data, Register, Extended register, Demand register: the classes of single values."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from metertwin.core.obis import Obis
from metertwin.core.units import Unit
from metertwin.cosem.classes.definition import CosemObject, Invoke, Role, S, Value, Write
from metertwin.cosem.classes.interface import (
    DATA,
    DEMAND_REGISTER,
    EXTENDED_REGISTER,
    REGISTER,
)
from metertwin.cosem.data import Data, enum, int8, structure, uint16, uint32

_NONE: Mapping[int, Any] = MappingProxyType({})  # Any: holds for every state


def scaler_unit(scaler: int, unit: Unit) -> Data:
    """Return the structure every register has: value = integer x 10^scaler, in unit."""
    return structure(int8(scaler), enum(unit))


class DataObject(CosemObject[S]):
    """Class 1, Data: any one value. Not named `Data`, which is the value itself."""

    interface = DATA
    __slots__ = ()

    def __init__(
        self,
        obis: Obis,
        value: Value[S],
        *,
        write: Write[S] | None = None,
        read_by: Role = Role.READER,
    ) -> None:
        super().__init__(obis, {2: value}, writes={2: write} if write else _NONE, read_by=read_by)


class Register(CosemObject[S]):
    """Class 3, Register.

    Args:
        obis: The logical name.
        value: The integer.
        scaler: Power of ten, -128 to 127.
        unit: Unit of integer x 10^scaler.
        reset: What method 1 does, if the meter allows it.
        read_by: Least role that may read.

    Example:
        >>> volts = Register(Obis.parse("1-0:32.7.0"), uint16(2304), scaler=-1, unit=Unit.VOLT)
        >>> volts.attributes[3].value.hex()
        '02020fff1623'
    """

    interface = REGISTER
    __slots__ = ()

    def __init__(
        self,
        obis: Obis,
        value: Value[S],
        *,
        scaler: int = 0,
        unit: Unit = Unit.NONE,
        reset: Invoke[S] | None = None,
        read_by: Role = Role.READER,
    ) -> None:
        super().__init__(
            obis, {2: value, 3: scaler_unit(scaler, unit)}, methods={1: reset}, read_by=read_by
        )


class ExtendedRegister(CosemObject[S]):
    """Class 4, Extended register: a register that knows when its value was captured.

    Args:
        obis: The logical name.
        value: The integer.
        capture_time: The time of the value, a COSEM date-time in an octet string.
        status: Any value, by the meter's own rules.
        scaler: Power of ten.
        unit: Unit of integer x 10^scaler.
        reset: What method 1 does, if the meter allows it.
        read_by: Least role that may read.
    """

    interface = EXTENDED_REGISTER
    __slots__ = ()

    def __init__(
        self,
        obis: Obis,
        value: Value[S],
        capture_time: Value[S],
        *,
        status: Value[S] | None = None,
        scaler: int = 0,
        unit: Unit = Unit.NONE,
        reset: Invoke[S] | None = None,
        read_by: Role = Role.READER,
    ) -> None:
        values: dict[int, Value[S]] = {
            2: value,
            3: scaler_unit(scaler, unit),
            4: enum(0) if status is None else status,
            5: capture_time,
        }
        super().__init__(obis, values, methods={1: reset}, read_by=read_by)


class DemandRegister(CosemObject[S]):
    """Class 5, Demand register: a mean over a block of `period_s` x `number_of_periods`.

    Args:
        obis: The logical name.
        current_average: Mean of the period that runs.
        last_average: Mean of the last complete period.
        capture_time: When `last_average` was captured, a date-time in an octet string.
        start_time_current: When the running period began, a date-time in an octet string.
        period_s: Length of a period in s.
        number_of_periods: Periods in the sliding window, 1 for a block.
        status: Any value, by the meter's own rules.
        scaler: Power of ten.
        unit: Unit of integer x 10^scaler.
        reset: What method 1 does.
        next_period: What method 2 does.
        read_by: Least role that may read.
    """

    interface = DEMAND_REGISTER
    __slots__ = ()

    def __init__(
        self,
        obis: Obis,
        current_average: Value[S],
        last_average: Value[S],
        capture_time: Value[S],
        start_time_current: Value[S],
        *,
        period_s: int,
        number_of_periods: int = 1,
        status: Value[S] | None = None,
        scaler: int = 0,
        unit: Unit = Unit.NONE,
        reset: Invoke[S] | None = None,
        next_period: Invoke[S] | None = None,
        read_by: Role = Role.READER,
    ) -> None:
        values: dict[int, Value[S]] = {
            2: current_average,
            3: last_average,
            4: scaler_unit(scaler, unit),
            5: enum(0) if status is None else status,
            6: capture_time,
            7: start_time_current,
            8: uint32(period_s),
            9: uint16(number_of_periods),
        }
        super().__init__(obis, values, methods={1: reset, 2: next_period}, read_by=read_by)
