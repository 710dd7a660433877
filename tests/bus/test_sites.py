"""Two sites on one link: what passes, what stays, and what a cut takes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import nats.errors
import pytest
from tests.bus.sites import EDGE, EDGE_GROUP, HUB, HUB_GROUP, TwoSites, two_sites

from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request
from metertwin.bus.ownership import OwnedElsewhereError, claim, current_epoch, twins_key
from metertwin.bus.place import BusPlace, Edge, PlaceError, Uplink
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import ask, serve
from metertwin.bus.sourcing import Sourcing
from metertwin.bus.streams import ensure_streams
from metertwin.bus.subjects import READING_STREAM, Kind, of_group, subject
from metertwin.bus.tail import StreamTail
from metertwin.core.errors import DeadlineError, UnavailableError
from metertwin.core.ids import GroupId, SiteId
from metertwin.fleet.local.link import LinkState


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[TwoSites]:
    async with two_sites(tmp_path) as sites:
        yield sites


async def _say(sites: TwoSites, group: GroupId, *texts: str) -> None:
    server = sites.edge if group == EDGE_GROUP else sites.hub
    gateway = await sites.connect(server, Role.GATEWAY)
    async with Publisher(gateway) as publisher:
        for text in texts:
            await publisher.publish(subject(group, Kind.READING), text.encode(), f"{group}:{text}")


async def _read(sites: TwoSites, domain: str, count: int) -> list[tuple[str, str]]:
    """Return what a role in the cloud reads of a domain's stream: subject and text, in order."""
    recorder = await sites.connect(sites.hub, Role.TWIN_HOST, domain)
    tail = StreamTail(recorder, READING_STREAM)
    read: list[tuple[str, str]] = []
    async with asyncio.timeout(20):
        while len(read) < count:
            read += [(each.subject, each.data.decode()) for each in await tail.fetch(100, 1.0)]
    read += [(each.subject, each.data.decode()) for each in await tail.fetch(100, 0.3)]
    await tail.close()
    return read


async def test_the_hub_has_what_an_edge_recorded_once_and_in_order(sites: TwoSites) -> None:
    texts = [str(number) for number in range(50)]
    await _say(sites, EDGE_GROUP, *texts)
    await _say(sites, HUB_GROUP, "own")
    read = await _read(sites, "", 51)
    assert [text for where, text in read if EDGE_GROUP in where] == texts
    assert [text for where, text in read if HUB_GROUP in where] == ["own"]
    # The edge has its own alone, and a role of the cloud reads it there under the same numbers.
    assert [text for _, text in await _read(sites, EDGE, 50)] == texts


async def test_an_edge_goes_on_without_its_hub_and_the_hub_catches_up(sites: TwoSites) -> None:
    await _say(sites, EDGE_GROUP, "before")
    assert len(await _read(sites, "", 1)) == 1
    await sites.link.set(LinkState.CUT)
    await _say(sites, EDGE_GROUP, "meanwhile 1", "meanwhile 2")
    bus = await sites.connect(sites.edge, Role.TWIN_HOST)
    assert await claim(bus, twins_key(EDGE_GROUP), "edge-host") > 0
    await sites.link.set(LinkState.WHOLE)
    read = await _read(sites, "", 3)
    assert [text for _, text in read] == ["before", "meanwhile 1", "meanwhile 2"]


async def test_a_link_that_goes_silent_is_given_up_and_found_again(sites: TwoSites) -> None:
    await _say(sites, EDGE_GROUP, "before")
    assert len(await _read(sites, "", 1)) == 1
    await sites.link.set(LinkState.SILENT)
    await _say(sites, EDGE_GROUP, "meanwhile")
    await sites.link.set(LinkState.WHOLE)
    assert [text for _, text in await _read(sites, "", 2)] == ["before", "meanwhile"]


async def test_a_hub_that_starts_again_soon_hears_its_edges(sites: TwoSites) -> None:
    await _say(sites, EDGE_GROUP, "before")
    assert len(await _read(sites, "", 1)) == 1
    fleet = await sites.connect(sites.hub, Role.FLEET)
    sourcing = Sourcing(fleet, sites.hub.place)
    keeper = asyncio.create_task(sourcing.run())
    await sites.hub.kill()
    texts = [str(number) for number in range(30)]
    await _say(sites, EDGE_GROUP, *texts)
    await sites.hub.start()
    # By itself the server took some 40 s.
    assert [text for _, text in await _read(sites, "", 31)] == ["before", *texts]
    assert sourcing.woken_count > 0
    await _say(sites, EDGE_GROUP, "after")
    assert [text for _, text in await _read(sites, "", 32)] == ["before", *texts, "after"]
    keeper.cancel()


