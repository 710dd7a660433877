"""From the bus to the live hub: state changes, events, outcomes, what apps conclude."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from metertwin.api.commands import CommandBook
from metertwin.api.live import LiveHub
from metertwin.bus.connection import Bus
from metertwin.bus.messages import MESSAGE_VERSION, decode_event, decode_outcome, decode_output
from metertwin.bus.subjects import Kind, all_groups
from metertwin.bus.wire import WireError

KINDS = frozenset({Kind.STATE.value, Kind.EVENT.value, Kind.OUTCOME.value, Kind.OUTPUT.value})
_log = structlog.get_logger(__name__)
_Hear = Callable[[str, str, bytes], None]  # group, meter token, message
_state_decoder = msgspec.msgpack.Decoder(tuple[int, list[dict[str, Any]]])


class LiveFeed:
    """Hears what passes on the bus; keeps the command book and the hub's clients up to date."""

    def __init__(self, bus: Bus, hub: LiveHub, book: CommandBook) -> None:
        self._bus = bus
        self._hub = hub
        self._book = book
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        """Begin to hear."""
        for kind, hear in (
            (Kind.STATE, self._hear_state),
            (Kind.EVENT, self._hear_event),
            (Kind.OUTCOME, self._hear_outcome),
            (Kind.OUTPUT, self._hear_output),
        ):
            subscription = await self._bus.nc.subscribe(all_groups(kind), cb=_guarded(hear))
            self._subscriptions.append(subscription)

    async def stop(self) -> None:
        """Hear no more, and let every client's stream end; calling it twice does no harm."""
        while self._subscriptions:
            subscription = self._subscriptions.pop()
            if not self._bus.nc.is_closed:
                await subscription.unsubscribe()
        self._hub.close()

    def _hear_state(self, group: str, _meter: str, octets: bytes) -> None:
        if not self._hub.wants(Kind.STATE, group):
            return  # nobody listens: not even decoded
        version, changed = _state_decoder.decode(octets)
        if version != MESSAGE_VERSION:
            raise WireError(f"A state message has version {version}, not {MESSAGE_VERSION}.")
        for twin in changed:
            self._hub.publish(Kind.STATE, group, str(twin.get("meter", "")), twin)

    def _hear_event(self, group: str, meter: str, octets: bytes) -> None:
        if self._hub.wants(Kind.EVENT, group):
            self._hub.publish(Kind.EVENT, group, meter, decode_event(octets))

    def _hear_output(self, group: str, meter: str, octets: bytes) -> None:
        if self._hub.wants(Kind.OUTPUT, group):
            self._hub.publish(Kind.OUTPUT, group, meter, decode_output(octets))

    def _hear_outcome(self, group: str, meter: str, octets: bytes) -> None:
        outcome = decode_outcome(octets)
        self._book.note_outcome(outcome)
        self._hub.publish(Kind.OUTCOME, group, meter, outcome)


def _guarded(hear: _Hear) -> Callable[[Msg], Awaitable[None]]:
    """Return a subscription's callback that logs a damaged message and goes on."""

    async def on_message(message: Msg) -> None:
        _, group, _, meter = message.subject.split(".")
        try:
            hear(group, meter, message.data)
        except (WireError, msgspec.DecodeError) as error:
            _log.warning("live_message_damaged", subject=message.subject, reason=str(error))

    return on_message
