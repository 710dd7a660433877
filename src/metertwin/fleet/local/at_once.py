"""Containers started some at a time: all at once they would only be in each other's way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

_AT_ONCE_COUNT = 8

Item = TypeVar("Item")
Done = TypeVar("Done")


async def some_at_once(
    work: Callable[[Item], Awaitable[Done]], items: Iterable[Item]
) -> list[Done]:
    """Do some work for each item, and return what came of it, in their order.

    The first failure is raised once nothing is under way any more: what is begun after it would be
    nobody's.
    """
    turn = asyncio.Semaphore(_AT_ONCE_COUNT)

    async def do(item: Item) -> Done:
        async with turn:
            return await work(item)

    begun = [asyncio.create_task(do(item)) for item in items]
    try:
        return list(await asyncio.gather(*begun))
    except BaseException:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
        raise
