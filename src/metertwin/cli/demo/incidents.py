"""What the demonstration of several sites plays: a link cut, a group moved and back, a rollout.

Each is measured from outside, with the questions any client asks.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.subjects import Kind
from metertwin.cli.demo.probe import Probe, Tally
from metertwin.core.ids import GroupId, SiteId
from metertwin.fleet.local.launch import Say
from metertwin.fleet.local.link import LinkState
from metertwin.fleet.local.sites import LocalSites
from metertwin.fleet.moves.group_moves import GroupMoves
from metertwin.fleet.moves.moving import mover_for
from metertwin.fleet.rollout.plan import RolloutPlan
from metertwin.fleet.rollout.rolling import lots_named, rollout_for
from metertwin.fleet.site import EdgeSettings, load_site, save_private

_CUT_SHARE, _CUT_LONGEST_S = 0.25, 600.0
_MOVE_SHARE = 0.1
_WATCH_SHARE = 0.05
_CATCH_UP_WITHIN_S = 120.0
_ASKED_PER_S = 20.0
_LOOK_S = 0.05


@dataclass(slots=True)
class Incidents:
    """The incidents of one demonstration.

    Args:
        sites: What runs.
        probe: Asks from the cloud.
        say: Told what is being played.
        for_s: How long the demonstration shows itself, in s.
    """

    sites: LocalSites
    probe: Probe
    say: Say
    for_s: float

    async def play(self) -> dict[str, Any]:
        """Play all, and return what was measured, by kind."""
        await asyncio.sleep(self.for_s * _MOVE_SHARE)
        link = await self.cut(self.sites.settings.edges[0])
        migration = []
        edge = self.sites.settings.edges[-1]
        for target in (self.sites.settings.site, edge.site):
            migration += await self._move(edge.groups[0].id, target)
            await asyncio.sleep(self.for_s * _MOVE_SHARE)
        return {"link": link, "migration": migration, "rollout": await self._roll_out(edge)}

    async def cut(self, edge: EdgeSettings) -> dict[str, Any]:
        """Cut an edge's link for a while, and return what went on and how the cloud caught up."""
        cut_s = min(self.for_s * _CUT_SHARE, _CUT_LONGEST_S)
        groups = {group.id for group in edge.groups}
        file = self.sites.state.link(edge.site).link_file
        at_edge = await self._probe_at(edge)
        began = await at_edge.tally_of(Kind.REQUEST, edge.groups)
        self.say(f"cutting the link of {edge.site} for {cut_s:.0f} s")
        self.probe.cut_off |= groups
        save_private(file, f"{LinkState.CUT}\n".encode())
        asking = asyncio.create_task(at_edge.ask_at_rate(_ASKED_PER_S))
        await asyncio.sleep(cut_s)
        asking.cancel()
        there = await at_edge.tally_of(Kind.REQUEST, edge.groups)
        behind = there.received - (await self._in_cloud(edge)).received
        self.say(f"restoring the link of {edge.site}: the cloud is {behind:,} readings behind")
        save_private(file, f"{LinkState.WHOLE}\n".encode())
        catch_up_s = await self._until_in_cloud(edge, there.received)
        self.say(f"the cloud caught up in {catch_up_s:.1f} s")
        self.probe.cut_off -= groups
        await at_edge.bus.close()
        live_per_s = (there.received - began.received) / cut_s
        return {
            "site": edge.site,
            "cut_s": round(cut_s, 3),
            "requests_at_edge": {
                "timed": len(at_edge.latencies_ms),
                "failed": at_edge.failed_count,
                **at_edge.percentiles_ms(),
            },
            "readings_behind": behind,
            "catch_up_s": round(catch_up_s, 3),
            "catch_up_to_live": round(behind / max(catch_up_s, _LOOK_S) / max(live_per_s, 1e-9), 1),
        }

    async def _roll_out(self, edge: EdgeSettings) -> dict[str, Any]:
        """Roll an image out to an edge: the same program under another reference."""
        containers, image = self.sites.containers, f"{self.sites.containers.image}-next"
        await containers.runtime.tag(containers.image, image)
        self.say(f"rolling {image} out to {edge.site}")
        failed_before = self.probe.failed_count
        groups = lots_named(self.sites.settings, [group.id for group in edge.groups])
        plan = RolloutPlan(groups=groups, image=image, watch_s=self.for_s * _WATCH_SHARE)
        state, settings = self.sites.state, self.sites.settings
        async with rollout_for(state, settings, groups, containers, self.say) as rollout:
            result = await rollout.run(plan)
        return {
            "image": image,
            "outcome": result.outcome.value,
            "reason": result.reason,
            "rehearsed": {each.app: each.count for each in result.rehearsed},
            "postponed": msgspec.to_builtins(result.postponed),
            "blackout_ms": [move.blackout_ms for move in result.moves],
            "took_s": result.took_s,
            "failed_requests": self.probe.failed_count - failed_before,
        }

    async def _probe_at(self, edge: EdgeSettings) -> Probe:
        """Return a client of the edge itself."""
        state = self.sites.state.edge(edge.site)
        site = load_site(state.site_file)
        seed = seed_path(state.bus_seeds, Role.CLIENT)
        bus = await connect(site.bus_url, seed, f"demo-at-{edge.site}")
        return Probe(bus, self.probe.clock, edge.groups)

    async def _in_cloud(self, edge: EdgeSettings) -> Tally:
        return await self.probe.tally_of(Kind.HISTORY, edge.groups)

    async def _until_in_cloud(self, edge: EdgeSettings, received_count: int) -> float:
        began_s = time.monotonic()
        async with asyncio.timeout(_CATCH_UP_WITHIN_S):
            while (await self._in_cloud(edge)).received < received_count:  # noqa: ASYNC110 - the recorder's
                await asyncio.sleep(_LOOK_S)
        return time.monotonic() - began_s

    async def _move(self, group: GroupId, target: SiteId) -> list[dict[str, Any]]:
        self.say(f"moving {group} to {target}")
        failed_before = self.probe.failed_count
        settings, state = self.sites.settings, self.sites.state
        async with mover_for(state, settings, group, self.say) as mover:
            moves = GroupMoves(state, settings, mover, self.sites.containers, self.say)
            done = await moves.move(group, target)
        failed = {"failed_requests": self.probe.failed_count - failed_before}
        return [msgspec.to_builtins(each) | failed for each in done]
