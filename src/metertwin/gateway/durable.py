"""Publishing one message to a stream until it is there, whatever the bus does meanwhile."""

import asyncio

import nats.errors
import structlog
from nats.js.errors import APIError, NoStreamResponseError

from metertwin.bus.connection import Bus
from metertwin.bus.ending import end_if_told
from metertwin.core.errors import UnavailableError

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_MSG_ID = "Nats-Msg-Id"

log = structlog.get_logger(__name__)


async def publish_until_stored(bus: Bus, to: str, octets: bytes, identity: str) -> int:
    """Publish a message and return its number in the stream.

    It is repeated under the same identity until the stream confirms it, so a confirmation that was
    lost on the way back leaves one message, not two.

    Raises:
        RefusedError: This role may not publish there.
        UnavailableError: The message is larger than the bus carries.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        end_if_told()
        try:
            confirmed = await bus.js.publish(to, octets, headers={_MSG_ID: identity})
        except nats.errors.MaxPayloadError as error:
            raise UnavailableError(
                f"A message of {len(octets)} bytes to {to} is larger than the bus carries.",
                subject=to,
            ) from error
        except (nats.errors.Error, APIError, NoStreamResponseError, TimeoutError) as error:
            if refusal := bus.refusal(to):
                raise refusal from error
            log.warning("publish_repeated", subject=to, identity=identity, reason=str(error))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        else:
            return int(confirmed.seq)
