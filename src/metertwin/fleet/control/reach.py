"""All of a fleet within reach of one program: the cloud's bus, every home, the runtime."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec.structs import replace as replace_fields

from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.core.errors import NotFoundError, UnavailableError
from metertwin.core.ids import Lot, SiteId, group_of
from metertwin.fleet.document import FleetFile, Known, parse_fleet
from metertwin.fleet.document.known import known_of
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import LocalSite
from metertwin.fleet.local.sites import local_site
from metertwin.fleet.moves.migration import Migration, Mover, Say
from metertwin.fleet.moves.moving import home_domain
from metertwin.fleet.site import SiteSettings, load_site
from metertwin.fleet.state import StateDirectory
from metertwin.twins.control import Standing


@dataclass(slots=True)
class Reach:
    """A cloud with its edges, or a single site, and a mover for groups of every home.

    Attributes:
        state: Of the cloud.
        site: The cloud's settings, with the edges of this machine only.
        elsewhere: Edges on other machines.
        containers: Of all sites.
        known: What there is.
        cloud: A connection of the fleet role to the cloud's bus.
        homes: The same for each home's domain.
        say: Told each step, in a few words.
    """

    state: StateDirectory
    site: SiteSettings
    elsewhere: tuple[SiteId, ...]
    containers: Containers
    known: Known
    cloud: Bus
    homes: dict[str, Bus]
    say: Say

    @property
    def lasting(self) -> Known:
        """What there is, without images: whether one is there, the step finds that needs it."""
        return replace(self.known, images=None)

    def refresh(self) -> None:
        """Look at the settings again: a group may have been cut otherwise meanwhile."""
        self.site, self.elsewhere = site_within_reach(self.state)
        self.known = known_of(self.site, self.known.image, self.known.images)

    def mover(self, group: Lot) -> Mover:
        """Return what moves a group."""
        home = home_domain(self.site, group_of(group))
        return Mover(self.cloud, self.homes[home], self.known.sites, self.say)

    def local(self, site: SiteId) -> LocalSite:
        """Return a site as it is launched on this machine, with its settings of now."""
        settings = load_site(self.state.site_file)
        return local_site(self.state, settings, site, self.containers, self.say)

    def part(self, site: SiteId, role: str) -> str:
        """Return the name of the part that has a role at a site."""
        return f"{site}-{role}" if self.site.parts_name else role

    async def owner_of(self, group: Lot) -> tuple[str, SiteId]:
        """Return the host that owns a group, and its site; raises as `Mover.owner_of`."""
        return await self.mover(group).owner_of(group)

    async def standing(self, site: SiteId, host: str) -> Standing:
        """Return how a host stands; raises UnavailableError or DeadlineError when it is silent."""
        return await Mover(self.cloud, self.cloud, self.known.sites, self.say).standing(site, host)

    async def move(self, group: Lot, to: SiteId, host: str | None = None) -> Migration | None:
        """Move a group; raises as `Mover.move`."""
        return await self.mover(group).move(group, to, host)

    async def take_from_dead(self, group: Lot, site: SiteId, host: str) -> None:
        """Give a group whose owner is gone for good to another host."""
        await self.mover(group).take_from_dead(group, site, host)


@contextlib.asynccontextmanager
async def reach_for(
    root: Path, say: Say, text: str, where: str
) -> AsyncIterator[tuple[Reach, FleetFile]]:
    """Reach the fleet that a file is for, once all that is wrong with the file was told.

    Raises:
        FleetFileError: Something is wrong with it; its form is told also where nothing runs.
        MeterTwinError: What `reach_of` raises.
    """
    try:
        async with reach_of(root, say) as reach:
            yield reach, parse_fleet(text, where, reach.known)
    except (NotFoundError, UnavailableError):
        parse_fleet(text, where)
        raise


def site_within_reach(state: StateDirectory) -> tuple[SiteSettings, tuple[SiteId, ...]]:
    """Return a cloud's settings without its edges on other machines, and the names of those.

    Their containers can be seen and started on their own machines only, and are controlled there.
    """
    site = load_site(state.site_file)
    here = tuple(edge for edge in site.edges if state.edge(edge.site).site_file.exists())
    elsewhere = tuple(edge.site for edge in site.edges if edge not in here)
    return replace_fields(site, edges=here), elsewhere


@contextlib.asynccontextmanager
async def reach_of(root: Path, say: Say) -> AsyncIterator[Reach]:
    """Reach the fleet whose cloud, or only site, has its state in a directory.

    Raises:
        NotRunningError: Nothing was started there.
        UnavailableError: Its bus is not there.
        EngineUnavailableError: The engine it runs in does not answer.
    """
    state = StateDirectory(root)
    site, elsewhere = site_within_reach(state)
    seed = seed_path(state.bus_seeds, Role.FLEET)
    async with contextlib.AsyncExitStack() as stack:
        containers = await Containers.of_running(root)
        stack.push_async_callback(containers.close)
        cloud = await connect(site.bus_url, seed, f"{site.site}-controller")
        stack.push_async_callback(cloud.close)
        homes: dict[str, Bus] = {}
        for group in site.all_groups:
            domain = home_domain(site, group.id)
            if domain not in homes:
                name = f"{site.site}-controller-{domain}"
                homes[domain] = await connect(site.bus_url, seed, name, domain=domain)
                stack.push_async_callback(homes[domain].close)
        images = {
            reference
            for image in await containers.runtime.images()
            for reference in image.references
        }
        known = known_of(site, containers.image, frozenset(images))
        yield Reach(state, site, elsewhere, containers, known, cloud, homes, say)
