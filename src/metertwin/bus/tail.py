"""Reading a stream in order from a sequence on, through restarts of the server.

The reader remembers the last stream sequence it handed out; the server remembers nothing worth
keeping. When the connection, the server or its consumer is lost, or a message went missing on the
way, a new consumer begins behind that sequence: nothing is left out and nothing comes twice.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence

import nats.errors
import structlog
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError as MissingError

from metertwin.bus.connection import Bus
from metertwin.bus.feed import Delivered, Feed
from metertwin.core.errors import UnavailableError

__all__ = ["Delivered", "StreamTail"]

_INACTIVE_S = 120.0  # the server forgets a consumer that nobody pulled from for so long
_RETRY_PAUSE_S = 0.1
_STEP_S = 5.0

log = structlog.get_logger(__name__)


class StreamTail:
    """An ordered reader of a stream.

    Args:
        bus: The connection, of a role that may read the stream.
        stream: The stream's name.
        after_sequence: Stream sequence already dealt with; 0 to read from the beginning.
        subjects: Subjects wanted, may hold wildcards; none means all.
        batch_count: Messages asked for at a time; up to twice as many wait here.
        is_bucket: Whether the stream keeps the newest message of each subject alone, as the one
            behind a bucket does: what is missing between is no loss.
    """

    def __init__(
        self,
        bus: Bus,
        stream: str,
        after_sequence: int = 0,
        subjects: Sequence[str] = (),
        batch_count: int = 1_000,
        *,
        is_bucket: bool = False,
    ) -> None:
        self._is_bucket = is_bucket
        self.last_sequence = after_sequence
        self._bus = bus
        self._stream = stream
        self._subjects = list(subjects)
        self._batch_count = batch_count
        self._feed: Feed | None = None
        self._end_sequence = 0  # the stream's newest when the feed was opened

    async def fetch(self, max_messages: int, timeout_s: float) -> list[Delivered]:
        """Return the next messages, at least one unless `timeout_s` passes without any.

        An absent server looks like a silent one: an empty list.

        Raises:
            UnavailableError: The server has no such stream, or the connection was closed.
        """
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + timeout_s
        while True:
            feed = await self._live_feed(give_up_s)
            if feed is None:
                return []
            if taken := feed.take(max_messages):
                self.last_sequence = taken[-1].stream_sequence
                await feed.pull()
                return taken
            await feed.pull()
            if not await feed.wait(give_up_s - loop.time()):
                return []

    async def until_now(self, within_s: float = 60.0) -> AsyncIterator[list[Delivered]]:
        """Yield what the stream holds at this moment, in batches, then stop.

        Raises:
            UnavailableError: The server has no such stream, or for `within_s` nothing comes though
                something is there.
        """
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + within_s
        while loop.time() < give_up_s:
            feed = await self._live_feed(give_up_s)
            if feed is None:
                break
            if not feed.pending_count or self.last_sequence >= self._end_sequence:
                return
            if batch := await self.fetch(self._batch_count, min(_STEP_S, within_s)):
                give_up_s = loop.time() + within_s
                yield batch
        raise UnavailableError(
            f"Stream {self._stream} holds more after sequence {self.last_sequence}, but the bus "
            f"delivered nothing for {within_s:g} s.",
            stream=self._stream,
            last_sequence=self.last_sequence,
        )

    @property
    def has_more(self) -> bool:
        """Whether the stream held more when the last message came; True before the first look."""
        return self._feed is None or self._feed.pending_count > 0

    async def close(self) -> None:
        """Stop reading."""
        if self._feed is not None:
            await self._feed.close()
            self._feed = None

    async def _live_feed(self, give_up_s: float) -> Feed | None:
        """Return a feed that begins behind `last_sequence`; None if there is none in time."""
        if self._feed is not None and self._feed.is_live:
            return self._feed
        await self.close()
        try:
            async with asyncio.timeout_at(give_up_s):
                while self._feed is None:
                    self._check_open()
                    await self._bus.wait_connected()
                    await self._open()
        except TimeoutError:
            return None
        return self._feed

    async def _open(self) -> None:
        try:
            info = await self._bus.js.stream_info(self._stream)
            self._check_sequences(info.state.first_seq, info.state.last_seq)
            self._end_sequence = info.state.last_seq
            self._feed = await self._make_feed()
        except MissingError as error:
            raise UnavailableError(
                f"The bus has no stream {self._stream}; the site makes it when it starts.",
                stream=self._stream,
            ) from error
        except (nats.errors.Error, TimeoutError) as error:
            self._check_open()
            log.warning("stream_not_open", stream=self._stream, reason=str(error))
            await asyncio.sleep(_RETRY_PAUSE_S)

    async def _make_feed(self) -> Feed:
        name = f"{self._bus.name}-{secrets.token_hex(6)}"
        config = ConsumerConfig(
            name=name,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.last_sequence + 1,
            ack_policy=AckPolicy.NONE,
            filter_subjects=self._subjects or None,
            inactive_threshold=_INACTIVE_S,
            mem_storage=True,
            num_replicas=1,
        )
        info = await self._bus.js.add_consumer(self._stream, config)
        feed = Feed(self._bus, self._stream, name, self._batch_count, info.num_pending or 0)
        await feed.open()
        return feed

    def _check_open(self) -> None:
        if self._bus.nc.is_closed:
            raise UnavailableError(
                f"The connection {self._bus.name} to the bus is closed.", stream=self._stream
            )

    def _check_sequences(self, first_sequence: int, last_sequence: int) -> None:
        if self.last_sequence > last_sequence:
            # A power cut or a deleted store. Beginning again is dear and safe: consumers drop
            # what they know.
            log.error(
                "stream_was_cut",
                stream=self._stream,
                known_sequence=self.last_sequence,
                last_sequence=last_sequence,
            )
            self.last_sequence = 0
        elif not self._is_bucket and 0 < self.last_sequence < first_sequence - 1:
            log.error(
                "stream_forgot",
                stream=self._stream,
                known_sequence=self.last_sequence,
                first_sequence=first_sequence,
            )
