"""A whole site on this machine: bus, simulated meters, gateway, twin host, recorder, API.

Each is a container of its own, started in the order in which they need each other. A part sees its
own directory and nothing else of the site: the settings as they look from where it is, the one seed
of its role, the meters' keys if it is the gateway. Whoever stands outside, the command line for
example, uses the state directory itself.
"""

import asyncio
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec

from metertwin.bus.certificate import CERTIFICATE, ensure_certificate
from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role, ensure_seed, ensure_seeds, seed_path
from metertwin.bus.place import leaf_seed_name
from metertwin.bus.server import check_port, find_server
from metertwin.core.errors import DeadlineError
from metertwin.fleet.hosts import place_of, role_name
from metertwin.fleet.local.at_once import some_at_once
from metertwin.fleet.local.containers import LOOPBACK, Containers, Part, PartError
from metertwin.fleet.local.endings import why_ended
from metertwin.fleet.local.groups import groups_of
from metertwin.fleet.local.ports import check_api_port, port_of
from metertwin.fleet.local.twin_hosts import TwinHostEntry, TwinHosts
from metertwin.fleet.roles import API, BUS, GATEWAY, SIMULATE, TWIN_HOST, roles_of
from metertwin.fleet.runtimes.spec import Limits, PublishedPort
from metertwin.fleet.site import SiteSettings, save_private, save_site
from metertwin.fleet.state import StateDirectory
from metertwin.fleet.token import ensure_token
from metertwin.meters.registry import load_registry

WORLD = "world"  # the network in which simulated meters are

NO_LIMITS = Limits()
GIVE_UP_RESTARTS = 3
_START_WITHIN_S = 60.0
_POLL_S = 0.02
_LOOK_EVERY_S = 1.0

Say = Callable[[str], None]


