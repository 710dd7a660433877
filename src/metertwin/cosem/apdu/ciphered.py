"""Ciphered APDUs as they travel: a tag, perhaps the sender's title, and protected content.

The content is security control, invocation counter, and ciphertext or plaintext with its
authentication tag; `metertwin.cosem.security` opens it.
"""

from dataclasses import dataclass

from metertwin.cosem.apdu.enumerations import ApduTag
from metertwin.cosem.apdu.reader import Reader, octet_string

SERVICE_CIPHERED_TAGS = frozenset(tag for tag in ApduTag if tag.name.startswith(("GLO_", "DED_")))
_GLO_CONFIRMED = 0x08
_DED_CONFIRMED = 0x10
_GLO_INITIATE = 0x20
_INITIATE_TAGS = frozenset(
    {ApduTag.INITIATE_REQUEST, ApduTag.INITIATE_RESPONSE, ApduTag.CONFIRMED_SERVICE_ERROR}
)


@dataclass(frozen=True, slots=True)
class ServiceCiphered:
    """A ciphered APDU whose tag says which service is inside."""

    tag: ApduTag
    content: bytes

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return bytes((self.tag,)) + octet_string(self.content)


@dataclass(frozen=True, slots=True)
class GeneralGloCiphered:
    """A ciphered APDU under the global key that names its sender."""

    system_title: bytes
    content: bytes

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        tag = bytes((ApduTag.GENERAL_GLO_CIPHERING,))
        return tag + octet_string(self.system_title) + octet_string(self.content)

    @classmethod
    def read(cls, reader: Reader) -> "GeneralGloCiphered":
        """Read what follows the tag."""
        return cls(reader.octet_string(), reader.octet_string())


@dataclass(frozen=True, slots=True)
class GeneralDedCiphered:
    """A ciphered APDU under the association's dedicated key that names its sender."""

    system_title: bytes
    content: bytes

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        tag = bytes((ApduTag.GENERAL_DED_CIPHERING,))
        return tag + octet_string(self.system_title) + octet_string(self.content)

    @classmethod
    def read(cls, reader: Reader) -> "GeneralDedCiphered":
        """Read what follows the tag."""
        return cls(reader.octet_string(), reader.octet_string())


def glo_tag(plain_tag: int) -> ApduTag:
    """Return the tag of the service-specific global ciphering of an APDU.

    Raises:
        ValueError: The APDU has no such form.
    """
    if plain_tag in _INITIATE_TAGS:
        return ApduTag(plain_tag + _GLO_INITIATE)
    return ApduTag(plain_tag + _GLO_CONFIRMED)


def ded_tag(plain_tag: int) -> ApduTag:
    """Return the tag of the service-specific dedicated ciphering of an APDU.

    Raises:
        ValueError: The APDU has no such form.
    """
    return ApduTag(plain_tag + _DED_CONFIRMED)


def is_dedicated(tag: int) -> bool:
    """Return whether a service-specific tag is under the dedicated key."""
    return ApduTag.DED_GET_REQUEST <= tag <= ApduTag.DED_ACTION_RESPONSE
