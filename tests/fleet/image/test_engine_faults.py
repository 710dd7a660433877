"""An engine killed in the middle of a rollout, and hosts that run out of memory, for real."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.fleet.control.conftest import (
    GROUP_METERS_COUNT,
    METERS_COUNT,
    PAST_DAYS,
    Fleet,
    until_hosted,
)
from tests.fleet.image.conftest import BuiltIn
from tests.fleet.image.own_engine import OwnEngine, own_network

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.server import free_port
from metertwin.bus.subjects import Kind, subject
from metertwin.cli.demo.plan import DemoOptions, fresh_state, site_of
from metertwin.core.errors import UnavailableError
from metertwin.core.ids import LotId
from metertwin.fleet.hosts import role_of
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import LocalSite
from metertwin.fleet.runtimes.choose import RuntimeChoice
from metertwin.fleet.runtimes.spec import Limits

pytestmark = pytest.mark.fault

WITHIN_S = 60.0
TOO_LITTLE = "16MiB"  # Python and numpy alone take more


@pytest.fixture(scope="module")
def built(image_in: Callable[[str], BuiltIn]) -> BuiltIn:
    return image_in("docker")  # before there is a network without a way out


@pytest.fixture(scope="module")
def engine(built: BuiltIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    """An engine of these tests alone, which has the image under two names."""
    with own_network(), pytest.MonkeyPatch.context() as patch:
        engine = OwnEngine(tmp_path_factory.mktemp("engine"))
        patch.setenv("DOCKER_HOST", f"unix://{engine.socket}")
        try:
            engine.start()
            asyncio.run(engine.copy_image(built.socket, built.reference))
            yield engine
        finally:
            engine.end()


@pytest.fixture(scope="module")
def site(
    engine: OwnEngine, built: BuiltIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The state directory of a site with two groups whose twins are in step."""
    root = tmp_path_factory.mktemp("fleet") / "site"
    options = DemoOptions(
        *(METERS_COUNT, 60.0, None, free_port(), "none", None, root, 1), past_days=PAST_DAYS
    )
    settings = site_of(options)
    assert settings.simulation is not None
    street = msgspec.structs.replace(settings.simulation, group_size=GROUP_METERS_COUNT)
    settings = msgspec.structs.replace(settings, simulation=street)

    async def start() -> None:
        containers = await Containers.open(RuntimeChoice.DOCKER, root, image=built.reference)
        await containers.runtime.tag(built.reference, f"{built.reference}-next")
        await LocalSite(fresh_state(root), settings, containers, lambda _: None).start()
        await containers.close()
        await until_hosted(Fleet(root))

    async def clear() -> None:
        containers = await Containers.open(RuntimeChoice.DOCKER, root, image=built.reference)
        await containers.clear()
        await containers.close()

    try:
        asyncio.run(start())
        yield root
    finally:
        asyncio.run(clear())


@pytest.fixture
async def fleet(site: Path) -> Fleet:
    return Fleet(site)


async def until_there(fleet: Fleet) -> None:
    """Return once the bus answers: an engine that ends its containers first gives them time."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            with contextlib.suppress(UnavailableError):
                async with fleet.reach():
                    return


async def check_nothing_is_lost(fleet: Fleet) -> None:
    """Each group has one owner, as the hosts say themselves; all twins answer; all is counted."""
    async with fleet.reach() as reach:
        name = reach.site.site
        owned = []
        for part in await fleet.up():
            owned += (await reach.standing(name, f"{name}-{part}")).owned
        assert sorted(owned) == [LotId(group.id) for group in reach.site.all_groups]
        bus = await connect(
            reach.site.bus_url, seed_path(reach.state.bus_seeds, Role.CLIENT), "test"
        )
        for group in reach.site.all_groups:
            for meter in group.meters:
                to = subject(group.id, Kind.REQUEST, meter)
                assert await ask(bus, to, Request("usage_now"), 10.0, dict[str, object])
        await bus.close()
    await fleet.until_balanced(WITHIN_S)


@pytest.mark.parametrize("survives", [True, False], ids=["containers-go-on", "containers-die"])
async def test_an_engine_killed_in_a_rollout_comes_back_and_the_rollout_ends(
    engine: OwnEngine, fleet: Fleet, built: BuiltIn, *, survives: bool
) -> None:
    image = f"{built.reference}-next" if survives else built.reference
    watching = await fleet.start("--watch", "-f", str(fleet.file(f"image: '{image}'")))
    try:
        await watching.until_said("watching the canary", WITHIN_S)
        engine.kill()
        await watching.until_said("tried again|waiting", WITHIN_S)
        engine.start(survives=survives)
        await until_there(fleet)
        standing = await fleet.until_reached(within_s=WITHIN_S)
        assert {group.image for group in standing.groups} == {image}
        await check_nothing_is_lost(fleet)
        assert await watching.end() == 0
    finally:
        await watching.kill()
    assert not (await fleet.standing()).refused


async def test_a_rollout_to_limits_that_are_too_small_is_taken_back(fleet: Fleet) -> None:
    standing = await fleet.standing()
    (image,) = {group.image for group in standing.groups}
    async with fleet.reach() as reach:
        resources = f"{{twin_host: {{memory: {TOO_LITTLE}}}}}"
        sites = f"sites: {{{reach.site.site}: {{resources: {resources}}}}}"
    code, out, said = await fleet.run("apply", "-f", str(fleet.file(f"image: '{image}'", sites)))
    assert code == 1, said
    assert "out of memory: 16 MiB are too little; allow it more in the fleet file" in out
    assert {group.host for group in (await fleet.standing()).groups} == {
        group.host for group in standing.groups
    }
    await check_nothing_is_lost(fleet)


async def test_an_owner_out_of_memory_is_told_and_comes_back_with_more(fleet: Fleet) -> None:
    standing = await fleet.standing()
    (image,), (owner,) = (
        {str(getattr(each, name)) for each in standing.groups} for name in ("image", "host")
    )
    async with fleet.reach() as reach, asyncio.timeout(WITHIN_S):
        here = reach.local(reach.site.site)
        part = role_of(owner, reach.site.site)
        await here.start_role(part, image=image, limits=Limits(memory_bytes=16 * 1024**2))
        while not (status := await reach.containers.status(part)).restart_count:  # noqa: ASYNC110 - the engine's
            await asyncio.sleep(0.1)
        assert status.was_out_of_memory
        sites = f"sites: {{{reach.site.site}: {{resources: {{twin_host: {{memory: 512MiB}}}}}}}}"
    _, _, said = await fleet.run("logs")
    assert f"{part} was out of memory: 16 MiB are too little; allow it more in the fleet" in said
    _, out, _ = await fleet.run("status", "--json")
    (trouble,) = {group["trouble"] for group in json.loads(out)["groups"]}
    assert trouble.startswith(f"{owner} is out of memory: 16 MiB are too little; allow it more")
    code, _, said = await fleet.run("apply", "-f", str(fleet.file(f"image: '{image}'", sites)))
    assert code == 0, said
    assert f"start {owner} from {image} (512 MiB): it owns feeder-1, feeder-2 and is out of" in said
    await check_nothing_is_lost(fleet)
