"""Judges a request for an association: whether to open it, and on which terms.

The order of the checks is the order in which a client wants to know: is there such a client here,
does it speak the right context, has it proved itself, does its proposal leave anything to do.
"""

from typing import Any, NamedTuple

from metertwin.core.errors import InvalidInputError
from metertwin.cosem.apdu.association_request import Aarq
from metertwin.cosem.apdu.association_response import Aare
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.enumerations import (
    ApduTag,
    ApplicationContext,
    AssociationResult,
    ConfirmedService,
    Conformance,
    Diagnostic,
    DiagnosticSource,
    Mechanism,
    ServiceErrorGroup,
)
from metertwin.cosem.apdu.initiate import DLMS_VERSION, InitiateRequest, InitiateResponse
from metertwin.cosem.apdu.refusal import ConfirmedServiceError
from metertwin.cosem.classes.association import MAX_PDU_OCTETS
from metertwin.cosem.classes.client import Client
from metertwin.cosem.errors import CosemError
from metertwin.cosem.security import SYSTEM_TITLE_OCTETS, is_same_secret
from metertwin.cosem.server.ciphering import CipherChannel, Style
from metertwin.cosem.server.device import Credentials, LogicalDevice

_PDU_OCTETS_MIN = 12
# Values of the group INITIATE of a confirmed service error.
_VERSION_TOO_LOW, _INCOMPATIBLE_CONFORMANCE, _PDU_TOO_SHORT = 1, 2, 3
_CONTEXTS = (ApplicationContext.LOGICAL_NAME, ApplicationContext.LOGICAL_NAME_CIPHERED)
_NO_CREDENTIALS = Credentials()


class Terms(NamedTuple):
    """What was agreed on.

    Args:
        conformance: The services.
        client_octets_max: Longest APDU the client takes, as it travels.
        channel: Keys and counters, if the context allows ciphering or the mechanism needs keys.
        style: How the initiate request was ciphered, if it was.
        client_challenge: CtoS, which the server has to answer after an HLS.
    """

    conformance: Conformance
    client_octets_max: int
    channel: CipherChannel | None
    style: Style | None
    client_challenge: bytes


class RefusedOpening(Exception):  # noqa: N818 - never leaves this module: a way to end the checks
    """The association is refused."""

    def __init__(self, diagnostic: Diagnostic, information: bytes = b"") -> None:
        super().__init__(diagnostic.name)
        self.diagnostic = diagnostic
        self.information = information


def judge(device: LogicalDevice[Any], client: Client | None, aarq: Aarq) -> Terms | Aare:
    """Return the terms of an association, or the answer that refuses it.

    Args:
        device: The meter. (Any: opening never touches its state.)
        client: Who asks; None for a SAP the meter does not know.
        aarq: The request.
    """
    try:
        return _judge(device, client, aarq)
    except RefusedOpening as refused:
        return Aare(
            aarq.context,
            AssociationResult.REJECTED_PERMANENT,
            refused.diagnostic,
            DiagnosticSource.USER,
            user_information=refused.information,
        )


def accept(device: LogicalDevice[Any], aarq: Aarq, terms: Terms, challenge: bytes) -> Aare:
    """Return the answer that opens the association; `challenge` is StoC, empty without HLS."""
    information = InitiateResponse(terms.conformance, MAX_PDU_OCTETS).encode()
    if terms.channel is not None and terms.style is not None:
        information = terms.channel.seal(information, terms.style)
    is_high_level = aarq.mechanism >= Mechanism.HLS
    return Aare(
        aarq.context,
        AssociationResult.ACCEPTED,
        Diagnostic.AUTHENTICATION_REQUIRED if is_high_level else Diagnostic.NULL,
        user_information=information,
        system_title=device.system_title if terms.channel is not None else None,
        mechanism=aarq.mechanism,
        authentication_value=challenge or None,
    )


