"""Something happens while a mover is at one of its orders."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from enum import StrEnum
from typing import TypeVar

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask as really_ask
from metertwin.fleet.moves import migration

ORDERS = ("standing", "prepare", "hand_over", "take", "pass_on")

Answer = TypeVar("Answer")


class Moment(StrEnum):
    """When it happens."""

    BEFORE = "before"  # the order is given
    DURING = "during"  # it is given and not answered
    AFTER = "after"  # it was answered


@contextlib.contextmanager
def interrupted(
    monkeypatch: pytest.MonkeyPatch,
    order: str,
    moment: Moment,
    happens: Callable[[Bus], Awaitable[None]],
) -> Iterator[None]:
    """Let something happen, once, at an order of the mover within."""
    is_over = False

    async def ask(
        bus: Bus, subject: str, request: Request, deadline_s: float, reply_type: type[Answer]
    ) -> Answer:
        nonlocal is_over
        asking = asyncio.create_task(really_ask(bus, subject, request, deadline_s, reply_type))
        if request.name != order or is_over:
            return await asking
        is_over = True
        if moment is Moment.BEFORE:
            asking.cancel()
            await happens(bus)
            return await really_ask(bus, subject, request, deadline_s, reply_type)
        if moment is Moment.DURING:
            await asyncio.sleep(0)  # it writes
            await bus.nc.settle()  # and the server has it
            await happens(bus)
            return await asking
        answer = await asking
        await happens(bus)
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(migration, "ask", ask)
        yield