async def test_requests_find_their_host_on_either_side(sites: TwoSites) -> None:
    async def answer(_request: Request, meter: str, _deadline_s: float) -> str:
        return f"twin of {meter}"

    at_edge = await sites.connect(sites.edge, Role.TWIN_HOST)
    await serve(at_edge, of_group(EDGE_GROUP, Kind.REQUEST), "twins", {"twin": answer})
    client = await sites.connect(sites.hub, Role.CLIENT)
    to = subject(EDGE_GROUP, Kind.REQUEST, "m1")
    async with asyncio.timeout(10):
        while True:
            try:
                assert await ask(client, to, Request("twin"), 2.0, str) == "twin of m1"
                break
            except UnavailableError:  # the subscription is on its way over the link
                await asyncio.sleep(0.02)
    await sites.edge.stop()
    with contextlib.suppress(DeadlineError, UnavailableError):  # the hub may not know it yet
        await ask(client, to, Request("twin"), 0.5, str)
    with pytest.raises(UnavailableError, match="Nobody answers"):
        await ask(client, to, Request("twin"), 2.0, str)


async def test_a_host_in_the_cloud_claims_at_the_edge_and_shuts_others_out(sites: TwoSites) -> None:
    key = twins_key(EDGE_GROUP)
    there = await sites.connect(sites.edge, Role.TWIN_HOST)
    here = await sites.connect(sites.hub, Role.TWIN_HOST, EDGE)
    epoch = await claim(here, key, "cloud-host")
    assert await current_epoch(there, key) == epoch
    with pytest.raises(OwnedElsewhereError, match="owned by cloud-host"):
        await claim(there, key, "edge-host")
    # The hub's own bucket is another: nothing of it crossed the link.
    assert await current_epoch(await sites.connect(sites.hub, Role.TWIN_HOST), key) == 0


async def test_a_command_from_the_cloud_is_kept_at_the_edge_alone(sites: TwoSites) -> None:
    host = await sites.connect(sites.hub, Role.TWIN_HOST, EDGE)
    async with Publisher(host) as publisher:
        await publisher.publish(subject(EDGE_GROUP, Kind.COMMAND, "m1"), b"open", "c1")
    await sites.until_stored(sites.edge, "COMMANDS", 1)
    await sites.until_stored(sites.hub, "COMMANDS", 1)
    await asyncio.sleep(0.2)  # time for a second one, were there any
    for server in (sites.edge, sites.hub):
        admin = await sites.connect(server, Role.ADMIN)
        assert (await admin.js.stream_info("COMMANDS")).state.messages == 1


async def test_an_edge_speaks_and_hears_of_its_own_groups_alone(sites: TwoSites) -> None:
    heard: list[str] = []

    async def note(message: object) -> None:
        heard.append(message.subject)  # type: ignore[attr-defined] # a message of the library

    at_hub = await sites.connect(sites.hub, Role.ADMIN)
    at_edge = await sites.connect(sites.edge, Role.ADMIN)
    for bus in (at_hub, at_edge):
        await bus.nc.subscribe("mt.>", cb=note)
        await bus.nc.settle()
    await asyncio.sleep(0.2)
    await at_edge.nc.publish(f"mt.{HUB_GROUP}.state._", b"forged")
    await at_hub.nc.publish(f"mt.{HUB_GROUP}.event._", b"not for the edge")
    await at_edge.nc.publish(f"mt.{EDGE_GROUP}.state._", b"told")
    async with asyncio.timeout(10):
        while heard.count(f"mt.{EDGE_GROUP}.state._") < 2:  # noqa: ASYNC110 - filled by the library
            await asyncio.sleep(0.02)
    # Each was heard where it was said, and only the edge's own on both sides.
    assert sorted(heard) == sorted(
        [
            f"mt.{HUB_GROUP}.state._",
            f"mt.{HUB_GROUP}.event._",
            *[f"mt.{EDGE_GROUP}.state._"] * 2,
        ]
    )
    with pytest.raises(nats.errors.Error):
        await at_edge.nc.request(f"$JS.{HUB}.API.STREAM.INFO.READINGS", b"", timeout=1)


async def test_a_hub_that_learns_of_another_edge_sources_it_too(sites: TwoSites) -> None:
    admin = await sites.connect(sites.hub, Role.ADMIN)
    more = replace(
        sites.hub.place, edges=(*sites.hub.place.edges, Edge(SiteId("edge2"), (GroupId("e2"),)))
    )
    await ensure_streams(admin, place=more)
    config = (await admin.js.stream_info("READINGS")).config
    apis = {each.external.api for each in config.sources or () if each.external}
    assert apis == {"$JS.edge1.API", "$JS.edge2.API"}


def test_a_place_that_cannot_be_is_named_with_all_its_faults(tmp_path: Path) -> None:
    uplink = Uplink("nats-leaf://127.0.0.1:1", tmp_path / "x.seed", tmp_path / "x.crt")
    twice = (Edge(SiteId("e"), (GroupId("g"),)), Edge(SiteId("e"), (GroupId("g"),)))
    with pytest.raises(PlaceError) as told:
        BusPlace(uplink=uplink, leaf_port=1, edges=twice).check()
    assert str(told.value) == (
        "Site (without a name): a site among others needs a domain, its own name; a site is hub or "
        "edge, not both; e names two sites; group g is at home in two sites."
    )
    with pytest.raises(PlaceError, match="edges need a leaf port"):
        BusPlace(domain="cloud", edges=twice[:1]).check()
