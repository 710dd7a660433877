"""A whole site on this machine: bus, simulated meters, gateway, twin host, recorder, API.

Each is a process of its own under one supervisor, started in the order in which they need each
other, and each started again when it dies. The site file is written twice when meters are
simulated: which groups there are is known once the simulator has laid its feeders.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role, seed_path
from metertwin.bus.server import check_port, server_command, write_config
from metertwin.bus.streams import ensure_streams
from metertwin.core.errors import DeadlineError, UnavailableError
from metertwin.core.ids import GroupId
from metertwin.fleet.site import SiteSettings, save_site
from metertwin.fleet.state import StateDirectory
from metertwin.fleet.supervisor import Process, ProcessError, Supervisor, last_words
from metertwin.meters.entry import MeterEntry
from metertwin.meters.registry import load_registry
from metertwin.twins.settings import GroupSettings

BUS = "bus"
SIMULATE = "simulate"
ROLES = ("recorder", "twin-host", "gateway", "api")

_START_WITHIN_S = 60.0
_POLL_S = 0.02
_GIVE_UP_RESTARTS = 3
_INTERVAL_S = 900.0
_POLLS_FRESH_COUNT = 3


class PortTakenError(UnavailableError):
    """A port the site needs is in use."""

    code = "fleet.port_taken"


Say = Callable[[str], None]


@dataclass(slots=True)
class LocalSite:
    """A site on this machine.

    Args:
        state: Where it lives.
        settings: What it is; its groups are filled in from the meters when it has none.
        supervisor: Who keeps its processes.
        say: Told what is being done, in a few words.
    """

    state: StateDirectory
    settings: SiteSettings
    supervisor: Supervisor
    say: Say

    async def start(self) -> None:
        """Start everything.

        Raises:
            PortInUseError: The bus's or the API's port is taken.
            ProcessError: A part ends again and again; its last words are in the sentence.
            MeterTwinError: Whatever else a part cannot do without, in its own words.
        """
        check_api_port(self.settings.api_host, self.settings.api_port)
        self.state.make()
        await self._start_bus()
        save_site(self.state.site_file, self.settings)
        if self.settings.simulation is not None:
            await self._start_meters()
        for role in ROLES:
            self.say(f"starting {role}")
            await self._start_role(role)

    async def stop(self) -> None:
        """End everything."""
        await self.supervisor.stop_all()

    async def _start_bus(self) -> None:
        self.say("starting the bus")
        port = int(self.settings.bus_url.rsplit(":", 1)[1])
        check_port(port)
        config = write_config(self.state.bus, self.state.bus_seeds, port)
        await self.supervisor.start(BUS, server_command(config), self.state.logs / "bus.log")
        admin = await connect(
            self.settings.bus_url, seed_path(self.state.bus_seeds, Role.ADMIN), "launch"
        )
        try:
            await ensure_streams(admin)
        finally:
            await admin.close()

    async def _start_meters(self) -> None:
        self.say("laying the feeders and starting the meters")
        self.state.meters_file.unlink(missing_ok=True)
        process = await self._start_role(SIMULATE)
        await self._until(process, self._has_meters)
        entries = load_registry(self.state.meters_file)
        self.settings = msgspec.structs.replace(
            self.settings, groups=groups_of(entries, self.settings.poll_s)
        )
        save_site(self.state.site_file, self.settings)

    async def _has_meters(self) -> bool:
        return self.state.meters_file.exists()

    async def _start_role(self, role: str) -> Process:
        argv = (sys.executable, "-m", "metertwin.cli", "run", role, "--state", str(self.state.root))
        return await self.supervisor.start(role, argv, self.state.logs / f"{role}.log")

    async def _until(self, process: Process, is_so: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(_START_WITHIN_S):
                while not await is_so():
                    if process.restart_count >= _GIVE_UP_RESTARTS:
                        raise ProcessError(
                            f"{process.name} ends again and again: {last_words(process)}",
                            process=process.name,
                        )
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise DeadlineError(
                f"{process.name} was not ready within {_START_WITHIN_S:g} s; see {process.log}.",
                process=process.name,
            ) from None


def check_api_port(host: str, port: int) -> None:
    """Raise PortTakenError if somebody already listens where the API shall."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(
                f"The API cannot listen on {host}:{port}: {error.strerror}. Stop what listens "
                "there (an earlier demonstration?), or give another port with --port.",
                port=port,
            ) from error


def groups_of(entries: tuple[MeterEntry, ...], poll_s: float) -> tuple[GroupSettings, ...]:
    """Return the groups that a registry's meters form, in the order in which they occur.

    A twin counts as in step until it missed two polls, `poll_s` of the meters' time apart, and for
    an interval of the load profile at least.
    """
    meters: dict[GroupId, list[MeterEntry]] = {}
    for entry in entries:
        meters.setdefault(entry.group_id, []).append(entry)
    return tuple(
        GroupSettings(
            id=group,
            meters=tuple(entry.meter for entry in of_group),
            freshness_s=max(_INTERVAL_S, _POLLS_FRESH_COUNT * poll_s),
            protected_meters=tuple(entry.meter for entry in of_group if entry.is_protected),
        )
        for group, of_group in meters.items()
    )