def _judge(device: LogicalDevice[Any], client: Client | None, aarq: Aarq) -> Terms:
    if client is None:
        raise RefusedOpening(Diagnostic.NO_REASON_GIVEN)
    is_ciphered = aarq.context is ApplicationContext.LOGICAL_NAME_CIPHERED
    if aarq.context not in _CONTEXTS or (client.is_ciphered and not is_ciphered):
        raise RefusedOpening(Diagnostic.APPLICATION_CONTEXT_NOT_SUPPORTED)
    credentials = device.credentials.get(client.sap, _NO_CREDENTIALS)
    _check_mechanism(client, aarq, credentials)
    channel = None
    if is_ciphered or client.mechanism is Mechanism.HLS_GMAC:
        if credentials.keys is None:
            raise RefusedOpening(Diagnostic.APPLICATION_CONTEXT_NOT_SUPPORTED)
        title = aarq.system_title or b""
        if len(title) != SYSTEM_TITLE_OCTETS:
            raise RefusedOpening(Diagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED)
        channel = CipherChannel(device, client.sap, title, credentials.keys)
    request, style = _initiate(aarq.user_information, channel)
    if client.is_ciphered and not (style and _is_full(style)):
        raise RefusedOpening(Diagnostic.AUTHENTICATION_FAILURE)
    conformance = _agreed_conformance(client, request)
    if channel is not None and request.dedicated_key:
        _use_dedicated_key(channel, request.dedicated_key)
    octets_max = request.max_pdu_octets or MAX_PDU_OCTETS
    challenge = aarq.authentication_value or b""
    return Terms(conformance, octets_max, channel, style, challenge)


def _check_mechanism(client: Client, aarq: Aarq, credentials: Credentials) -> None:
    if aarq.mechanism is not client.mechanism:
        if aarq.mechanism is Mechanism.NONE:
            raise RefusedOpening(Diagnostic.AUTHENTICATION_REQUIRED)
        raise RefusedOpening(Diagnostic.MECHANISM_NOT_RECOGNIZED)
    given = aarq.authentication_value or b""
    if client.mechanism is Mechanism.LLS:
        # An empty password is no password: a meter without one lets nobody in.
        if not credentials.password or not is_same_secret(given, credentials.password):
            raise RefusedOpening(Diagnostic.AUTHENTICATION_FAILURE)
    elif client.mechanism is Mechanism.HLS_GMAC and not 8 <= len(given) <= 64:
        raise RefusedOpening(Diagnostic.AUTHENTICATION_FAILURE)


def _initiate(
    information: bytes, channel: CipherChannel | None
) -> tuple[InitiateRequest, Style | None]:
    style = None
    try:
        if channel is not None and information[:1] != bytes((ApduTag.INITIATE_REQUEST,)):
            information, style = channel.open(information)
        request = decode_apdu(information)
    except CosemError as error:
        raise RefusedOpening(Diagnostic.AUTHENTICATION_FAILURE) from error
    if not isinstance(request, InitiateRequest):
        raise RefusedOpening(Diagnostic.NO_REASON_GIVEN)
    return request, style


def _is_full(style: Style) -> bool:
    return style.control.is_authenticated and style.control.is_encrypted


def _agreed_conformance(client: Client, request: InitiateRequest) -> Conformance:
    conformance = client.conformance & request.conformance
    if request.dlms_version < DLMS_VERSION:
        reason = _VERSION_TOO_LOW
    elif not conformance:
        reason = _INCOMPATIBLE_CONFORMANCE
    elif 0 < request.max_pdu_octets < _PDU_OCTETS_MIN:
        reason = _PDU_TOO_SHORT
    else:
        return conformance
    error = ConfirmedServiceError(ConfirmedService.INITIATE, ServiceErrorGroup.INITIATE, reason)
    raise RefusedOpening(Diagnostic.NO_REASON_GIVEN, error.encode())


def _use_dedicated_key(channel: CipherChannel, key: bytes) -> None:
    try:
        channel.use_dedicated_key(key)
    except InvalidInputError as error:
        raise RefusedOpening(Diagnostic.NO_REASON_GIVEN) from error
