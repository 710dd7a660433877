"""Opens what a client has ciphered, and answers in the style it asked in.

Clients differ: one names the service in the tag (glo-get-request), the next wraps everything in
general-glo-ciphering, either may use the dedicated key it proposed. The answer mirrors the request,
its protection included.
"""

from typing import Any, NamedTuple

from metertwin.cosem.apdu.ciphered import (
    GeneralDedCiphered,
    GeneralGloCiphered,
    ServiceCiphered,
    ded_tag,
    glo_tag,
    is_dedicated,
)
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.errors import SecurityError
from metertwin.cosem.security import CounterGate, KeyRing, SecurityControl, protect, unprotect
from metertwin.cosem.server.device import LogicalDevice

CIPHER_OVERHEAD_OCTETS = 1 + 9 + 3 + 5 + 12
"""Most that ciphering adds: tag, system title, length, control and counter, authentication tag."""


class Style(NamedTuple):
    """How a request was ciphered, and so its answer will be."""

    is_general: bool
    is_dedicated: bool
    control: SecurityControl


class CipherChannel:
    """The keys and counters of one association.

    Args:
        device: The meter: its title and counter. (Any: ciphering never touches its state.)
        client_sap: The client, whose counters the meter remembers.
        client_title: The client's system title.
        keys: The global keys.
    """

    __slots__ = (
        "_client_title",
        "_dedicated",
        "_dedicated_counter",
        "_dedicated_gate",
        "_device",
        "_gate",
        "keys",
    )

    def __init__(
        self, device: LogicalDevice[Any], client_sap: int, client_title: bytes, keys: KeyRing
    ) -> None:
        self.keys = keys
        self._device = device
        self._client_title = client_title
        self._gate = device.gate(client_sap)
        self._dedicated: KeyRing | None = None
        self._dedicated_gate: CounterGate | None = None
        self._dedicated_counter = 1

    @property
    def client_title(self) -> bytes:
        """The client's system title."""
        return self._client_title

    @property
    def lowest_accepted(self) -> int:
        """The lowest invocation counter the client may use next under the global key."""
        return self._gate.lowest_accepted

    def use_dedicated_key(self, key: bytes) -> None:
        """Accept the key the client proposed for this association.

        Raises:
            InvalidInputError: It has another length than the suite's keys.
        """
        self._dedicated = KeyRing(key, self.keys.authentication_key, self.keys.suite)
        self._dedicated_gate = CounterGate()

    def open(self, apdu: bytes) -> tuple[bytes, Style]:
        """Return the plain APDU inside a ciphered one, and how it was ciphered.

        Raises:
            DecodeError: It is malformed.
            SecurityError: It cannot be trusted; ReplayError if only its counter is old.
        """
        match decode_apdu(apdu):
            case ServiceCiphered(tag, content):
                return self._open(content, is_general=False, dedicated=is_dedicated(tag))
            case GeneralGloCiphered(title, content):
                self._check_title(title)
                return self._open(content, is_general=True, dedicated=False)
            case GeneralDedCiphered(title, content):
                self._check_title(title)
                return self._open(content, is_general=True, dedicated=True)
            case _:
                raise SecurityError(f"APDU {apdu[0]:02X} is not ciphered.", tag=apdu[0])

    def _check_title(self, title: bytes) -> None:
        if title not in {b"", self._client_title}:
            raise SecurityError(
                f"The APDU is from {title.hex()}, the association with {self._client_title.hex()}.",
                system_title=title.hex(),
            )

    def _open(self, content: bytes, *, is_general: bool, dedicated: bool) -> tuple[bytes, Style]:
        keys, gate = self.keys, self._gate
        if dedicated:
            if self._dedicated is None or self._dedicated_gate is None:
                raise SecurityError("The association has no dedicated key.")
            keys, gate = self._dedicated, self._dedicated_gate
        opened = unprotect(content, keys, self._client_title)
        if opened.control.is_authenticated:
            # Only a checked counter moves the gate: by an unchecked one anybody could lock the
            # client out.
            gate.admit(opened.invocation_counter)
        return opened.plaintext, Style(is_general, dedicated, opened.control)

    def seal(self, plaintext: bytes, style: Style) -> bytes:
        """Return a plain APDU ciphered in a style.

        Raises:
            ValueError: The APDU's tag has no service-specific form.
        """
        title = self._device.system_title
        if style.is_dedicated and self._dedicated is not None:
            keys, counter = self._dedicated, self._dedicated_counter
            self._dedicated_counter += 1
        else:
            keys, counter = self.keys, self._device.next_invocation_counter()
        content = protect(plaintext, keys, style.control, title, counter)
        if style.is_general:
            general = GeneralDedCiphered if style.is_dedicated else GeneralGloCiphered
            return general(title, content).encode()
        tag = ded_tag(plaintext[0]) if style.is_dedicated else glo_tag(plaintext[0])
        return ServiceCiphered(tag, content).encode()
