"""What people see in the cloud while an edge's link is cut: by the API, and at the command line."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.api.conftest import start_api
from tests.bus.sites import EDGE_GROUP, HUB, two_sites
from tests.cli.terminal import Terminal
from tests.twins.edge_and_cloud import HOME, EdgeAndCloud, running

from metertwin.api.context import ApiSettings
from metertwin.bus.credentials import Role
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import ManualClock
from metertwin.fleet.local.link import LinkState
from metertwin.fleet.site import SITE_VERSION, SiteSettings, save_site
from metertwin.fleet.state import StateDirectory
from metertwin.recorder.run import open_history, run_recorder
from metertwin.recorder.settings import RecorderSettings

POWER = 1
TWIN = f"/v1/twins/{HOME}"
BEGIN, END = "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z"
EVENTS = f"{TWIN}/events?start={BEGIN}&end={END}"


@dataclass
class Cloud:
    """A cloud's API and command line beside an edge and its link."""

    world: EdgeAndCloud
    http: httpx.AsyncClient
    terminal: Terminal

    async def link(self, state: LinkState) -> None:
        await self.world.sites.link.set(state)

    async def ask(self, name: str, **body: object) -> httpx.Response:
        return await self.http.post(f"{TWIN}/requests/{name}", json=body)


@pytest.fixture
async def cloud(
    tmp_path: Path, clock: ManualClock, make_batch: Callable[..., ReadingBatch]
) -> AsyncIterator[Cloud]:
    async with AsyncExitStack() as ends:
        sites = await ends.enter_async_context(two_sites(tmp_path / "bus"))
        world = EdgeAndCloud(sites, clock, make_batch)
        await ends.enter_async_context(world.edge_host())
        await ends.enter_async_context(world.stand_in())
        state = StateDirectory(tmp_path / "state")
        state.make()
        bus = await sites.connect(sites.hub, Role.API)
        settings = ApiSettings(
            HUB, (EDGE_GROUP,), state.api_token_file, port=0, stood_in=frozenset({EDGE_GROUP})
        )
        await _record(ends, world, state)
        port = await start_api(settings, bus, clock, asyncio.Event(), ends)
        site = SiteSettings(SITE_VERSION, HUB, sites.hub.url, (), api_port=port)
        save_site(state.site_file, site)
        bearer = {"authorization": f"Bearer {state.api_token_file.read_text().strip()}"}
        url = f"http://127.0.0.1:{port}"
        http = httpx.AsyncClient(base_url=url, headers=bearer, trust_env=False, timeout=30)
        await ends.enter_async_context(http)
        await world.publish(("a", 1, [(POWER, 512, 0)]))
        await world.until_stand_in_received(1)

        async def is_stored() -> bool:
            return bool((await http.get("/v1/ledger")).json().get("total", {}).get("stored"))

        await world.until(is_stored)
        yield Cloud(world, http, Terminal(state.root))


async def _record(ends: AsyncExitStack, world: EdgeAndCloud, state: StateDirectory) -> None:
    """Keep the hub's history, as the cloud's recorder does."""
    settings = RecorderSettings(name="recorder", groups=[EDGE_GROUP])
    store = await open_history(state.history_file, settings)
    ends.callback(store.close)
    bus = await world.sites.connect(world.sites.hub, Role.RECORDER)
    await ends.enter_async_context(running(run_recorder(settings, bus, store, world.clock)))


async def test_reads_fall_back_to_last_values_that_say_they_are_old(cloud: Cloud) -> None:
    # The owner's own answer first.
    assert (await cloud.http.get(TWIN)).json()["status"] == "in_step"
    await cloud.link(LinkState.CUT)
    cloud.world.clock.advance(40)
    twin = (await cloud.http.get(TWIN)).json()
    assert (twin["status"], twin["age_s"]) == ("unreachable", 40.0)
    usage = (await cloud.ask("usage_now")).json()
    assert (usage["source"], usage["power_import"]["age_s"]) == ("last_known", 40.0)
    page = (await cloud.http.get("/v1/twins")).json()
    assert [each["status"] for each in page["items"]] == ["unreachable", "unreachable"]
    assert page["silent"] == {}
    assert page["last_known"]["e1"].startswith("Site edge1, where group e1 is at home, cannot be")
    ledger = (await cloud.http.get("/v1/ledger")).json()
    assert "cannot be reached" in ledger["last_known"]["e1"]
    refused = await cloud.ask("usage_now", max_age_s=30)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable.stale_value")
    (group,) = (await cloud.http.get("/v1/groups")).json()
    assert not group["is_up"]
    assert "Site edge1" in group["reason"]


