"""Octets to the record of whichever APDU they are."""

from collections.abc import Callable
from typing import TypeAlias

from metertwin.cosem.apdu import (
    action_request,
    action_response,
    get_request,
    get_response,
    set_request,
    set_response,
)
from metertwin.cosem.apdu.association_request import Aarq
from metertwin.cosem.apdu.association_response import Aare
from metertwin.cosem.apdu.ciphered import (
    SERVICE_CIPHERED_TAGS,
    GeneralDedCiphered,
    GeneralGloCiphered,
    ServiceCiphered,
)
from metertwin.cosem.apdu.enumerations import ApduTag
from metertwin.cosem.apdu.initiate import InitiateRequest, InitiateResponse
from metertwin.cosem.apdu.notification import DataNotification, EventNotificationRequest
from metertwin.cosem.apdu.reader import Reader
from metertwin.cosem.apdu.refusal import ConfirmedServiceError, ExceptionResponse
from metertwin.cosem.apdu.release import Rlre, Rlrq
from metertwin.cosem.errors import DecodeError

Apdu: TypeAlias = (
    InitiateRequest
    | InitiateResponse
    | ConfirmedServiceError
    | Aarq
    | Aare
    | Rlrq
    | Rlre
    | get_request.GetRequest
    | get_response.GetResponse
    | set_request.SetRequest
    | set_response.SetResponse
    | action_request.ActionRequest
    | action_response.ActionResponse
    | DataNotification
    | EventNotificationRequest
    | ExceptionResponse
    | ServiceCiphered
    | GeneralGloCiphered
    | GeneralDedCiphered
)

_WHOLE: dict[int, Callable[[Reader], Apdu]] = {
    ApduTag.INITIATE_REQUEST: InitiateRequest.read,
    ApduTag.INITIATE_RESPONSE: InitiateResponse.read,
    ApduTag.CONFIRMED_SERVICE_ERROR: ConfirmedServiceError.read,
    ApduTag.DATA_NOTIFICATION: DataNotification.read,
    ApduTag.AARQ: Aarq.read,
    ApduTag.AARE: Aare.read,
    ApduTag.RLRQ: Rlrq.read,
    ApduTag.RLRE: Rlre.read,
    ApduTag.EVENT_NOTIFICATION_REQUEST: EventNotificationRequest.read,
    ApduTag.EXCEPTION_RESPONSE: ExceptionResponse.read,
    ApduTag.GENERAL_GLO_CIPHERING: GeneralGloCiphered.read,
    ApduTag.GENERAL_DED_CIPHERING: GeneralDedCiphered.read,
}

_CHOICES: dict[int, tuple[Callable[[Reader], Apdu], ...]] = {
    ApduTag.GET_REQUEST: (
        get_request.read_normal,
        get_request.read_next,
        get_request.read_with_list,
    ),
    ApduTag.GET_RESPONSE: (
        get_response.read_normal,
        get_response.read_with_datablock,
        get_response.read_with_list,
    ),
    ApduTag.SET_REQUEST: (
        set_request.read_normal,
        set_request.read_with_first_datablock,
        set_request.read_with_datablock,
        set_request.read_with_list,
        set_request.read_with_list_and_first_datablock,
    ),
    ApduTag.SET_RESPONSE: (
        set_response.read_normal,
        set_response.read_datablock,
        set_response.read_last_datablock,
        set_response.read_last_datablock_with_list,
        set_response.read_with_list,
    ),
    ApduTag.ACTION_REQUEST: (
        action_request.read_normal,
        action_request.read_next_pblock,
        action_request.read_with_list,
        action_request.read_with_first_pblock,
        action_request.read_with_list_and_first_pblock,
        action_request.read_with_pblock,
    ),
    ApduTag.ACTION_RESPONSE: (
        action_response.read_normal,
        action_response.read_with_pblock,
        action_response.read_with_list,
        action_response.read_next_pblock,
    ),
}


def decode_apdu(octets: bytes) -> Apdu:
    """Return the record of the APDU the octets are.

    Raises:
        DecodeError: They are not exactly one well-formed APDU of a kind this project knows.

    Example:
        >>> decode_apdu(bytes.fromhex("c401c10006000004d2"))
        GetResponseNormal(invoke=193, result=Data(tag=<Tag.UINT32: 6>, value=1234))
    """
    reader = Reader(octets)
    tag = reader.uint()
    whole = _WHOLE.get(tag)
    if whole is not None:
        apdu = whole(reader)
    elif tag in SERVICE_CIPHERED_TAGS:
        apdu = ServiceCiphered(ApduTag(tag), reader.octet_string())
    else:
        apdu = _decode_choice(tag, reader)
    reader.end()
    return apdu


def _decode_choice(tag: int, reader: Reader) -> Apdu:
    choices = _CHOICES.get(tag)
    if choices is None:
        raise DecodeError(f"APDU tag {tag:02X} is not known.", tag=tag)
    number = reader.uint()
    if not 1 <= number <= len(choices):
        raise DecodeError(
            f"Choice {number} of APDU {tag:02X} is not 1 to {len(choices)}.",
            offset=1,
            tag=tag,
        )
    return choices[number - 1](reader)
