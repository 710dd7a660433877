"""Questions and answers over the bus, each with a deadline that travels with it.

The caller names a subject and never a host. Whatever goes wrong over there comes back as the error
it was; what goes wrong in between is one of two things: nobody there (`UnavailableError`) or not in
time (`DeadlineError`).
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import nats.errors
import structlog
from nats.aio.subscription import Subscription

from metertwin.bus.client import header_fields
from metertwin.bus.connection import Bus
from metertwin.bus.messages import (
    Problem,
    Request,
    decode_answer,
    decode_request,
    encode,
    encode_answer,
    encode_problem,
    problem_of,
)
from metertwin.core.errors import (
    DeadlineError,
    InvalidInputError,
    MeterTwinError,
    NotFoundError,
    UnavailableError,
)

DEADLINE_HEADER = "Mt-Deadline-Ms"
DEFAULT_DEADLINE_S = 10.0
LONGEST_DEADLINE_S = 600.0
MAX_CONCURRENT = 1_000
_LOOK_AGAIN_S = 0.05

Answer = TypeVar("Answer")
Handler = Callable[[Request, str, float], Awaitable[object]]

log = structlog.get_logger(__name__)


class UnknownRequestError(NotFoundError):
    """The part asked does not know the request's name."""

    code = "not_found.request"


class NobodyAnswersError(UnavailableError):
    """Nobody serves the subject. What an asked part says of others is not this class."""


class NotInTimeError(DeadlineError):
    """The caller's own deadline passed without an answer; what was asked may be done or not."""


async def ask(
    bus: Bus, subject: str, request: Request, deadline_s: float, reply_type: type[Answer]
) -> Answer:
    """Ask and return the answer.

    Args:
        bus: The connection.
        subject: Whom, from `subjects.subject`.
        request: What.
        deadline_s: Seconds until the answer is worthless, above 0.
        reply_type: What the answer is.

    Raises:
        NobodyAnswersError: Nobody answers at the subject.
        UnavailableError: The bus is away.
        NotInTimeError: The answer did not come in time.
        RefusedError: This role may not ask there.
        WireError: The answer is damaged, or another type.
        MeterTwinError: What went wrong over there, with its own code.
    """
    headers = {DEADLINE_HEADER: str(max(math.floor(deadline_s * 1000), 1))}
    try:
        answer = await bus.replies.ask(subject, encode(request), headers, deadline_s)
    except nats.errors.NoRespondersError:
        raise NobodyAnswersError(
            f"Nobody answers at {subject}: the part that hosts it is not running.", subject=subject
        ) from None
    except TimeoutError:
        if refusal := bus.refusal(subject):
            raise refusal from None
        raise NotInTimeError(
            f"{request.name} at {subject} was not answered within {deadline_s:g} s.",
            subject=subject,
            deadline_s=deadline_s,
        ) from None
    except nats.errors.MaxPayloadError:
        raise InvalidInputError(
            f"{request.name} at {subject} exceeds the {bus.nc.max_payload} bytes of a message.",
            subject=subject,
        ) from None
    except nats.errors.Error as error:
        raise UnavailableError(
            f"The bus is away, {request.name} at {subject} has no answer: {error}.", subject=subject
        ) from error
    return decode_answer(answer, reply_type)


class _Message(NamedTuple):
    subject: str
    reply: str
    data: bytes
    give_up_s: float  # by the monotonic clock

    @property
    def left_s(self) -> float:
        return round(self.give_up_s - time.monotonic(), 3)


