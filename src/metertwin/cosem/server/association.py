"""One client's association with one meter: opening, authentication, ciphering, release.

Refusals follow one rule: what is wrong with the association is answered by AARE, what is wrong
with a service in it by the service's own result, and what cannot be said that way by an
exception-response, which is never ciphered because the client may have no keys that fit.
"""

from enum import Enum, auto
from secrets import token_bytes
from typing import Generic

from metertwin.cosem.apdu.action_request import ActionRequestNormal
from metertwin.cosem.apdu.action_response import ActionOutcome, ActionResponseNormal
from metertwin.cosem.apdu.association_request import Aarq
from metertwin.cosem.apdu.association_response import Aare
from metertwin.cosem.apdu.ciphered import SERVICE_CIPHERED_TAGS
from metertwin.cosem.apdu.decode import decode_apdu
from metertwin.cosem.apdu.enumerations import (
    ActionResult,
    ApduTag,
    ExceptionReason,
    Mechanism,
    StateError,
)
from metertwin.cosem.apdu.refusal import ExceptionResponse
from metertwin.cosem.apdu.release import Rlre, Rlrq
from metertwin.cosem.classes.definition import S
from metertwin.cosem.classes.model import REPLY_TO_HLS, ClientView
from metertwin.cosem.data import octets
from metertwin.cosem.errors import CosemError, DecodeError, ReplayError, SecurityError
from metertwin.cosem.security import check_gmac_answer, gmac_answer
from metertwin.cosem.server.ciphering import CIPHER_OVERHEAD_OCTETS, CipherChannel
from metertwin.cosem.server.device import LogicalDevice
from metertwin.cosem.server.opening import Terms, accept, judge
from metertwin.cosem.server.refusals import NOT_ALLOWED, NOT_DECIPHERED, UNKNOWN
from metertwin.cosem.server.services import answer
from metertwin.cosem.server.session import Session

_PLAIN_SERVICES = frozenset({ApduTag.GET_REQUEST, ApduTag.SET_REQUEST, ApduTag.ACTION_REQUEST})
_PLAIN_STARTS = frozenset(bytes((tag,)) for tag in _PLAIN_SERVICES)
_GENERAL_TAGS = {ApduTag.GENERAL_GLO_CIPHERING, ApduTag.GENERAL_DED_CIPHERING}
_CIPHERED = frozenset(SERVICE_CIPHERED_TAGS | _GENERAL_TAGS)
_CHALLENGE_OCTETS = 16


class AssociationState(Enum):
    """How far the association has come."""

    CLOSED = auto()
    AWAITING_PROOF = auto()
    OPEN = auto()


