"""One side's ciphered channel: keys, titles, counters, and which wrapping is spoken.

Both sides use it: `seal` wraps an APDU to be sent, `open` unwraps one received and judges it. The
first thing judged is the protection: an APDU with less of it than the channel demands is refused,
whatever is inside.
"""

from enum import Enum

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


class Wrapping(Enum):
    """How a ciphered APDU is wrapped: a tag per service, or the general one with the title."""

    SERVICE = "service"
    GENERAL = "general"


class Channel:
    """Seals and opens APDUs for one association.

    Args:
        keys: Global keys shared with the other side.
        local_title: This side's system title, 8 octets.
        remote_title: The other side's, or None until it is known.
        next_counter: The first invocation counter to use with the global key.
        lowest_accepted: The lowest counter accepted from the other side.
        control: What is done to what is sent, and at least demanded of what comes.
        wrapping: How what is sent is wrapped; what comes may be either.
    """

    __slots__ = (
        "control",
        "dedicated",
        "dedicated_gate",
        "gate",
        "keys",
        "local_title",
        "next_counter",
        "next_dedicated_counter",
        "remote_title",
        "wrapping",
    )

    def __init__(
        self,
        keys: KeyRing,
        local_title: bytes,
        remote_title: bytes | None = None,
        *,
        next_counter: int = 0,
        lowest_accepted: int = 0,
        control: SecurityControl | None = None,
        wrapping: Wrapping = Wrapping.SERVICE,
    ) -> None:
        self.keys = keys
        self.local_title = local_title
        self.remote_title = remote_title
        self.next_counter = next_counter
        self.gate = CounterGate(lowest_accepted)
        self.control = control or SecurityControl(keys.suite)
        self.wrapping = wrapping
        self.dedicated: KeyRing | None = None
        self.next_dedicated_counter = 0
        self.dedicated_gate = CounterGate()

    def use_dedicated(self, key: bytes) -> None:
        """From now on seal under a key made for this association alone, counting from 0.

        Raises:
            InvalidInputError: The key has another length than the suite's.
        """
        self.dedicated = self.keys.with_encryption_key(key)
        self.next_dedicated_counter = 0
        self.dedicated_gate = CounterGate()

    def take_counter(self) -> int:
        """Return the next counter of the global key and step it."""
        counter = self.next_counter
        self.next_counter += 1
        return counter

    def seal(self, apdu: bytes, *, is_global: bool = False) -> bytes:
        """Return the ciphered form of an encoded APDU.

        Args:
            apdu: The encoded APDU.
            is_global: Use the global key even if there is a dedicated one (initiate requests).

        Raises:
            SecurityError: The counter is used up, or the APDU has no ciphered form.
        """
        dedicated = None if is_global else self.dedicated
        if dedicated is None:
            counter = self.take_counter()
        else:
            counter = self.next_dedicated_counter
            self.next_dedicated_counter += 1
        content = protect(apdu, dedicated or self.keys, self.control, self.local_title, counter)
        if self.wrapping is Wrapping.GENERAL:
            wrapper = GeneralGloCiphered if dedicated is None else GeneralDedCiphered
            return wrapper(self.local_title, content).encode()
        try:
            tag = (glo_tag if dedicated is None else ded_tag)(apdu[0])
        except (ValueError, IndexError):
            raise SecurityError(
                f"APDU {apdu[:1].hex()} has no service-specific ciphered form."
            ) from None
        return ServiceCiphered(tag, content).encode()

    def open(self, apdu: bytes) -> bytes:
        """Return the encoded APDU that a ciphered one holds.

        Raises:
            DecodeError: It is malformed.
            SecurityError: It is not ciphered, is protected less than the channel demands, comes
                under another title, or fails its check.
            ReplayError: Its counter was used before.
        """
        wrapped = decode_apdu(apdu)
        match wrapped:
            case ServiceCiphered(tag, content):
                return self._open(content, self.remote_title, is_under_dedicated=is_dedicated(tag))
            case GeneralGloCiphered(title, content) | GeneralDedCiphered(title, content):
                if self.remote_title is not None and title != self.remote_title:
                    raise SecurityError(
                        f"The APDU comes under title {title.hex()}; the association is with "
                        f"{self.remote_title.hex()}.",
                        system_title=title.hex(),
                    )
                dedicated = isinstance(wrapped, GeneralDedCiphered)
                return self._open(content, title, is_under_dedicated=dedicated)
            case _:
                raise SecurityError(
                    f"APDU {apdu[:1].hex()} came without the ciphering this association demands."
                )

    def _open(self, content: bytes, title: bytes | None, *, is_under_dedicated: bool) -> bytes:
        keys = self.dedicated if is_under_dedicated else self.keys
        if title is None or keys is None:
            raise SecurityError("The sender's title or dedicated key is not known yet.")
        opened = unprotect(content, keys, title)
        demanded = self.control
        if (demanded.is_authenticated and not opened.control.is_authenticated) or (
            demanded.is_encrypted and not opened.control.is_encrypted
        ):
            raise SecurityError(
                f"The APDU's protection {opened.control.to_octet():02X} is less than the "
                f"{demanded.to_octet():02X} this association demands."
            )
        gate = self.dedicated_gate if is_under_dedicated else self.gate
        gate.admit(opened.invocation_counter)
        return opened.plaintext
