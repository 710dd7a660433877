"""RLRQ and RLRE: the release of an association."""

from dataclasses import dataclass

from metertwin.cosem.apdu import ber
from metertwin.cosem.apdu.enumerations import ApduTag, ReleaseReason
from metertwin.cosem.apdu.reader import Reader

_REASON = 0x80
_USER_INFORMATION = 0xBE


@dataclass(frozen=True, slots=True)
class Rlrq:
    """Asks for the release; user information is a ciphered initiate request, or empty."""

    reason: ReleaseReason | None = ReleaseReason.NORMAL
    user_information: bytes = b""

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return _encode(ApduTag.RLRQ, self.reason, self.user_information)

    @classmethod
    def read(cls, reader: Reader) -> "Rlrq":
        """Read what follows the tag."""
        return cls(*_read(reader))


@dataclass(frozen=True, slots=True)
class Rlre:
    """Confirms the release; user information is a ciphered initiate response, or empty."""

    reason: ReleaseReason | None = ReleaseReason.NORMAL
    user_information: bytes = b""

    def encode(self) -> bytes:
        """Return the APDU's octets."""
        return _encode(ApduTag.RLRE, self.reason, self.user_information)

    @classmethod
    def read(cls, reader: Reader) -> "Rlre":
        """Read what follows the tag."""
        return cls(*_read(reader))


def _encode(tag: ApduTag, reason: ReleaseReason | None, user_information: bytes) -> bytes:
    contents = b"" if reason is None else ber.field(_REASON, bytes((reason,)))
    if user_information:
        contents += ber.field(_USER_INFORMATION, ber.field(ber.OCTET_STRING, user_information))
    return ber.field(tag, contents)


def _read(reader: Reader) -> tuple[ReleaseReason | None, bytes]:
    reason = None
    user_information = b""
    for tag, contents in ber.fields(reader.octet_string()):
        if tag == _REASON:
            reason = ber.member(ReleaseReason, int.from_bytes(contents, "big"))
        elif tag == _USER_INFORMATION:
            user_information = ber.inner(contents, ber.OCTET_STRING)
    return reason, user_information
