import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.ownership import OwnedElsewhereError, SupersededError

Scene = Any  # of conftest, which cannot be imported
Connect = Callable[[Role], Awaitable[Bus]]


async def test_a_gateway_that_was_superseded_ends_and_its_readings_do_not_count(
    scene: Scene,
) -> None:
    street = await scene.street(3)
    (first,) = await scene.gateway(street.entries)
    await scene.polled(street.entries, 1)
    first_epoch = scene.published.epoch
    (second,) = await scene.gateway(street.entries)  # the same holder, started a second time
    await scene.until(lambda: scene.published.epoch > first_epoch, "the second's claim")
    scene.clock.advance(60)
    done, _ = await asyncio.wait([first], timeout=20)
    assert done
    with pytest.raises(SupersededError, match="was claimed by another gateway"):
        first.result()
    await scene.polled(street.entries, 2)
    assert not second.done()
    assert scene.published.ledger.missing().sum() == 0
    assert scene.published.ledger.duplicate.sum() == 0


async def test_another_holder_is_refused(scene: Scene) -> None:
    street = await scene.street(1)
    await scene.gateway(street.entries)
    await scene.polled(street.entries, 1)
    (other,) = await scene.gateway(street.entries, name="gateway-2")
    with pytest.raises(OwnedElsewhereError, match="is owned by gateway-1"):
        await other
