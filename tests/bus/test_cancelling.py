"""A task that is told to end while it waits for the socket ends."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role

Connect = Callable[[Role], Awaitable[Bus]]


async def test_a_cancellation_while_the_socket_is_waited_for_is_not_lost(
    connect_as: Connect,
) -> None:
    bus = await connect_as(Role.CLIENT)

    async def flush_for_ever() -> None:
        while True:
            await bus.nc.send_waiting()

    for turns in range(6):  # wherever in the wait the cancellation strikes
        task = asyncio.create_task(flush_for_ever())
        for _ in range(turns + 1):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)


async def test_a_cancelled_wait_for_the_server_does_not_end_the_reading(
    connect_as: Connect,
) -> None:
    bus = await connect_as(Role.CLIENT)
    for _ in range(5):
        task = asyncio.create_task(bus.nc.rtt())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert await asyncio.wait_for(bus.nc.rtt(), 5) > 0
    assert bus.is_connected
