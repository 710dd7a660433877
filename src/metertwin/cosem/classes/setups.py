"""Push setup (class 40) and security setup (class 64): where a meter reports, how it is guarded."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import CaptureObject
from metertwin.cosem.classes.definition import CosemObject, Invoke, Role, S, Value, Write
from metertwin.cosem.classes.interface import PUSH_SETUP, SECURITY_SETUP
from metertwin.cosem.data import Data, array, enum, octets, structure, uint8, uint16

PUSH_SETUP_NAME = Obis(0, 0, 25, 9, 0, 255)
SECURITY_SETUP_NAME = Obis(0, 0, 43, 0, 0, 255)

_TCP, _A_XDR = 0, 0
_NONE: Mapping[int, Any] = MappingProxyType({})  # Any: holds for every state


def send_destination(address: str, *, transport: int = _TCP) -> Data:
    """Return the structure of attribute 3: transport service (0 TCP), address, A-XDR message."""
    return structure(enum(transport), octets(address.encode()), enum(_A_XDR))


class PushSetup(CosemObject[S]):
    """Class 40, Push setup.

    Args:
        pushed: What a push carries, or a function of the state that returns the encoded list.
        destination: Where it goes: see `send_destination`.
        randomisation_start_s: Largest random delay before a push, in s.
        retries_count: How often a push is repeated.
        repetition_delay_s: Time between repetitions, in s.
        push: What method 1 does.
        writes: What setting an attribute does, by number.
        obis: The logical name.
    """

    interface = PUSH_SETUP
    __slots__ = ()

    def __init__(
        self,
        pushed: Sequence[CaptureObject] | Value[S],
        destination: Value[S],
        *,
        randomisation_start_s: int = 0,
        retries_count: int = 0,
        repetition_delay_s: int = 0,
        push: Invoke[S] | None = None,
        writes: Mapping[int, Write[S]] = _NONE,
        obis: Obis = PUSH_SETUP_NAME,
    ) -> None:
        listed: Value[S]
        if isinstance(pushed, Data | bytes) or callable(pushed):
            listed = pushed
        else:
            listed = array(*[item.to_data() for item in pushed])
        values: dict[int, Value[S]] = {
            2: listed,
            3: destination,
            4: array(),
            5: uint16(randomisation_start_s),
            6: uint8(retries_count),
            7: uint16(repetition_delay_s),
        }
        super().__init__(obis, values, methods={1: push}, writes=writes)


class SecuritySetup(CosemObject[S]):
    """Class 64, Security setup; keys go in and never come out.

    Args:
        policy: 0 nothing, 1 authenticated, 2 encrypted, 3 both.
        suite: 0 or 1 AES-128, 2 AES-256.
        client_system_title: 8 octets, empty when unknown.
        server_system_title: 8 octets.
        activate: What method 1 does: raises the policy.
        transfer_keys: What method 2 does: takes wrapped keys.
        obis: The logical name.
    """

    interface = SECURITY_SETUP
    __slots__ = ()

    def __init__(
        self,
        policy: Value[S],
        suite: Value[S],
        server_system_title: Value[S],
        *,
        client_system_title: Value[S] | None = None,
        activate: Invoke[S] | None = None,
        transfer_keys: Invoke[S] | None = None,
        obis: Obis = SECURITY_SETUP_NAME,
    ) -> None:
        values: dict[int, Value[S]] = {
            2: policy,
            3: suite,
            4: octets(b"") if client_system_title is None else client_system_title,
            5: server_system_title,
        }
        super().__init__(obis, values, methods={1: activate, 2: transfer_keys}, read_by=Role.READER)
