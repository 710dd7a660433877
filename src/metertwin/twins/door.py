"""Where a group is asked: its requests and the ends of its commands come in here."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from metertwin.bus.connection import Bus
from metertwin.bus.messages import decode_outcome
from metertwin.bus.requests import Handler, Service, serve
from metertwin.bus.subjects import COMMAND_STREAM, Kind, of_group, of_share, subject
from metertwin.bus.tail import StreamTail
from metertwin.bus.wire import WireError
from metertwin.core.errors import UnavailableError
from metertwin.twins.hosted import HostedGroup
from metertwin.twins.requests import TwinRequests
from metertwin.twins.spokesman import Spokesman

_DRAIN_S = 0.2  # a read through to the meter may take longer: it is begun anew at the next host
_LEARN_WITHIN_S = 2.0

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Outcomes:
    """The ends of one group's commands, as they are told."""

    bus: Bus
    hosted: HostedGroup
    _subscription: Subscription | None = None

    @classmethod
    async def hear(cls, bus: Bus, hosted: HostedGroup) -> "Outcomes":
        """Hear them from now on, and learn those that were told before.

        Raises:
            UnavailableError: The bus is away.
        """
        outcomes, to = cls(bus, hosted), of_group(hosted.group.settings.id, Kind.OUTCOME)
        try:
            outcomes._subscription = await bus.nc.subscribe(to, cb=outcomes._learn)
            await bus.nc.settle()
            await outcomes._learn_missed()  # after it hears, or one could come in between
        except nats.errors.Error as error:
            await outcomes.close()
            raise UnavailableError(
                f"The bus is away, {to} is not heard: {error}.", subject=to
            ) from error
        except BaseException:
            await outcomes.close()
            raise
        return outcomes

    async def close(self) -> None:
        """Hear no more."""
        if self._subscription is not None and not self.bus.nc.is_closed:
            with contextlib.suppress(nats.errors.Error):  # gone with the connection
                await self._subscription.unsubscribe()
        self._subscription = None

    async def _learn_missed(self) -> None:
        """Take note of ends that came while nobody hosted the group."""
        meters = {command.meter for command in self.hosted.desk.open_commands()}
        if not meters:
            return
        group = self.hosted.group.settings.id
        subjects = [subject(group, Kind.OUTCOME, meter) for meter in sorted(meters)]
        tail = StreamTail(self.bus, COMMAND_STREAM, subjects=subjects)
        try:
            async for messages in tail.until_now(_LEARN_WITHIN_S):
                for message in messages:
                    self.hosted.learn(decode_outcome(message.data))
        except UnavailableError as error:
            # Nobody waits for that: the command stays open here until it is asked for in history.
            log.warning("ends_not_learned", group=group, reason=str(error))
        finally:
            await tail.close()

    async def _learn(self, message: Msg) -> None:
        try:
            self.hosted.learn(decode_outcome(message.data))
        except WireError as error:
            log.warning("outcome_refused", subject=message.subject, reason=str(error))


@dataclass(slots=True, eq=False)
class Door:
    """One group's requests and outcomes at its host.

    A share hears what is asked of its own meters and of itself; the first one speaks for the group.
    """

    _services: tuple[Service, ...]
    _outcomes: Outcomes

    @classmethod
    async def open(cls, bus: Bus, hosted: HostedGroup) -> "Door":
        """Serve a group.

        Raises:
            UnavailableError: The bus is away.
        """
        own = TwinRequests(hosted).handlers()
        handlers = {**own, **hosted.app_requests().handlers(own)}
        outcomes = await Outcomes.hear(bus, hosted)
        services: list[Service] = []
        try:
            # One queue for the whole group: while it is cut otherwise, two lots serve one meter,
            # and a request shall come to one of them.
            queue = f"twins-{hosted.group.settings.id}"
            for subjects, answering in _served(bus, hosted, handlers):
                services.append(await serve(bus, subjects, queue, answering))
        except BaseException:
            for service in services:
                await service.stop()
            await outcomes.close()
            raise
        return cls(tuple(services), outcomes)

    async def hold(self) -> None:
        """Let what is asked from now on wait."""
        # Who speaks for the group holds first: what it asks of the shares may be asked of this one.
        for service in reversed(self._services):
            await service.hold(_DRAIN_S)

    def resume(self) -> None:
        """Answer again."""
        for service in self._services:
            service.resume()

    async def pass_on(self) -> int:
        """Ask the group's next host what waits, and return how much it was.

        The answers come through here; `close` waits for them.
        """
        return sum([await service.pass_on() for service in self._services])

    async def yield_to(self, successor: "Door") -> None:
        """Close; who waits is answered at the group's next door, which is this host's as well."""
        for service, next_one in zip(self._services, successor._services, strict=True):  # noqa: SLF001 - one of its own kind
            await service.yield_to(next_one)
        await self.close()

    async def close(self) -> None:
        """Take nothing more and finish what is begun."""
        for service in reversed(self._services):
            await service.stop()
        await self._outcomes.close()


def _served(
    bus: Bus, hosted: HostedGroup, handlers: Mapping[str, Handler]
) -> Iterator[tuple[list[str], Mapping[str, Handler]]]:
    """Yield what is answered where."""
    settings = hosted.group.settings
    if not settings.share:
        yield [of_group(settings.id, Kind.REQUEST)], handlers
        return
    tokens = [*settings.meters, of_share(settings.share)]
    yield [subject(settings.id, Kind.REQUEST, token) for token in tokens], handlers
    if settings.share == 1:
        spokesman = Spokesman(bus, settings)
        yield [subject(settings.id, Kind.REQUEST)], spokesman.handlers(handlers)
