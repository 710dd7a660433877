"""AARQ: the request for an association."""

from dataclasses import dataclass
from typing import Any

from metertwin.cosem.apdu import ber
from metertwin.cosem.apdu.enumerations import ApduTag, ApplicationContext, Mechanism
from metertwin.cosem.apdu.reader import Reader
from metertwin.cosem.errors import DecodeError

_CONTEXT = 0xA1
_CALLING_AP_TITLE = 0xA6
_CALLING_AE_QUALIFIER = 0xA7
_CALLING_AE_INVOCATION_ID = 0xA9
_ACSE_REQUIREMENTS = 0x8A
_MECHANISM = 0x8B
_AUTHENTICATION_VALUE = 0xAC
_USER_INFORMATION = 0xBE
# A password or challenge travels as a GraphicString, implicit choice 0.
_CHARACTERS = 0x80


@dataclass(frozen=True, slots=True)
class Aarq:
    """A request for an association.

    Attributes:
        context: Naming, and whether APDUs may be ciphered.
        user_information: The encoded initiate request, plain or ciphered; empty for none.
        system_title: The client's title of 8 octets (calling AP title), or None.
        mechanism: How the client shows who it is.
        authentication_value: Password (LLS) or challenge CtoS (HLS), or None.
        ae_qualifier: A certificate or key that came along, or None.
        user_id: The client's user (calling AE invocation id), 0 to 255, or None.
    """

    context: ApplicationContext
    user_information: bytes = b""
    system_title: bytes | None = None
    mechanism: Mechanism = Mechanism.NONE
    authentication_value: bytes | None = None
    ae_qualifier: bytes | None = None
    user_id: int | None = None

    def encode(self) -> bytes:
        """Return the APDU's octets, fields in the order of their tags."""
        parts = [ber.field(_CONTEXT, ber.context_name(self.context))]
        if self.system_title is not None:
            title = ber.field(ber.OCTET_STRING, self.system_title)
            parts.append(ber.field(_CALLING_AP_TITLE, title))
        if self.ae_qualifier is not None:
            qualifier = ber.field(ber.OCTET_STRING, self.ae_qualifier)
            parts.append(ber.field(_CALLING_AE_QUALIFIER, qualifier))
        if self.user_id is not None:
            user = ber.field(ber.INTEGER, bytes((self.user_id,)))
            parts.append(ber.field(_CALLING_AE_INVOCATION_ID, user))
        if self.mechanism is not Mechanism.NONE:
            parts.append(ber.field(_ACSE_REQUIREMENTS, ber.AUTHENTICATION_REQUIRED))
            parts.append(ber.field(_MECHANISM, ber.mechanism_name(self.mechanism)))
        if self.authentication_value is not None:
            value = ber.field(_CHARACTERS, self.authentication_value)
            parts.append(ber.field(_AUTHENTICATION_VALUE, value))
        if self.user_information:
            information = ber.field(ber.OCTET_STRING, self.user_information)
            parts.append(ber.field(_USER_INFORMATION, information))
        return ber.field(ApduTag.AARQ, b"".join(parts))

    @classmethod
    def read(cls, reader: Reader) -> "Aarq":
        """Read what follows the tag; fields this project has no use for are passed over.

        Raises:
            DecodeError: A field is malformed, or the application context is missing.
        """
        read: dict[str, Any] = {}
        for tag, contents in ber.fields(reader.octet_string()):
            match tag:
                case 0xA1:
                    read["context"] = ber.read_context_name(contents)
                case 0xA6:
                    read["system_title"] = ber.inner(contents, ber.OCTET_STRING)
                case 0xA7:
                    read["ae_qualifier"] = ber.inner(contents, ber.OCTET_STRING)
                case 0xA9:
                    read["user_id"] = ber.integer(contents)
                case 0x8B:
                    read["mechanism"] = ber.read_mechanism_name(contents)
                case 0xAC:
                    read["authentication_value"] = ber.inner(contents, _CHARACTERS)
                case 0xBE:
                    read["user_information"] = ber.inner(contents, ber.OCTET_STRING)
                case _:
                    pass
        if "context" not in read:
            raise DecodeError("The AARQ has no application context name.")
        return cls(**read)
