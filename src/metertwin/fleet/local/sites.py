"""A cloud and its edges on this machine: several sites, their links, and one street for all.

The cloud's state directory is the root, so that whoever looks there sees the whole; the edges lie
below `sites`, the simulated street below `world`, and the relays that play partitions below
`links`.
"""

from dataclasses import dataclass

import msgspec

from metertwin.bus.server import free_port
from metertwin.core.ids import SiteId
from metertwin.fleet.local.containers import Containers, Part
from metertwin.fleet.local.groups import groups_of
from metertwin.fleet.local.joining import keep_uplink, ticket_for
from metertwin.fleet.local.launch import LocalSite, Say
from metertwin.fleet.local.link import LinkSettings
from metertwin.fleet.roles import LINK
from metertwin.fleet.site import EdgeSettings, SiteSettings, load_site, save_private
from metertwin.fleet.state import StateDirectory
from metertwin.meters.entry import MeterEntry
from metertwin.meters.registry import load_registry, save_registry
from metertwin.twins.settings import GroupSettings

CLOUD, WORLD = "cloud", "world"


@dataclass(slots=True)
class LocalSites:
    """A cloud with edges.

    Args:
        state: Of the cloud.
        settings: Of the cloud; the edges follow from it and from the street.
        containers: Who keeps all parts.
        say: Told what is being done, in a few words.
        edges: The edges' names; the street's groups are spread over them.
    """

    state: StateDirectory
    settings: SiteSettings
    containers: Containers
    say: Say
    edges: tuple[SiteId, ...]

    async def start(self) -> None:
        """Start everything; raises what `LocalSite.start` raises."""
        self.state.make()
        meters_of_edge = await self._lay_street()
        self.settings = msgspec.structs.replace(
            self.settings,
            leaf_port=free_port(),
            leaf_names=tuple({self.containers.host_of(_link_part(edge)) for edge in self.edges}),
            simulation=None,
            edges=tuple(
                EdgeSettings(edge, self._groups_of(meters))
                for edge, meters in meters_of_edge.items()
            ),
        )
        await self._site(self.state, self.settings, CLOUD).start()
        for edge, meters in meters_of_edge.items():
            await self._start_edge(edge, meters)

    async def stop_gateways(self) -> None:
        """Let no more readings come."""
        for edge in self.edges:
            await self.containers.stop(f"{edge}-gateway")

    def _site(self, state: StateDirectory, settings: SiteSettings, name: str) -> LocalSite:
        return LocalSite(state, settings, self.containers, self.say, name)

    async def _lay_street(self) -> dict[SiteId, tuple[MeterEntry, ...]]:
        """Start the meters and return whose gateway reads which, whole groups each."""
        await self._site(self.state.world, self.settings, WORLD).start_meters()
        entries = load_registry(self.state.world.meters_file)
        groups = list(dict.fromkeys(entry.group_id for entry in entries))
        edge_of = {group: self.edges[n % len(self.edges)] for n, group in enumerate(groups)}
        return {
            edge: tuple(entry for entry in entries if edge_of[entry.group_id] == edge)
            for edge in self.edges
        }

    def _groups_of(self, meters: tuple[MeterEntry, ...]) -> tuple[GroupSettings, ...]:
        return groups_of(meters, self.settings.poll_s, self.settings.twins_per_container)

    async def _start_edge(self, edge: SiteId, meters: tuple[MeterEntry, ...]) -> None:
        state = self.state.edge(edge)
        state.make()
        ticket = ticket_for(self.state, self.settings, edge, await self._lay_link(edge))
        save_registry(state.meters_file, list(meters))
        settings = msgspec.structs.replace(
            self.settings,
            site=edge,
            bus_url=f"nats://127.0.0.1:{free_port()}",
            api_port=free_port(),
            groups=self._groups_of(meters),
            leaf_port=None,
            edges=(),
            uplink=keep_uplink(state, ticket),
        )
        await self._site(state, settings, edge).start()

    async def _lay_link(self, edge: SiteId) -> str:
        """Start the relay between an edge and the cloud; return where the edge's bus connects."""
        home = self.state.link(edge)
        home.make()
        port, part = free_port(), _link_part(edge)
        assert self.settings.leaf_port is not None
        settings = LinkSettings(
            port,
            self.settings.leaf_port,
            self.containers.listen_host,
            self.containers.host_of(f"{CLOUD}-bus"),
        )
        save_private(home.link_settings_file, msgspec.json.encode(settings))
        argv = ("run", LINK, "--state", str(home.root.resolve()))
        await self.containers.start(Part(part, argv, home.root, networks=(edge, CLOUD)))
        return f"nats-leaf://{self.containers.host_of(part)}:{port}"


def _link_part(edge: SiteId) -> str:
    return f"{edge}-{LINK}"


def local_site(
    state: StateDirectory, site: SiteSettings, place: SiteId, containers: Containers, say: Say
) -> LocalSite:
    """Return a site of this machine: the cloud, or one of its edges.

    Args:
        state: Of the cloud.
        site: The cloud's settings.
        place: Which site.
        containers: Of the state directory.
        say: Told each step, in a few words.
    """
    if place == site.site:
        return LocalSite(state, site, containers, say, site.parts_name)
    here = state.edge(place)
    return LocalSite(here, load_site(here.site_file), containers, say, place)
