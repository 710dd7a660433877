"""What a host got ready of a group is what it takes, as far as it still holds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.twins.hosting import Site

from metertwin.bus.buckets import keys_under
from metertwin.bus.credentials import Role
from metertwin.bus.publish import Publisher
from metertwin.bus.subjects import CHECKPOINT_BUCKET
from metertwin.core.command import CommandKind
from metertwin.core.ids import MeterId
from metertwin.twins.apps.blocks import CaptureBlock
from metertwin.twins.host import TwinHost
from metertwin.twins.hosted import HostedGroup
from metertwin.twins.settings import AppGrant, GroupSettings, TwinHostSettings

pytestmark = pytest.mark.usefixtures("counting_app")

PROFILE = 2
QUARTER_S, DAY_S = 900.0, 86_400.0
DAYS_COUNT = 5
COUNTING = AppGrant(
    "counting", grants=(CommandKind.DISCONNECT,), config={"limit_wh": 5000, "window_days": 30}
)


@contextlib.asynccontextmanager
async def next_host(site: Site) -> AsyncIterator[tuple[TwinHost, GroupSettings]]:
    """A second host, which takes the group only when it is handed over."""
    guest = GroupSettings(id=site.group, meters=(MeterId("a"), MeterId("b")), apps=(COUNTING,))
    settings = TwinHostSettings(name="host-2", groups=(), guests=(guest,), checkpoint_every_s=0.05)
    bus = await site.connect(Role.TWIN_HOST)
    async with Publisher(bus) as publisher:
        host = TwinHost(settings, bus, site.clock, publisher)
        task = asyncio.create_task(host.run())
        try:
            yield host, guest
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def a_capture_a_day() -> list[tuple[int, int, float]]:
    return [(PROFILE, 1000 + day, day * DAY_S) for day in range(DAYS_COUNT)]


def blocks_of(hosted: HostedGroup) -> dict[int, CaptureBlock]:
    (series,) = hosted.apps.window.series.values()
    return series.blocks


async def get_ready(first: TwinHost, second: TwinHost, guest: GroupSettings) -> set[int]:
    """Let both hosts get ready; return the identities of the blocks that were decoded."""
    await first.prepare(first.settings.groups[0])
    await second.prepare(guest)
    ready, _until_s = second._owned._ready[guest.id]
    return {id(block) for block in ready.blocks.values()}


async def move(site: Site, first: TwinHost, second: TwinHost, guest: GroupSettings) -> HostedGroup:
    await first.hand_over(site.group, "host-2")
    hosted = await second.take(guest)
    await first.pass_on(site.group)
    return hosted


async def test_every_block_that_was_decoded_ahead_is_the_one_that_is_hosted(site: Site) -> None:
    async with site.host(apps=(COUNTING,)) as (first, _), next_host(site) as (second, guest):
        await site.publish(("a", 1, a_capture_a_day()), received_s=DAYS_COUNT * DAY_S)
        await site.until_received(DAYS_COUNT)
        before = {number: b.packed() for number, b in blocks_of(first.hosted[site.group]).items()}
        decoded = await get_ready(first, second, guest)
        assert second._owned.ready == [site.group]
        hosted = await move(site, first, second, guest)
        assert len(blocks_of(hosted)) == DAYS_COUNT
        assert {id(block) for block in blocks_of(hosted).values()} == decoded
        assert {number: block.packed() for number, block in blocks_of(hosted).items()} == before
        assert second._owned.ready == []


async def test_a_block_that_changed_meanwhile_is_read_anew(site: Site) -> None:
    async with site.host(apps=(COUNTING,)) as (first, _), next_host(site) as (second, guest):
        await site.publish(("a", 1, a_capture_a_day()), received_s=DAYS_COUNT * DAY_S)
        await site.until_received(DAYS_COUNT)
        decoded = await get_ready(first, second, guest)
        # Of the second day comes a correction, and of its neighbour of the grid a late capture.
        late = [(PROFILE, 2000, DAY_S), (PROFILE, 2100, DAY_S + QUARTER_S)]
        await site.publish(("a", DAYS_COUNT + 1, late), received_s=DAYS_COUNT * DAY_S)
        await site.until_received(DAYS_COUNT + 2)
        changed = {number: b.packed() for number, b in blocks_of(first.hosted[site.group]).items()}
        hosted = await move(site, first, second, guest)
        assert {number: block.packed() for number, block in blocks_of(hosted).items()} == changed
        numbers = sorted(blocks_of(hosted))
        anew = [number for number in numbers if id(blocks_of(hosted)[number]) not in decoded]
        assert anew == [numbers[1]]


async def test_a_group_is_taken_without_anything_ready(site: Site) -> None:
    async with site.host(apps=(COUNTING,)) as (first, _), next_host(site) as (second, guest):
        await site.publish(("a", 1, a_capture_a_day()), received_s=DAYS_COUNT * DAY_S)
        await site.until_received(DAYS_COUNT)
        before = {number: b.packed() for number, b in blocks_of(first.hosted[site.group]).items()}
        hosted = await move(site, first, second, guest)
        assert {number: block.packed() for number, block in blocks_of(hosted).items()} == before


async def test_the_owner_gets_ready_by_writing_a_checkpoint(site: Site) -> None:
    async with site.host(apps=(COUNTING,)) as (first, _):
        await site.publish(("a", 1, a_capture_a_day()))
        await site.until_received(DAYS_COUNT)
        hosted = first.hosted[site.group]
        assert hosted.saved_sequence < hosted.group.stream_sequence
        await first.prepare(first.settings.groups[0])
        assert hosted.saved_sequence == hosted.group.stream_sequence
        assert first._owned.ready == []


async def test_what_is_ready_is_forgotten_when_no_order_to_take_comes(site: Site) -> None:
    async with site.host(apps=(COUNTING,)), next_host(site) as (second, guest):
        await second.prepare(guest)
        site.clock.advance(59.0)
        second._owned._forget_ready()
        assert second._owned.ready == [site.group]
        site.clock.advance(1.0)
        async with asyncio.timeout(10):
            while second._owned.ready:  # noqa: ASYNC110 - the host looks at it by itself
                await asyncio.sleep(0.01)


async def test_what_earlier_owners_left_behind_is_swept_up_and_nothing_else(site: Site) -> None:
    async with site.host(apps=(COUNTING,)) as (first, _), next_host(site) as (second, guest):
        await site.publish(("a", 1, a_capture_a_day()), received_s=DAYS_COUNT * DAY_S)
        await site.until_received(DAYS_COUNT)
        bucket, root = await first.bus.js.key_value(CHECKPOINT_BUCKET), f"twins.{site.group}."
        of_first = f"{root}{first.hosted[site.group].epoch}.block.999"
        of_a_later_one = f"{root}{2**40}.block.999"
        for key in (of_first, of_a_later_one):
            await bucket.put(key, b"no checkpoint names it")
        hosted = await move(site, first, second, guest)
        site.clock.advance(1.0)  # the next checkpoint is due
        async with asyncio.timeout(10):
            while of_first in await keys_under(bucket, root):  # noqa: ASYNC110 - the bus has it
                await asyncio.sleep(0.01)
        keys = await keys_under(bucket, root)
        assert of_a_later_one in keys
        assert len(await hosted.checkpoints.fetch_ahead()) == DAYS_COUNT