@dataclass(slots=True)
class LocalSite:
    """A site on this machine.

    Args:
        state: Where it lives.
        settings: What it is, seen from outside; its groups are filled in from the meters when it
            has none.
        containers: Who keeps its parts.
        say: Told what is being done, in a few words.
        name: Before the names of its parts, where several sites share a runtime.
    """

    state: StateDirectory
    settings: SiteSettings
    containers: Containers
    say: Say
    name: str = ""

    async def start(self) -> None:
        """Start everything that does not run; what runs is left as it is.

        Raises:
            PortInUseError: The bus's or the API's port is taken.
            PartError: A part ends again and again; its last words are in the sentence.
            MeterTwinError: Whatever else a part cannot do without, in its own words.
        """
        running = await self.containers.running()
        if self.part(API) not in running:
            check_api_port(self.settings.api_host, self.settings.api_port)
        self.state.make()
        self.containers.remember(self.state.root)
        ensure_token(self.state.api_token_file)
        if self.part(BUS) not in running:
            await self._start_bus()
        save_site(self.state.site_file, self.settings)
        if self.settings.simulation is not None and self.part(SIMULATE) not in running:
            await self.start_meters()
        for role in self._roles():
            if role == TWIN_HOST:
                await self.start_twin_hosts(running)
            elif role != BUS and self.part(role) not in running:
                self.say(f"starting {self.part(role)}")
                await self.start_role(role)

    async def stop_gateways(self) -> None:
        """Let no more readings come."""
        await self.containers.stop(self.part(GATEWAY))

    async def start_meters(self) -> None:
        """Start the simulated street; the site's groups are those of its feeders."""
        self.say("laying the feeders and starting the meters")
        self.state.make()
        save_site(self.state.site_file, self.settings)
        home = self.home(SIMULATE)
        home.meters_file.unlink(missing_ok=True)
        await self.start_role(SIMULATE)
        await self._until_meters(home)
        shutil.copyfile(home.meters_file, self.state.meters_file)
        self.state.meters_file.chmod(0o600)
        entries = load_registry(self.state.meters_file)
        self.settings = msgspec.structs.replace(
            self.settings,
            groups=groups_of(entries, self.settings.poll_s, self.settings.twins_per_container),
        )
        save_site(self.state.site_file, self.settings)

    def part(self, role: str) -> str:
        """Return the name of the part that has a role."""
        return f"{self.name}-{role}" if self.name else role

    def home(self, role: str) -> StateDirectory:
        """Return the directory of the part that has a role."""
        return self.state.part(role)

    async def start_role(
        self,
        role: str,
        *,
        image: str | None = None,
        limits: Limits = NO_LIMITS,
    ) -> str:
        """Start the part that has a role, anew where it ran from another description.

        Args:
            role: The role; of a twin host what `fleet.hosts.role_of` gives, which tells what it is
                for.
            image: Another image than the site's.
            limits: What it may use.

        Returns:
            The part's name.
        """
        home = self.home(role)
        home.make()
        is_host = place_of(role) is not None
        if is_host:
            entry = TwinHostEntry(None if image == self.containers.image else image, limits)
            self.twin_hosts.note(role, entry)
        self.furnish(role, home)
        await self.containers.start(
            Part(
                name=self.part(role),
                argv=("run", TWIN_HOST if is_host else role, "--state", str(home.root.resolve())),
                home=home.root,
                ports=self._ports(role),
                networks=self._networks(role),
                limits=limits,
                image=image,
            )
        )
        return self.part(role)

    async def start_twin_hosts(self, running: Collection[str] = ()) -> None:
        """Start the hosts that ran last, each from what it ran from: the groups are theirs.

        Args:
            running: Names of parts that run already.
        """
        every = self.twin_hosts.all()
        entries = {role: each for role, each in every.items() if self.part(role) not in running}
        if not entries:
            return
        self.say(f"starting {', '.join(map(self.part, entries))}")

        async def start(role: str) -> str:
            entry = entries[role]
            return await self.start_role(role, image=entry.image, limits=entry.limits)

        await some_at_once(start, entries)

    async def end_twin_host(self, role: str) -> None:
        """End a twin host for good: the site's next start does without it."""
        await self.containers.stop(self.part(role))
        self.twin_hosts.forget(role)

    @property
    def twin_hosts(self) -> TwinHosts:
        """The record of the hosts; those of the first start are one for all, or for each share."""
        lots = [share for group in self.settings.groups for share in group.shares()]
        shares = [role_name(1, lot.lot) for lot in lots if lot.share]
        # A cloud's twin host also stands in for its edges.
        is_whole = self.settings.is_cloud or not shares or not all(lot.share for lot in lots)
        roles = ([TWIN_HOST] if is_whole else []) + shares
        return TwinHosts(self.state.twin_hosts_file, tuple(roles))

    async def run_task(self, name: str, argv: tuple[str, ...], image: str, within_s: float) -> Path:
        """Run a command that asks the site as a client, and return its directory.

        Args:
            name: Of the part.
            argv: Arguments of `metertwin`; `--state DIR` is added.
            image: What it runs from.
            within_s: Longest time it may take, in s.

        Raises:
            PartError: It failed, with its last words, or did not end in time.
        """
        home = self.home(name)
        home.make()
        self.furnish(Role.CLIENT.value, home)
        state = ("--state", str(home.root.resolve()))
        networks = self._networks(name)
        part = Part(
            self.part(name),
            (*argv, *state),
            home.root,
            networks=networks,
            image=image,
            is_task=True,
        )
        await self.containers.start(part)
        status = await self.containers.until_ended(part.name, within_s)
        if status.exit_code:
            raise PartError(
                f"{part.name} from image {image} failed with {status.exit_code}: "
                f"{await self.containers.last_words(part.name)}",
                part=part.name,
            )
        return home.root

    def _roles(self) -> tuple[str, ...]:
        settings = self.settings
        return roles_of(has_groups=bool(settings.groups), is_cloud=settings.is_cloud)

    def _ports(self, role: str) -> tuple[PublishedPort, ...]:
        settings, port = self.settings, port_of(self.settings.bus_url)
        if role == BUS and settings.leaf_port is not None:
            leaf = PublishedPort(settings.leaf_port, settings.leaf_port, settings.leaf_host)
            return (PublishedPort(port, port), leaf)
        if role == BUS:
            return (PublishedPort(port, port),)
        return (PublishedPort(settings.api_port, settings.api_port),) if role == API else ()

    def _networks(self, role: str) -> tuple[str, ...]:
        own = self.name or "site"
        if role == SIMULATE:
            return (WORLD,)
        return (own, WORLD) if role == GATEWAY else (own,)

    def furnish(self, role: str, home: StateDirectory) -> None:
        """Put into a part's directory what it needs, and nothing of what the others need."""
        seen = self._seen_from_inside(role, home)
        seeds = "*.*" if role == BUS else f"{role}.seed"
        if (place := place_of(role)) is not None:
            number, share = place
            seen = msgspec.structs.replace(seen, host_number=number, host_share=share or "")
            seeds = f"{Role.TWIN_HOST}.seed"
        save_site(home.site_file, seen)
        home.bus_seeds.mkdir(mode=0o700, exist_ok=True)
        for seed in self.state.bus_seeds.glob(seeds):
            _copy_secret(seed, home.bus_seeds / seed.name)
        if role == GATEWAY:
            _copy_secret(self.state.meters_file, home.meters_file)
        if role == API:
            _copy_secret(self.state.api_token_file, home.api_token_file)

    def _seen_from_inside(self, role: str, home: StateDirectory) -> SiteSettings:
        listen = self.containers.listen_host
        uplink = self.settings.uplink
        if uplink is not None:
            seed = home.bus_seeds / f"{leaf_seed_name(self.settings.site)}.seed"
            certificate = home.bus_seeds / CERTIFICATE
            uplink = msgspec.structs.replace(
                uplink, seed=str(seed.resolve()), certificate=str(certificate.resolve())
            )
        simulation = self.settings.simulation
        if simulation is not None:
            found_at = self.containers.host_of(self.part(SIMULATE))
            simulation = msgspec.structs.replace(simulation, listen_host=listen, found_at=found_at)
        bus_host = LOOPBACK if role == BUS else self.containers.host_of(self.part(BUS))
        return msgspec.structs.replace(
            self.settings,
            bus_url=f"nats://{bus_host}:{port_of(self.settings.bus_url)}",
            bus_listen_host=listen,
            leaf_host=listen if self.containers.has_networks else self.settings.leaf_host,
            api_host=self.settings.api_host if not self.containers.has_networks else listen,
            uplink=uplink,
            simulation=simulation,
        )

    async def _start_bus(self) -> None:
        self.say(f"starting {self.part(BUS)}")
        check_port(port_of(self.settings.bus_url))
        if self.settings.leaf_port is not None:
            check_port(self.settings.leaf_port, self.settings.leaf_host)
        if not self.containers.has_networks:
            find_server()  # says what is missing before a part ends again and again for want of it
        ensure_seeds(self.state.bus_seeds)
        for edge in self.settings.edges:
            ensure_seed(self.state.bus_seeds / f"{leaf_seed_name(edge.site)}.seed")
        if self.settings.is_cloud:
            ensure_certificate(self.state.bus_seeds, self.settings.leaf_names)
        await self.start_role(BUS)
        bus = await connect(
            self.settings.bus_url,
            seed_path(self.state.bus_seeds, Role.CLIENT),
            "launch",
            _START_WITHIN_S,
        )
        await bus.close()

    async def _until_meters(self, home: StateDirectory) -> None:
        part = self.part(SIMULATE)
        loop = asyncio.get_running_loop()
        looked_s = loop.time()
        try:
            async with asyncio.timeout(_START_WITHIN_S):
                while not home.meters_file.exists():
                    if loop.time() > looked_s + _LOOK_EVERY_S:
                        looked_s = loop.time()
                        await raise_if_hopeless(self.containers, [part])
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise DeadlineError(
                f"{part} was not ready within {_START_WITHIN_S:g} s; "
                f"{await self.containers.last_words(part)}",
                part=part,
            ) from None


async def raise_if_hopeless(containers: Containers, parts: list[str] | None = None) -> None:
    """Raise PartError if a part (all by default) ends again and again."""
    for name, status in (await containers.statuses()).items():
        if (parts is None or name in parts) and status.restart_count >= GIVE_UP_RESTARTS:
            raise PartError(
                f"{name} ends again and again: {await why_ended(containers, name, status)}",
                part=name,
            )


def _copy_secret(source: Path, target: Path) -> None:
    save_private(target, source.read_bytes())
