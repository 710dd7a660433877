"""The xDLMS initiate request and response: what both sides can, agreed before anything is read."""

from dataclasses import dataclass

from metertwin.cosem.apdu.enumerations import ApduTag, Conformance
from metertwin.cosem.apdu.reader import Reader, octet_string, optional
from metertwin.cosem.errors import DecodeError, EncodeError

DLMS_VERSION = 6
# The VAA name says how objects are named: 0x0007 by logical name, 0xFA00 by short name.
LOGICAL_NAME_VAA = 0x0007
# Application tag 31, then 4 octets: how many of the last one's bits are unused, and 24 bits.
_CONFORMANCE_TAG = b"\x5f\x1f\x04\x00"
# The same tag as some meters write it, without the second tag octet.
_CONFORMANCE_TAG_SHORT = b"\x5f\x04\x00"
_PDU_SIZE_MAX = 0xFFFF


@dataclass(frozen=True, slots=True)
class InitiateRequest:
    """What the client proposes.

    Attributes:
        conformance: The services it would use.
        max_pdu_octets: The longest APDU it takes, 0 (no limit) to 65,535.
        dedicated_key: A key for this association, or None.
        is_response_allowed: Whether it waits for an answer.
        quality_of_service: -128 to 127, or None.
        dlms_version: Always 6 so far.
    """

    conformance: Conformance
    max_pdu_octets: int
    dedicated_key: bytes | None = None
    is_response_allowed: bool = True
    quality_of_service: int | None = None
    dlms_version: int = DLMS_VERSION

    def encode(self) -> bytes:
        """Return the APDU's octets.

        Raises:
            EncodeError: A number does not fit.
        """
        key = None if self.dedicated_key is None else octet_string(self.dedicated_key)
        return (
            bytes((ApduTag.INITIATE_REQUEST,))
            + optional(key)
            # BOOLEAN DEFAULT TRUE: the default is left out, so only "no" has octets.
            + optional(None if self.is_response_allowed else b"\x00")
            + _encode_quality(self.quality_of_service)
            + bytes((self.dlms_version,))
            + _encode_conformance(self.conformance)
            + _encode_pdu_size(self.max_pdu_octets)
        )

    @classmethod
    def read(cls, reader: Reader) -> "InitiateRequest":
        """Read what follows the tag."""
        dedicated_key = reader.octet_string() if reader.is_present() else None
        is_response_allowed = reader.is_true() if reader.is_present() else True
        quality_of_service = reader.int8() if reader.is_present() else None
        dlms_version = reader.uint()
        return cls(
            _read_conformance(reader),
            reader.uint(2),
            dedicated_key,
            is_response_allowed,
            quality_of_service,
            dlms_version,
        )


@dataclass(frozen=True, slots=True)
class InitiateResponse:
    """What the server agrees to.

    Attributes:
        conformance: The services both sides have.
        max_pdu_octets: The longest APDU the server takes, 0 (no limit) to 65,535.
        vaa_name: 7 for logical names.
        quality_of_service: -128 to 127, or None.
        dlms_version: Always 6 so far.
    """

    conformance: Conformance
    max_pdu_octets: int
    vaa_name: int = LOGICAL_NAME_VAA
    quality_of_service: int | None = None
    dlms_version: int = DLMS_VERSION

    def encode(self) -> bytes:
        """Return the APDU's octets.

        Raises:
            EncodeError: A number does not fit.
        """
        return (
            bytes((ApduTag.INITIATE_RESPONSE,))
            + _encode_quality(self.quality_of_service)
            + bytes((self.dlms_version,))
            + _encode_conformance(self.conformance)
            + _encode_pdu_size(self.max_pdu_octets)
            + self.vaa_name.to_bytes(2, "big")
        )

    @classmethod
    def read(cls, reader: Reader) -> "InitiateResponse":
        """Read what follows the tag."""
        quality_of_service = reader.int8() if reader.is_present() else None
        dlms_version = reader.uint()
        conformance = _read_conformance(reader)
        max_pdu_octets, vaa_name = reader.uint(2), reader.uint(2)
        return cls(conformance, max_pdu_octets, vaa_name, quality_of_service, dlms_version)


def _encode_quality(quality_of_service: int | None) -> bytes:
    if quality_of_service is None:
        return optional(None)
    return optional(quality_of_service.to_bytes(1, "big", signed=True))


def _encode_conformance(conformance: Conformance) -> bytes:
    return _CONFORMANCE_TAG + conformance.to_bytes(3, "big")


def _encode_pdu_size(max_pdu_octets: int) -> bytes:
    if not 0 <= max_pdu_octets <= _PDU_SIZE_MAX:
        raise EncodeError(
            f"A PDU size of {max_pdu_octets} octets is not 0 to {_PDU_SIZE_MAX}.",
            max_pdu_octets=max_pdu_octets,
        )
    return max_pdu_octets.to_bytes(2, "big")


def _read_conformance(reader: Reader) -> Conformance:
    start = reader.offset
    for tag in (_CONFORMANCE_TAG, _CONFORMANCE_TAG_SHORT):
        if reader.octets.startswith(tag, start):
            reader.take(len(tag))
            return Conformance(reader.uint(3))
    raise DecodeError(f"A conformance block is due at offset {start}.", offset=start)
