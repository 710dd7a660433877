"""A client's association with a meter, sans I/O: every service is an `Exchange` of octets.

    association = ClientAssociation(ClientSettings(Mechanism.LLS, password=b"12345678"))
    exchange = association.associate()
    ... send exchange.request, feed the answers until it returns None
    exchange = association.get(AttributeDescriptor(3, Obis.parse("1-0:1.8.0"), 2))

One exchange at a time: a meter answers in turn.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import TypeVar

from metertwin.core.errors import InvalidInputError
from metertwin.core.obis import Obis
from metertwin.cosem.answers import expect
from metertwin.cosem.apdu.association_request import Aarq
from metertwin.cosem.apdu.association_response import Aare
from metertwin.cosem.apdu.blocks import CONFIRMED, HIGH_PRIORITY, INVOKE_ID_MASK
from metertwin.cosem.apdu.ciphered import GeneralDedCiphered, GeneralGloCiphered, ServiceCiphered
from metertwin.cosem.apdu.decode import Apdu, decode_apdu
from metertwin.cosem.apdu.descriptors import (
    AttributeDescriptor,
    MethodDescriptor,
    SelectedAttribute,
    Selection,
)
from metertwin.cosem.apdu.enumerations import (
    ApduTag,
    ApplicationContext,
    AssociationResult,
    Conformance,
    DataAccessResult,
    Diagnostic,
    Mechanism,
)
from metertwin.cosem.apdu.get_response import GetResult
from metertwin.cosem.apdu.initiate import InitiateRequest, InitiateResponse
from metertwin.cosem.apdu.notification import DataNotification, EventNotificationRequest
from metertwin.cosem.apdu.refusal import ConfirmedServiceError, ExceptionResponse
from metertwin.cosem.apdu.release import Rlre, Rlrq
from metertwin.cosem.channel import Channel
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import Data, octets
from metertwin.cosem.errors import AssociationError, SecurityError, ServiceError
from metertwin.cosem.exchange import Exchange, Steps
from metertwin.cosem.invoking import invoke_method
from metertwin.cosem.reading import decode_undecoded, get, get_list, get_octets
from metertwin.cosem.security import check_gmac_answer, gmac_answer
from metertwin.cosem.writing import set_attribute, set_list

T = TypeVar("T")

REPLY_TO_HLS = MethodDescriptor(15, Obis(0, 0, 40, 0, 0, 255), 1)
# What ciphering adds to an APDU at most: tag, title, two length fields, header, tag.
_CIPHERING_OVERHEAD = 40
_CHALLENGE_OCTETS = 16
_GET_RESPONSE = bytes((ApduTag.GET_RESPONSE,))
_CIPHERED_GET_RESPONSES = frozenset(
    bytes((tag,))
    for tag in (
        ApduTag.GLO_GET_RESPONSE,
        ApduTag.DED_GET_RESPONSE,
        ApduTag.GENERAL_GLO_CIPHERING,
        ApduTag.GENERAL_DED_CIPHERING,
    )
)
_MECHANISMS = frozenset({Mechanism.NONE, Mechanism.LLS, Mechanism.HLS_GMAC})


class ClientAssociation:
    """One association, from request to release.

    Args:
        settings: How to present oneself.
        channel: Keys, titles and counters; needed for ciphering and for HLS_GMAC. Its
            `next_counter` must be stored by the caller: it must never go back.
        challenge: Makes a challenge of n random octets.

    Raises:
        InvalidInputError: The mechanism is not supported, or what it needs is missing.
    """

    __slots__ = (
        "_challenge",
        "_invoke_id",
        "channel",
        "conformance",
        "is_open",
        "server_max_pdu_octets",
        "settings",
    )

    def __init__(
        self,
        settings: ClientSettings,
        channel: Channel | None = None,
        challenge: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if settings.mechanism not in _MECHANISMS:
            raise InvalidInputError(
                f"Mechanism {settings.mechanism.name} is not supported; NONE, LLS and HLS_GMAC are."
            )
        needs_channel = settings.is_ciphered or settings.mechanism is Mechanism.HLS_GMAC
        if needs_channel and channel is None:
            raise InvalidInputError("Ciphering and HLS_GMAC need keys and titles: give a channel.")
        if settings.dedicated_key is not None and channel is not None:
            channel.keys.with_encryption_key(settings.dedicated_key)  # refuses another length
        self.settings = settings
        self.channel = channel
        self.conformance = Conformance.NONE
        self.server_max_pdu_octets = 0
        self.is_open = False
        self._challenge = challenge
        self._invoke_id = 0

    def associate(self) -> Exchange[InitiateResponse]:
        """Ask for the association, and prove and check the secret where the mechanism does so.

        The exchange raises AssociationError where the meter refuses, SecurityError where it cannot
        prove that it knows the keys.
        """
        return self._exchange(self._associate())

    def get(
        self, descriptor: AttributeDescriptor, selection: Selection | None = None
    ) -> Exchange[Data]:
        """Read one attribute; the exchange raises ServiceError where the meter refuses.

        Raises:
            AssociationError: The association is not open.
        """
        return self._service(get(self._next_invoke(), SelectedAttribute(descriptor, selection)))

    def get_octets(
        self, descriptor: AttributeDescriptor, selection: Selection | None = None
    ) -> Exchange[bytes]:
        """Read one attribute as its A-XDR octets, for `read_profile_columns`; as `get` otherwise.

        Raises:
            AssociationError: The association is not open.
        """
        self._demand(Conformance.NONE)
        steps = get_octets(self._next_invoke(), SelectedAttribute(descriptor, selection))
        return Exchange(steps, self._encode, self._decode_undecoded)

    def get_list(self, attributes: Sequence[SelectedAttribute]) -> Exchange[tuple[GetResult, ...]]:
        """Read several attributes in one service; each has its own result.

        Raises:
            AssociationError: The association is not open, or lists were not agreed on.
        """
        self._demand(Conformance.MULTIPLE_REFERENCES)
        return self._service(get_list(self._next_invoke(), attributes))

    def set(
        self, descriptor: AttributeDescriptor, value: Data, selection: Selection | None = None
    ) -> Exchange[None]:
        """Write one attribute; the exchange raises ServiceError where the meter refuses.

        Raises:
            AssociationError: The association is not open.
        """
        attribute = SelectedAttribute(descriptor, selection)
        return self._service(
            set_attribute(self._next_invoke(), attribute, value, self._room_octets())
        )

    def set_list(
        self, attributes: Sequence[SelectedAttribute], values: Sequence[Data]
    ) -> Exchange[tuple[DataAccessResult, ...]]:
        """Write several attributes in one service; each has its own result.

        Raises:
            AssociationError: The association is not open, or lists were not agreed on.
        """
        self._demand(Conformance.MULTIPLE_REFERENCES)
        return self._service(set_list(self._next_invoke(), attributes, values, self._room_octets()))

    def action(
        self, descriptor: MethodDescriptor, parameters: Data | None = None
    ) -> Exchange[Data | None]:
        """Invoke a method; the exchange raises ServiceError where the meter refuses.

        Raises:
            AssociationError: The association is not open.
        """
        return self._service(self._invoke(descriptor, parameters))

    def release(self) -> Exchange[None]:
        """Release the association in good order.

        Raises:
            AssociationError: The association is not open.
        """
        return self._service(self._release())

    def receive_push(self, received: bytes) -> DataNotification | EventNotificationRequest:
        """Return what a meter sent unasked; ask `is_push` first where answers are awaited too.

        Raises:
            ProtocolError: The APDU is no notification.
            CosemError: The APDU is malformed or fails its check.
        """
        return expect(self._decode(received), (DataNotification, EventNotificationRequest))

    def _service(self, steps: Steps[T]) -> Exchange[T]:
        self._demand(Conformance.NONE)
        return self._exchange(steps)

    def _exchange(self, steps: Steps[T]) -> Exchange[T]:
        return Exchange(steps, self._encode, self._decode)

    def _demand(self, conformance: Conformance) -> None:
        if not self.is_open or self.conformance & conformance != conformance:
            raise AssociationError(
                f"The association is not open, or {conformance!r} was not agreed on.",
                is_open=self.is_open,
            )

    def _next_invoke(self) -> int:
        self._invoke_id = (self._invoke_id + 1) & INVOKE_ID_MASK
        return HIGH_PRIORITY | CONFIRMED | self._invoke_id

    def _room_octets(self) -> int:
        if not self.server_max_pdu_octets:
            return 0
        overhead = _CIPHERING_OVERHEAD if self.settings.is_ciphered else 0
        return max(1, self.server_max_pdu_octets - overhead)

    def _encode(self, apdu: Apdu) -> bytes:
        encoded = apdu.encode()
        if not self.settings.is_ciphered or isinstance(apdu, Aarq | Rlrq):
            return encoded
        return self._keyed().seal(encoded)

    def _decode(self, received: bytes) -> Apdu:
        answer = decode_apdu(received)
        if isinstance(answer, ServiceCiphered | GeneralGloCiphered | GeneralDedCiphered):
            return decode_apdu(self._keyed().open(received))
        # A meter that cannot open an APDU cannot seal its complaint either.
        outside = Aare | Rlre | ExceptionResponse | ConfirmedServiceError
        if self.settings.is_ciphered and not isinstance(answer, outside):
            raise SecurityError(
                f"{type(answer).__name__} came without the ciphering this association demands."
            )
        return answer

    def _decode_undecoded(self, received: bytes) -> Apdu:
        if received[:1] == _GET_RESPONSE and not self.settings.is_ciphered:
            return decode_undecoded(received)
        if received[:1] in _CIPHERED_GET_RESPONSES:
            return decode_undecoded(self._keyed().open(received))
        return self._decode(received)

    def _keyed(self) -> Channel:
        if self.channel is None:
            raise SecurityError("A ciphered APDU came, and there are no keys to open it.")
        return self.channel

    def _initiate_request(self) -> bytes:
        settings = self.settings
        request = InitiateRequest(
            settings.conformance, settings.max_pdu_octets, settings.dedicated_key
        ).encode()
        return self._keyed().seal(request, is_global=True) if settings.is_ciphered else request

    def _associate(self) -> Steps[InitiateResponse]:
        settings = self.settings
        self.is_open = False
        if self.channel is not None:
            self.channel.dedicated = None
        is_hls = settings.mechanism is Mechanism.HLS_GMAC
        challenge = self._challenge(_CHALLENGE_OCTETS) if is_hls else b""
        context = ApplicationContext.LOGICAL_NAME
        if settings.is_ciphered:
            context = ApplicationContext.LOGICAL_NAME_CIPHERED
        request = Aarq(
            context,
            self._initiate_request(),
            None if self.channel is None else self.channel.local_title,
            settings.mechanism,
            challenge or settings.password or None,
        )
        answer = expect((yield request), Aare)
        agreed = self._accept(answer)
        if is_hls:
            yield from self._prove(answer, challenge)
        if settings.is_ciphered and settings.dedicated_key is not None:
            self._keyed().use_dedicated(settings.dedicated_key)
        self.is_open = True
        return agreed

    def _accept(self, answer: Aare) -> InitiateResponse:
        expected = Diagnostic.NULL
        if self.settings.mechanism is Mechanism.HLS_GMAC:
            expected = Diagnostic.AUTHENTICATION_REQUIRED
        is_accepted = answer.result is AssociationResult.ACCEPTED
        if not is_accepted or answer.diagnostic is not expected:
            raise AssociationError(
                f"The meter answers the association request with {answer.result.name}, "
                f"{answer.diagnostic_source.name} {answer.diagnostic.name}; "
                f"{expected.name} is what this mechanism needs.",
                result=answer.result.name,
                diagnostic=answer.diagnostic.name,
            )
        if self.channel is not None and answer.system_title is not None:
            self.channel.remote_title = answer.system_title
        initiated = expect(self._decode(answer.user_information), InitiateResponse)
        self.conformance = initiated.conformance & self.settings.conformance
        self.server_max_pdu_octets = initiated.max_pdu_octets
        return initiated

    def _prove(self, answer: Aare, challenge: bytes) -> Steps[None]:
        channel = self._keyed()
        title = channel.remote_title
        if answer.authentication_value is None or title is None:
            raise AssociationError("The meter's AARE lacks its challenge or its system title.")
        if answer.authentication_value == challenge:
            # A mirrored challenge would make this client compute the meter's answer for it.
            raise SecurityError("The meter sent the client's own challenge back.")
        proof = gmac_answer(
            answer.authentication_value,
            channel.keys,
            channel.local_title,
            channel.take_counter(),
        )
        try:
            counter_proof = yield from self._invoke(REPLY_TO_HLS, octets(proof))
        except ServiceError as error:
            raise AssociationError(
                f"The meter refuses this client's answer to its challenge: {error.result.name}.",
                result=error.result.name,
            ) from error
        if counter_proof is None:
            raise SecurityError("The meter did not answer the client's challenge.")
        counter = check_gmac_answer(counter_proof.octets(), challenge, channel.keys, title)
        if not self.settings.is_ciphered:
            channel.gate.admit(counter)

    def _invoke(self, descriptor: MethodDescriptor, parameters: Data | None) -> Steps[Data | None]:
        return invoke_method(self._next_invoke(), descriptor, parameters, self._room_octets())

    def _release(self) -> Steps[None]:
        # Ciphered, the request carries a sealed initiate request, so nobody else can release.
        information = self._initiate_request() if self.settings.is_ciphered else b""
        expect((yield Rlrq(user_information=information)), Rlre)
        self.is_open = False
