"""AARE: the answer to a request for an association."""

from dataclasses import dataclass
from typing import Any

from metertwin.cosem.apdu import ber
from metertwin.cosem.apdu.enumerations import (
    ApduTag,
    ApplicationContext,
    AssociationResult,
    Diagnostic,
    DiagnosticSource,
    Mechanism,
)
from metertwin.cosem.apdu.reader import Reader
from metertwin.cosem.errors import DecodeError

_CONTEXT = 0xA1
_RESULT = 0xA2
_DIAGNOSTIC = 0xA3
_RESPONDING_AP_TITLE = 0xA4
_RESPONDING_AE_QUALIFIER = 0xA5
_ACSE_REQUIREMENTS = 0x88
_MECHANISM = 0x89
_AUTHENTICATION_VALUE = 0xAA
_USER_INFORMATION = 0xBE
_CHARACTERS = 0x80
_SOURCE_TAG = 0xA0


@dataclass(frozen=True, slots=True)
class Aare:
    """The answer to a request for an association.

    Attributes:
        context: The application context the server has.
        result: Accepted or rejected.
        diagnostic: Why.
        diagnostic_source: Which list `diagnostic` is from.
        user_information: The encoded initiate response, plain or ciphered, or a confirmed service
            error; empty for none.
        system_title: The server's title of 8 octets (responding AP title), or None.
        mechanism: The mechanism the server goes on with.
        authentication_value: The challenge StoC of an HLS, or None.
        ae_qualifier: A certificate or key that came along, or None.
    """

    context: ApplicationContext
    result: AssociationResult
    diagnostic: Diagnostic = Diagnostic.NULL
    diagnostic_source: DiagnosticSource = DiagnosticSource.USER
    user_information: bytes = b""
    system_title: bytes | None = None
    mechanism: Mechanism = Mechanism.NONE
    authentication_value: bytes | None = None
    ae_qualifier: bytes | None = None

    def encode(self) -> bytes:
        """Return the APDU's octets, fields in the order the standard lists them."""
        reason = ber.field(ber.INTEGER, bytes((self.diagnostic,)))
        parts = [
            ber.field(_CONTEXT, ber.context_name(self.context)),
            ber.field(_RESULT, ber.field(ber.INTEGER, bytes((self.result,)))),
            ber.field(_DIAGNOSTIC, ber.field(_SOURCE_TAG | self.diagnostic_source, reason)),
        ]
        if self.system_title is not None:
            title = ber.field(ber.OCTET_STRING, self.system_title)
            parts.append(ber.field(_RESPONDING_AP_TITLE, title))
        if self.ae_qualifier is not None:
            qualifier = ber.field(ber.OCTET_STRING, self.ae_qualifier)
            parts.append(ber.field(_RESPONDING_AE_QUALIFIER, qualifier))
        if self.mechanism is not Mechanism.NONE:
            parts.append(ber.field(_ACSE_REQUIREMENTS, ber.AUTHENTICATION_REQUIRED))
            parts.append(ber.field(_MECHANISM, ber.mechanism_name(self.mechanism)))
        if self.authentication_value is not None:
            value = ber.field(_CHARACTERS, self.authentication_value)
            parts.append(ber.field(_AUTHENTICATION_VALUE, value))
        if self.user_information:
            information = ber.field(ber.OCTET_STRING, self.user_information)
            parts.append(ber.field(_USER_INFORMATION, information))
        return ber.field(ApduTag.AARE, b"".join(parts))

    @classmethod
    def read(cls, reader: Reader) -> "Aare":
        """Read what follows the tag; fields this project has no use for are passed over.

        Raises:
            DecodeError: A field is malformed, or context or result is missing.
        """
        read: dict[str, Any] = {}
        for tag, contents in ber.fields(reader.octet_string()):
            match tag:
                case 0xA1:
                    read["context"] = ber.read_context_name(contents)
                case 0xA2:
                    read["result"] = ber.member(AssociationResult, ber.integer(contents))
                case 0xA3:
                    read["diagnostic_source"], read["diagnostic"] = _read_diagnostic(contents)
                case 0xA4:
                    read["system_title"] = ber.inner(contents, ber.OCTET_STRING)
                case 0xA5:
                    read["ae_qualifier"] = ber.inner(contents, ber.OCTET_STRING)
                case 0x89:
                    read["mechanism"] = ber.read_mechanism_name(contents)
                case 0xAA:
                    read["authentication_value"] = ber.inner(contents, _CHARACTERS)
                case 0xBE:
                    read["user_information"] = ber.inner(contents, ber.OCTET_STRING)
                case _:
                    pass
        if not read.keys() >= {"context", "result"}:
            raise DecodeError("The AARE has no application context name or no result.")
        return cls(**read)


def _read_diagnostic(contents: bytes) -> tuple[DiagnosticSource, Diagnostic]:
    for tag, number in ber.fields(contents):
        source = ber.member(DiagnosticSource, tag - _SOURCE_TAG)
        return source, ber.member(Diagnostic, ber.integer(number))
    raise DecodeError("The AARE's diagnostic is empty.")