@dataclass(slots=True)
class Service:
    """What answers at a subject; made by `serve`.

    Attributes:
        handlers: What answers each request, by the request's name.
        max_concurrent: Requests worked on at once; above, they are turned away at once.
    """

    bus: Bus
    handlers: Mapping[str, Handler]
    max_concurrent: int = MAX_CONCURRENT
    _tasks: dict[asyncio.Task[None], _Message] = field(default_factory=dict, init=False)
    _subscriptions: list[Subscription] = field(default_factory=list, init=False)
    _held: list[_Message] = field(default_factory=list, init=False)
    _is_holding: bool = field(default=False, init=False)

    async def stop(self) -> None:
        """Take no more requests and finish those begun."""
        await self._leave()
        await asyncio.gather(*self._tasks)

    async def hold(self, drain_s: float) -> None:
        """Begin no more answers: who asks waits until `resume` or `pass_on`.

        Args:
            drain_s: What is begun and not finished within so many seconds is given up and waits
                with the others, to be begun anew.
        """
        self._is_holding = True
        if not self._tasks:
            return
        _, late = await asyncio.wait(list(self._tasks), timeout=drain_s)
        self._held += [self._tasks[task] for task in late]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def resume(self) -> None:
        """Answer again, first who waited."""
        self._is_holding = False
        held, self._held = self._held, []
        for message in held:
            self._begin(message)

    async def pass_on(self) -> int:
        """Hear no more requests and ask whoever serves now what waits; return how much it was.

        Whoever asked gets the answer from here, and does not notice. It is not sent on under the
        asker's own reply address: if it came back, in a group that is moved to and fro, the server
        would refuse the answer, and what is sent where nobody serves yet is gone unnoticed.
        """
        await self._leave()
        held, self._held = self._held, []
        for message in held:
            self._do(message, self._relay(message))
        return len(held)

    async def yield_to(self, successor: "Service") -> int:
        """Hear no more requests; another service here answers those that wait, this many."""
        await self._leave()
        held, self._held = self._held, []
        for message in held:
            successor._begin(message)  # noqa: SLF001 - one of its own kind
        return len(held)

    async def _leave(self) -> None:
        for subscription in self._subscriptions:
            with contextlib.suppress(nats.errors.Error):  # gone with the connection
                await self.bus.nc.leave_raw(subscription)
        self._subscriptions.clear()

    def on_message(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        """Begin to answer one message."""
        if not reply:
            return  # nobody waits
        give_up_s = time.monotonic() + _deadline_s(headers)
        message = _Message(subject.decode(), reply.decode(), data, give_up_s)
        if self._is_holding and len(self._held) < self.max_concurrent:
            self._held.append(message)
        else:
            self._begin(message)

    def _begin(self, message: _Message) -> None:
        is_busy = self._is_holding or len(self._tasks) >= self.max_concurrent
        self._do(message, self._turn_away(message) if is_busy else self._answer(message))

    def _do(self, message: _Message, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = message
        task.add_done_callback(self._tasks.pop)

    async def _relay(self, message: _Message) -> None:
        while (left_s := message.left_s) > 0:
            headers = {DEADLINE_HEADER: str(max(math.floor(left_s * 1000), 1))}
            try:
                answer = await self.bus.replies.ask(message.subject, message.data, headers, left_s)
            except TimeoutError:
                return  # and the asker's time is over as well
            except nats.errors.Error:  # nobody serves yet, or the bus is away
                await asyncio.sleep(_LOOK_AGAIN_S)
            else:
                await self._send(message.reply, answer)
                return

    async def _turn_away(self, message: _Message) -> None:
        await self._send(message.reply, encode_problem(problem_of(self._busy())))

    async def _answer(self, message: _Message) -> None:
        try:
            answer = encode_answer(await self._handle(message))
        except MeterTwinError as error:
            answer = encode_problem(problem_of(error))
        except Exception:  # a handler's fault is logged, and told, or the caller would wait
            log.exception("request_failed", subject=message.subject)
            answer = encode_problem(
                Problem("internal", f"Answering at {message.subject} failed; its log says why.")
            )
        await self._send(message.reply, answer)

    async def _handle(self, message: _Message) -> object:
        request = decode_request(message.data)
        handler = self.handlers.get(request.name)
        if handler is None:
            raise UnknownRequestError(
                f"There is no request {request.name[:64]!r} at {message.subject}; there are "
                f"{', '.join(sorted(self.handlers))}.",
                name=request.name[:64],
            )
        deadline_s = message.left_s
        try:
            async with asyncio.timeout(deadline_s) as limit:
                return await handler(request, message.subject.rpartition(".")[2], deadline_s)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlineError(
                f"{request.name} at {message.subject} was not done within {deadline_s:g} s.",
                subject=message.subject,
                deadline_s=deadline_s,
            ) from None

    async def _send(self, reply: str, answer: bytes) -> None:
        try:
            if len(answer) > self.bus.nc.max_payload:
                answer = encode_problem(problem_of(self._too_large(len(answer))))
            await self.bus.nc.publish(reply, answer)
        except nats.errors.Error as error:
            # The bus went while we worked; the caller sees its deadline pass.
            log.warning("answer_not_sent", reply=reply, reason=str(error))

    def _busy(self) -> UnavailableError:
        return UnavailableError(
            f"{self.bus.name} is busy with {self.max_concurrent} requests and takes no more now.",
            max_concurrent=self.max_concurrent,
        )

    def _too_large(self, answer_bytes: int) -> InvalidInputError:
        return InvalidInputError(
            f"The answer has {answer_bytes} bytes, a message carries {self.bus.nc.max_payload}; "
            "ask for a shorter range or fewer rows.",
            answer_bytes=answer_bytes,
        )


async def serve(
    bus: Bus,
    subject: str | Sequence[str],
    queue: str,
    handlers: Mapping[str, Handler],
    max_concurrent: int = MAX_CONCURRENT,
) -> Service:
    """Answer requests at a subject, or several, until the service is stopped.

    Args:
        bus: The connection.
        subject: Where; may hold wildcards, for example `subjects.of_group(group, Kind.REQUEST)`.
        queue: Those who serve with one queue name share the requests, each is answered once.
        handlers: By the request's name: `await handler(request, meter token, deadline_s)` gives
            the answer, `deadline_s` being what the caller still has. A handler is cancelled when
            the time is over; the MeterTwinError it raises becomes the answer.
        max_concurrent: Requests worked on at once.

    Raises:
        RefusedError: This role may not serve there.
        UnavailableError: The bus is away.
    """
    service = Service(bus, handlers, max_concurrent)
    subjects = [subject] if isinstance(subject, str) else subject
    try:
        for each in subjects:
            subscription = await bus.nc.subscribe_raw(each, service.on_message, queue)
            service._subscriptions.append(subscription)  # noqa: SLF001 - this function makes it
        await bus.nc.settle()
    except nats.errors.Error as error:
        await service.stop()  # or it would answer when the bus is back
        raise UnavailableError(
            f"The bus is away, {subjects[0]} is not served: {error}.", subject=subjects[0]
        ) from error
    for each in subjects:
        if refusal := bus.refusal(each):
            raise refusal
    return service


def _deadline_s(headers: bytes | None) -> float:
    text = header_fields(headers).get(DEADLINE_HEADER, "")
    try:
        return min(int(text) / 1000, LONGEST_DEADLINE_S)
    except ValueError:
        return DEFAULT_DEADLINE_S
