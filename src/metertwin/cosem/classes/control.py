"""Disconnect control (class 70) and limiter (class 71): the breaker and what trips it."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import AttributeDescriptor
from metertwin.cosem.classes.definition import CosemObject, Role, S, Value, Write
from metertwin.cosem.classes.interface import DISCONNECT_CONTROL, LIMITER
from metertwin.cosem.data import (
    Data,
    array,
    boolean,
    enum,
    int8,
    octets,
    structure,
    uint16,
    uint32,
)

DISCONNECT_CONTROL_NAME = Obis(0, 0, 96, 3, 10, 255)
LIMITER_NAME = Obis(0, 0, 17, 0, 0, 255)

_NO_SCRIPT = structure(octets(bytes(6)), uint16(0))
_NO_EMERGENCY = structure(uint16(0), octets(bytes(12)), uint32(0))
_NONE: Mapping[int, Any] = MappingProxyType({})  # Any: holds for every state


class ControlState(IntEnum):
    """Attribute 3 of disconnect control."""

    DISCONNECTED = 0
    CONNECTED = 1
    READY_FOR_RECONNECTION = 2


class DisconnectControl(CosemObject[S]):
    """Class 70, Disconnect control.

    Args:
        is_connected: Whether the breaker is closed.
        control_state: What the meter wants it to be.
        disconnect: Opens the breaker; raises ServiceError to refuse.
        reconnect: Closes it, or makes it ready for the customer to close.
        control_mode: Who may open and close it, 0 to 6.
        obis: The logical name.
    """

    interface = DISCONNECT_CONTROL
    __slots__ = ()

    def __init__(
        self,
        is_connected: Callable[[S], bool],
        control_state: Callable[[S], ControlState],
        *,
        disconnect: Callable[[S], None],
        reconnect: Callable[[S], None],
        control_mode: int = 2,
        obis: Obis = DISCONNECT_CONTROL_NAME,
    ) -> None:
        super().__init__(
            obis,
            {
                2: lambda state: boolean(is_connected(state)),
                3: lambda state: enum(control_state(state)),
                4: enum(control_mode),
            },
            methods={
                1: lambda state, _: disconnect(state),
                2: lambda state, _: reconnect(state),
            },
            read_by=Role.READER,
        )


class Limiter(CosemObject[S]):
    """Class 71, Limiter: disconnects when a value stays above a threshold.

    Args:
        monitored: The attribute it watches.
        threshold_active: The threshold in force, in the monitored attribute's unit and type.
        threshold_normal: The threshold outside emergencies.
        threshold_emergency: The threshold in an emergency.
        min_over_s: How long the value must be above before the action, in s.
        min_under_s: How long below before the action is undone, in s.
        is_emergency: Whether the emergency profile is active.
        writes: What setting an attribute does, by number.
        obis: The logical name.
    """

    interface = LIMITER
    __slots__ = ()

    def __init__(
        self,
        monitored: AttributeDescriptor,
        threshold_active: Value[S],
        threshold_normal: Value[S],
        threshold_emergency: Value[S],
        *,
        min_over_s: int = 0,
        min_under_s: int = 0,
        is_emergency: Value[S] | None = None,
        writes: Mapping[int, Write[S]] = _NONE,
        obis: Obis = LIMITER_NAME,
    ) -> None:
        values: dict[int, Value[S]] = {
            2: _monitored(monitored),
            3: threshold_active,
            4: threshold_normal,
            5: threshold_emergency,
            6: uint32(min_over_s),
            7: uint32(min_under_s),
            8: _NO_EMERGENCY,
            9: array(),
            10: boolean(False) if is_emergency is None else is_emergency,  # noqa: FBT003 - the value
            11: structure(_NO_SCRIPT, _NO_SCRIPT),
        }
        super().__init__(obis, values, writes=writes)


def _monitored(descriptor: AttributeDescriptor) -> Data:
    return structure(
        uint16(descriptor.class_id),
        octets(descriptor.obis.to_bytes()),
        int8(descriptor.attribute),
    )
