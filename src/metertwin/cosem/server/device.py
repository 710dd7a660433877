"""A logical device: one meter's state under a model shared with all meters of its type."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, NamedTuple

from metertwin.core.errors import InvalidInputError
from metertwin.cosem.classes.definition import S
from metertwin.cosem.classes.model import ObjectModel
from metertwin.cosem.security import COUNTER_MAX, SYSTEM_TITLE_OCTETS, CounterGate, KeyRing

DEFAULT_SYSTEM_TITLE = b"MTW\x00\x00\x00\x00\x01"


class Credentials(NamedTuple):
    """What one client must know.

    Args:
        password: For low-level authentication.
        keys: For ciphering and HLS-GMAC.
    """

    password: bytes = b""
    keys: KeyRing | None = None


_NOBODY: Mapping[int, Credentials] = MappingProxyType({})


class LogicalDevice(Generic[S]):
    """One meter.

    Args:
        model: Its objects, shared.
        state: What the model's functions are called with.
        sap: Its address on the link: wPort or upper HDLC address.
        system_title: 8 octets, one of its own where it ciphers.
        credentials: By client SAP; may be shared.
        invocation_counter: The next it sends with; never 0, which some clients refuse. Keep it
            over a restart: a counter used twice with one key breaks the cipher.

    Raises:
        InvalidInputError: The system title has not 8 octets.
    """

    __slots__ = (
        "_gates",
        "credentials",
        "invocation_counter",
        "model",
        "sap",
        "state",
        "system_title",
    )

    def __init__(
        self,
        model: ObjectModel[S],
        state: S,
        *,
        sap: int = 1,
        system_title: bytes = DEFAULT_SYSTEM_TITLE,
        credentials: Mapping[int, Credentials] = _NOBODY,
        invocation_counter: int = 1,
    ) -> None:
        if len(system_title) != SYSTEM_TITLE_OCTETS:
            raise InvalidInputError(
                f"A system title has {SYSTEM_TITLE_OCTETS} octets, here are {len(system_title)}.",
                system_title=system_title.hex(),
            )
        self.model = model
        self.state = state
        self.sap = sap
        self.system_title = system_title
        self.credentials = credentials
        self.invocation_counter = invocation_counter
        self._gates: dict[int, CounterGate] | None = None

    def gate(self, client_sap: int) -> CounterGate:
        """Return what guards this client's invocation counters; it outlives associations."""
        if self._gates is None:
            self._gates = {}
        return self._gates.setdefault(client_sap, CounterGate())

    def next_invocation_counter(self) -> int:
        """Return a counter never returned before.

        Raises:
            InvalidInputError: All 2^32 are used up.
        """
        counter = self.invocation_counter
        if counter > COUNTER_MAX:
            raise InvalidInputError("The meter's invocation counter is used up; renew its keys.")
        self.invocation_counter = counter + 1
        return counter