async def test_what_needs_the_host_is_refused_with_the_site_and_since_when(cloud: Cloud) -> None:
    await cloud.http.get(TWIN)
    await cloud.link(LinkState.CUT)
    await cloud.world.until_reached(is_reached=False)
    command = await cloud.http.post(f"{TWIN}/commands", json={"kind": "disconnect"})
    assert (command.status_code, command.json()["code"]) == (503, "unavailable.site")
    assert command.json()["detail"] == (
        "Site edge1, where group e1 is at home, cannot be reached since 2026-06-01 12:00:00 UTC. "
        "command needs the twin's host; ask again when it answers."
    )
    bill = await cloud.ask("bill_so_far")
    assert "bill_so_far needs the twin's host" in bill.json()["detail"]


async def test_a_silent_link_does_not_cost_the_whole_deadline(cloud: Cloud) -> None:
    await cloud.http.get(TWIN)
    await cloud.link(LinkState.SILENT)
    began_s = time.monotonic()
    answer = await cloud.ask("usage_now", deadline_s=10.0)
    took_s = time.monotonic() - began_s
    assert answer.json()["source"] == "last_known"
    assert took_s < 5.0  # a look at the site gives up after a second
    # Whether a command arrived is not known: it is not said that it did not.
    command = await cloud.http.post(
        f"{TWIN}/commands", json={"kind": "reconnect", "deadline_s": 4.0}
    )
    assert command.json()["code"] == "unavailable.site"
    assert "Whether it arrived is open." in command.json()["detail"]


async def test_a_meter_of_an_edge_that_is_away_is_found_by_an_api_that_just_started(
    cloud: Cloud,
) -> None:
    await cloud.link(LinkState.CUT)
    assert (await cloud.http.get(TWIN)).json()["status"] == "unreachable"
    nowhere = await cloud.http.get("/v1/twins/zz")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found.twin")


async def test_a_change_whose_answer_was_lost_is_kept_and_made_once(cloud: Cloud) -> None:
    await cloud.http.get(TWIN)
    first = await cloud.http.patch(f"{TWIN}/desired", json={"changes": {"limit_w": 4000}})
    assert first.json() == {"version": 1, "desired": {"limit_w": 4000}, "kept": {}, "note": ""}
    await cloud.link(LinkState.SILENT)
    kept = await cloud.http.patch(f"{TWIN}/desired", json={"changes": {"limit_w": 5000}})
    assert kept.json()["kept"] == {"limit_w": 5000}
    await cloud.link(LinkState.WHOLE)

    async def is_merged() -> bool:
        twin = (await cloud.http.get(TWIN)).json()
        return bool(twin["status"] == "in_step" and twin["desired"] == {"limit_w": 5000})

    await cloud.world.until(is_merged)
    twin = (await cloud.http.get(TWIN)).json()
    assert (twin["desired_version"], twin["wishes"]) == (2, {})


async def test_the_command_line_says_that_values_are_old_and_wishes_kept(cloud: Cloud) -> None:
    await cloud.http.get(TWIN)
    await cloud.link(LinkState.CUT)
    cloud.world.clock.advance(40)
    _, twins, _ = await cloud.terminal.run("twins")
    assert "unreachable" in twins
    assert "Group e1 is shown by its last values: Site edge1" in " ".join(twins.split())
    _, desired, _ = await cloud.terminal.run("desired", HOME, "limit_w=5000")
    assert "Kept, not yet at the meter's site." in " ".join(desired.split())
    _, twin, _ = await cloud.terminal.run("twin", HOME)
    assert "unreachable, newest value 40 s old, its host cannot be reached" in " ".join(
        twin.split()
    )
    assert "Kept here, not yet at the meter's site." in " ".join(twin.split())
    _, usage, _ = await cloud.terminal.run("request", HOME, "usage_now")
    assert "this is the last known of it" in usage
    code, _, why = await cloud.terminal.run("command", HOME, "disconnect")
    assert code != 0
    assert "Site edge1, where group e1 is at home, cannot be reached" in " ".join(why.split())


async def test_a_conflict_is_read_at_the_command_line_of_the_cloud(cloud: Cloud) -> None:
    await cloud.http.get(TWIN)
    await cloud.link(LinkState.CUT)
    await cloud.http.patch(f"{TWIN}/desired", json={"changes": {"limit_w": 5000}})
    edge = cloud.world.sites.edge
    at_edge = {"changes": {"limit_w": 3000}, "by": "fitter"}
    await cloud.world.ask_owner(edge, "desired", HOME, at_edge)
    await cloud.link(LinkState.WHOLE)

    async def is_recorded() -> bool:
        answer = await cloud.http.get(EVENTS)
        return bool(answer.json()["events"])

    await cloud.world.until(is_recorded)
    _, told, _ = await cloud.terminal.run("events", HOME, "--start", BEGIN, "--end", END)
    assert "desired_conflict" in told
    (event,) = (await cloud.http.get(EVENTS)).json()["events"]
    assert event["detail"] == (
        "limit_w: at the twin's host 3000 (fitter, 2026-06-01 12:00:00 UTC), at cloud 5000 (api of "
        "cloud, 2026-06-01 12:00:00 UTC), neither knowing of the other; 3000 holds: the lower "
        "limit wins, any limit over none."
    )
