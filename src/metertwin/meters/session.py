"""An association with one meter over one connection: COSEM services as coroutines.

Whatever goes wrong becomes a MeterLinkError that names the meter. A refusal of one attribute leaves
the association as it is; anything else ends connection and association, because a half-understood
conversation cannot be trusted to be in step.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from metertwin.core.obis import Obis
from metertwin.cosem.apdu.descriptors import (
    AttributeDescriptor,
    MethodDescriptor,
    SelectedAttribute,
    Selection,
)
from metertwin.cosem.apdu.enumerations import Conformance, DataAccessResult, Mechanism
from metertwin.cosem.apdu.get_response import GetResult
from metertwin.cosem.channel import Channel
from metertwin.cosem.client import ClientAssociation
from metertwin.cosem.client_settings import ClientSettings
from metertwin.cosem.data import Data
from metertwin.cosem.errors import (
    AssociationError,
    CosemError,
    ExceptionAnswerError,
    SecurityError,
    ServiceError,
)
from metertwin.cosem.exchange import Exchange
from metertwin.cosem.security import KeyRing
from metertwin.meters.connection import MeterConnection
from metertwin.meters.entry import MeterEntry, Security
from metertwin.meters.errors import (
    AnswerError,
    AssociationRefusedError,
    LinkBrokenError,
    MeterLinkError,
)

T = TypeVar("T")

# A descriptor with its class, name, number and the flag for "no selection", and what the request
# itself needs.
_ATTRIBUTE_OCTETS = 11
_REQUEST_OCTETS = 48
_LIST_MOST = 64
# A counter that was used must never be used again under the same key, also after a crash. Beginning
# at eight for each second since 2024 stays ahead of everything a meter was ever sent below eight
# APDUs a second, lasts until 2041, and a meter that is further says so.
_COUNTER_ORIGIN_S = 1_704_067_200
_COUNTERS_PER_S = 8
_PUBLIC_CLIENT_SAP = 16
_LOWEST_COUNTER = AttributeDescriptor(1, Obis(0, 0, 43, 1, 0), 2)


class DlmsSession:
    """One meter's association; opened, lost and opened again as often as needed.

    Args:
        entry: The meter.
        answer_timeout_s: Longest wait for one answer, in s.
    """

    __slots__ = ("_association", "_channel", "_connection", "_entry", "_timeout_s")

    def __init__(self, entry: MeterEntry, answer_timeout_s: float) -> None:
        self._entry = entry
        self._timeout_s = answer_timeout_s
        self._channel = _channel_of(entry)
        self._association: ClientAssociation | None = None
        self._connection: MeterConnection | None = None

    @property
    def is_open(self) -> bool:
        """Whether a service can be asked for."""
        return (
            self._connection is not None
            and self._connection.is_open
            and self._association is not None
            and self._association.is_open
        )

    async def open(self) -> None:
        """Connect and associate; nothing is done when the association stands.

        Raises:
            MeterLinkError: The meter cannot be reached, is silent, or refuses.
        """
        if self.is_open:
            return
        self.drop()
        try:
            await self._associate()
        except CosemError as error:
            if not await self._catches_up(error):
                raise self._refused(error) from error
            try:
                await self._associate()
            except CosemError as again:
                raise self._refused(again) from again

    async def get(
        self, descriptor: AttributeDescriptor, selection: Selection | None = None
    ) -> Data:
        """Read one attribute; raises MeterLinkError, AnswerError where the meter refuses it."""
        return await self._run(self._associated().get(descriptor, selection))

    async def get_list(self, attributes: Sequence[SelectedAttribute]) -> tuple[GetResult, ...]:
        """Read attributes in as few exchanges as the meter allows; each has its own result."""
        association = self._associated()
        if not association.conformance & Conformance.MULTIPLE_REFERENCES:
            return tuple([await self._get_or_refusal(attribute) for attribute in attributes])
        room_octets = association.server_max_pdu_octets or 0xFFFF
        size = max(1, min(_LIST_MOST, (room_octets - _REQUEST_OCTETS) // _ATTRIBUTE_OCTETS))
        results: tuple[GetResult, ...] = ()
        for start in range(0, len(attributes), size):
            part = attributes[start : start + size]
            answered: tuple[GetResult, ...] = await self._run(self._associated().get_list(part))
            results = results + answered if results else answered
        return results

    async def set(self, descriptor: AttributeDescriptor, value: Data) -> None:
        """Write one attribute; raises MeterLinkError, AnswerError where the meter refuses it."""
        await self._run(self._associated().set(descriptor, value))

    async def action(self, descriptor: MethodDescriptor, parameters: Data) -> None:
        """Invoke a method; raises MeterLinkError, AnswerError where the meter refuses it."""
        await self._run(self._associated().action(descriptor, parameters))

    async def close(self) -> None:
        """Release the association and close the connection; never fails."""
        association = self._association
        if self.is_open and association is not None:
            with contextlib.suppress(MeterLinkError):  # the connection is closed in any case
                await self._run(association.release())
        self.drop()

    def drop(self) -> None:
        """Close the connection without a word."""
        connection, self._connection, self._association = self._connection, None, None
        if connection is not None:
            connection.close()

    async def _associate(self) -> None:
        self._connection = await MeterConnection.connect(self._entry, self._timeout_s)
        self._association = ClientAssociation(_settings_of(self._entry), self._channel)
        if self._channel is not None:
            # Another device, with a counter of its own, may answer now. Forgetting the last counter
            # lets no replay in: the answer to our challenge is fresh and sets the mark anew.
            self._channel.remote_title = None
            self._channel.gate.lowest_accepted = 0
        await self._drive(self._association.associate())

    async def _catches_up(self, error: CosemError) -> bool:
        """Say whether the meter refuses for our counter alone, and put that right.

        A meter that is further than our counter says so in its refusal, or to the public client,
        which needs no key.
        """
        channel = self._channel
        if channel is None:
            return False
        self.drop()
        counter = error.facts.get("invocation_counter")
        if counter is None:
            counter = await self._counter_told_to_public()
        if not isinstance(counter, int) or counter <= channel.next_counter:
            return False
        channel.next_counter = counter
        return True

    async def _counter_told_to_public(self) -> object:
        public = msgspec.structs.replace(
            self._entry, client_sap=_PUBLIC_CLIENT_SAP, security=Security.NONE
        )
        session = DlmsSession(public, self._timeout_s)
        try:
            await session.open()
            return (await session.get(_LOWEST_COUNTER)).value
        except (MeterLinkError, CosemError):
            return None  # the first refusal is the one to report
        finally:
            await session.close()

    async def _get_or_refusal(self, attribute: SelectedAttribute) -> GetResult:
        try:
            return await self.get(attribute.descriptor, attribute.selection)
        except AnswerError as error:
            if isinstance(error.__cause__, ServiceError):
                result = error.__cause__.result
                if isinstance(result, DataAccessResult):
                    return result
            raise

    def _associated(self) -> ClientAssociation:
        if self._association is None or not self.is_open:
            raise LinkBrokenError(
                f"No association with meter {self._entry.id} stands.", meter=self._entry.id
            )
        return self._association

    async def _run(self, exchange: Exchange[T]) -> T:
        try:
            return await self._drive(exchange)
        except ServiceError as error:
            raise AnswerError(f"Meter {self._entry.id}: {error}", **self._facts(error)) from error
        except SecurityError as error:
            self.drop()
            raise AssociationRefusedError(
                f"Meter {self._entry.id} is not trusted: {error}", **self._facts(error)
            ) from error
        except CosemError as error:
            self.drop()
            raise LinkBrokenError(
                f"Meter {self._entry.id} answered nonsense: {error}", **self._facts(error)
            ) from error

    async def _drive(self, exchange: Exchange[T]) -> T:
        connection = self._connection
        assert connection is not None
        request: bytes | None = exchange.request
        try:
            while request is not None:
                request = exchange.feed(await connection.ask(request, self._timeout_s))
        except (MeterLinkError, asyncio.CancelledError):
            self.drop()
            raise
        return exchange.result

    def _refused(self, error: CosemError) -> MeterLinkError:
        self.drop()
        if isinstance(error, AssociationError | SecurityError | ExceptionAnswerError):
            return AssociationRefusedError(
                f"Meter {self._entry.id} at {self._entry.host}:{self._entry.port} refuses client "
                f"{self._entry.client_sap} with security {self._entry.security}: {error} Check "
                "client_sap, server_sap and the keys of its entry in meters.json.",
                **self._facts(error),
            )
        return LinkBrokenError(
            f"Meter {self._entry.id} answered the association with nonsense: {error}",
            **self._facts(error),
        )

    def _facts(self, error: CosemError) -> dict[str, object]:
        return {**error.facts, "meter": self._entry.id, "cosem_code": error.code}


def _settings_of(entry: MeterEntry) -> ClientSettings:
    match entry.security:
        case Security.NONE:
            return ClientSettings()
        case Security.LOW:
            return ClientSettings(Mechanism.LLS, bytes.fromhex(entry.password))
        case Security.HIGH:
            return ClientSettings(Mechanism.HLS_GMAC, is_ciphered=True)


def _channel_of(entry: MeterEntry) -> Channel | None:
    if entry.security is not Security.HIGH:
        return None
    keys = KeyRing(bytes.fromhex(entry.encryption_key), bytes.fromhex(entry.authentication_key))
    first_counter = int((time.time() - _COUNTER_ORIGIN_S) * _COUNTERS_PER_S)
    return Channel(keys, bytes.fromhex(entry.system_title), next_counter=first_counter)
