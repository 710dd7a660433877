"""A site that is started anew runs the host that owns its groups, from the image it ran from."""

import asyncio

import pytest
from tests.fleet.rollout.conftest import NEW, OLD, Street, plan

from metertwin.core.errors import UnavailableError
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import LocalSite
from metertwin.fleet.rollout.plan import Outcome
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.runtimes.errors import ImageMissingError
from metertwin.fleet.runtimes.port import Phase
from metertwin.fleet.site import load_site

pytestmark = pytest.mark.fault


async def start_anew(street: Street) -> LocalSite:
    """End everything, forget all containers, and start the site again."""
    await street.containers.clear()
    containers = await Containers.open(RuntimeChoice.PROCESS, street.containers.root)
    settings = load_site(street.site.state.site_file)
    site = LocalSite(street.site.state, settings, containers, lambda _: None)
    await site.start()
    return site


async def until_answered(street: Street) -> str:
    """Return the host that answers for the group."""
    async with asyncio.timeout(60):
        while True:
            try:
                return str((await street.ask("host"))["host"])
            except UnavailableError:
                await asyncio.sleep(0.1)


async def test_after_a_promoted_rollout_the_second_host_is_started(street: Street) -> None:
    await street.containers.runtime.tag(street.containers.image, "metertwin:next")
    async with street.rollout() as rollout:
        result = await rollout.run(plan("metertwin:next", watch_s=0.5))
    assert result.outcome is Outcome.PROMOTED
    site = await start_anew(street)
    try:
        assert await until_answered(street) == NEW
        first, second = (
            await site.containers.status("twin-host"),
            await site.containers.status("twin-host-2"),
        )
        assert (first.phase, second.phase, second.image) == (
            *(Phase.ABSENT, Phase.RUNNING),
            "metertwin:next",
        )
        # The image went missing: said, rather than another one started in its place.
        await site.containers.runtime.remove_image("metertwin:next")
        await site.containers.clear()
        with pytest.raises(ImageMissingError, match="metertwin:next"):
            await site.start()
    finally:
        await site.containers.clear()
        await site.containers.close()


async def test_after_a_rollout_that_was_not_begun_the_first_host_is_started(
    street: Street,
) -> None:
    await street.image("metertwin:crash", "if 'twin-host' in sys.argv: sys.exit('no such luck')")
    async with street.rollout() as rollout:
        result = await rollout.run(plan("metertwin:crash"))
    assert result.outcome is Outcome.NOT_BEGUN
    site = await start_anew(street)
    try:
        assert await until_answered(street) == OLD
        assert (await site.containers.status("twin-host-2")).phase is Phase.ABSENT
    finally:
        await site.containers.clear()
        await site.containers.close()