class ServerAssociation(Generic[S]):
    """The association of one client SAP with one meter over one connection.

    Args:
        device: The meter.
        client_sap: Who is at the other end.

    Example:
        >>> from metertwin.cosem.classes.model import ObjectModel
        >>> meter = LogicalDevice(ObjectModel[None]([]), None)
        >>> association = ServerAssociation(meter, client_sap=16)
        >>> association.handle(bytes.fromhex("c001c1000100002a0000ff0200")).hex()  # not open yet
        'd80101'
    """

    __slots__ = (
        "_challenges",
        "_channel",
        "_client_sap",
        "_device",
        "_plain_session",
        "_session",
        "state",
    )

    def __init__(self, device: LogicalDevice[S], client_sap: int) -> None:
        self._device = device
        self._client_sap = client_sap
        self._session: Session[S] | None = None
        self._channel: CipherChannel | None = None
        self._challenges = (b"", b"")  # CtoS and StoC while a proof is due
        self._plain_session: Session[S] | None = None  # the session, where plain APDUs may use it
        self.state = AssociationState.CLOSED

    def handle(self, apdu: bytes) -> bytes | None:
        """Return the answer to an APDU; None if it needs none. No input raises."""
        session = self._plain_session
        if session is not None and apdu[:1] in _PLAIN_STARTS:
            return answer(session, apdu)
        return self._handle_rarely(apdu)

    def close(self) -> None:
        """Forget the association, as when the connection below it ends."""
        self._session = None
        self._channel = None
        self._challenges = (b"", b"")
        self._plain_session = None
        self.state = AssociationState.CLOSED

    def _handle_rarely(self, apdu: bytes) -> bytes | None:
        tag = apdu[0] if apdu else None
        if tag in _CIPHERED and self._channel is not None:
            return self._handle_ciphered(apdu, self._channel)
        if tag in _PLAIN_SERVICES:
            is_due = self.state is AssociationState.AWAITING_PROOF and not self._must_cipher
            return self._prove(apdu) if is_due else NOT_ALLOWED
        try:
            request = decode_apdu(apdu)
        except DecodeError:
            return UNKNOWN
        match request:
            case Aarq():
                return self._open(request)
            case Rlrq():
                return self._release(request)
            case _:
                return NOT_ALLOWED

    @property
    def _view(self) -> ClientView[S] | None:
        return self._device.model.views.get(self._client_sap)

    @property
    def _must_cipher(self) -> bool:
        return self._view is not None and self._view.client.is_ciphered

    def _open(self, aarq: Aarq) -> bytes:
        self.close()  # a client that lost its state begins anew
        view = self._view
        terms = judge(self._device, None if view is None else view.client, aarq)
        if isinstance(terms, Aare) or view is None:
            return terms.encode() if isinstance(terms, Aare) else NOT_ALLOWED
        challenge = b""
        self.state = AssociationState.OPEN
        if aarq.mechanism is Mechanism.HLS_GMAC:
            challenge = token_bytes(_CHALLENGE_OCTETS)
            self.state = AssociationState.AWAITING_PROOF
            self._challenges = (terms.client_challenge, challenge)
        self._channel = terms.channel
        self._session = self._new_session(view, terms)
        self._allow_plain()
        return accept(self._device, aarq, terms, challenge).encode()

    def _new_session(self, view: ClientView[S], terms: Terms) -> Session[S]:
        overhead = 0 if terms.channel is None else CIPHER_OVERHEAD_OCTETS
        octets_max = max(terms.client_octets_max - overhead, 1)
        return Session(self._device, view, terms.conformance, octets_max)

    def _allow_plain(self) -> None:
        if self.state is AssociationState.OPEN and not self._must_cipher:
            self._plain_session = self._session

    def _handle_ciphered(self, apdu: bytes, channel: CipherChannel) -> bytes | None:
        try:
            plaintext, style = channel.open(apdu)
        except ReplayError:
            return ExceptionResponse(
                StateError.SERVICE_NOT_ALLOWED,
                ExceptionReason.INVOCATION_COUNTER_ERROR,
                channel.lowest_accepted,
            ).encode()
        except SecurityError:
            return NOT_DECIPHERED
        except DecodeError:
            return UNKNOWN
        control = style.control
        if self._must_cipher and not (control.is_authenticated and control.is_encrypted):
            return NOT_ALLOWED
        if not plaintext or plaintext[0] not in _PLAIN_SERVICES or self._session is None:
            return NOT_ALLOWED
        if self.state is AssociationState.AWAITING_PROOF:
            response: bytes | None = self._prove(plaintext)
        else:
            response = answer(self._session, plaintext)
        if response is None or response[0] == ApduTag.EXCEPTION_RESPONSE:
            return response
        return channel.seal(response, style)

    def _prove(self, apdu: bytes) -> bytes:
        """Take the client's answer to StoC and give the server's to CtoS: HLS passes 3 and 4."""
        channel = self._channel
        try:
            request = decode_apdu(apdu)
        except DecodeError:
            return UNKNOWN
        if channel is None or not isinstance(request, ActionRequestNormal):
            return NOT_ALLOWED
        if request.descriptor.encode() != REPLY_TO_HLS or request.parameters is None:
            return NOT_ALLOWED
        client_challenge, server_challenge = self._challenges
        try:
            # The counter inside is not held against the gate: the challenge is fresh, so the proof
            # cannot be a replay, and clients exist that use one counter for proof and ciphering.
            proof = request.parameters.octets()
            check_gmac_answer(proof, server_challenge, channel.keys, channel.client_title)
        except CosemError:
            self.close()
            refused = ActionOutcome(ActionResult.OTHER_REASON)
            return ActionResponseNormal(request.invoke, refused).encode()
        self.state = AssociationState.OPEN
        self._challenges = (b"", b"")
        self._allow_plain()
        title, counter = self._device.system_title, self._device.next_invocation_counter()
        answered = octets(gmac_answer(client_challenge, channel.keys, title, counter))
        accepted = ActionOutcome(ActionResult.SUCCESS, answered)
        return ActionResponseNormal(request.invoke, accepted).encode()

    def _release(self, request: Rlrq) -> bytes:
        if self.state is AssociationState.CLOSED:
            return NOT_ALLOWED
        if self._must_cipher and self._channel is not None and request.user_information:
            try:
                self._channel.open(request.user_information)
            except CosemError:
                return NOT_DECIPHERED  # somebody else must not end the association
        self.close()
        return Rlre().encode()
