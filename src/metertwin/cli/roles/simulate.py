"""The simulated street of a site as a process; addresses and keys go into meters.json."""

import asyncio
import secrets
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from metertwin.core.errors import InvalidInputError
from metertwin.fleet.site import SimulationSettings, load_site, save_private, site_clock
from metertwin.fleet.state import StateDirectory
from metertwin.meters.entry import Framing, MeterEntry, MeterOrigin, Security
from metertwin.meters.registry import save_registry
from metertwin.simulation import config as simulated
from metertwin.simulation.credentials import MeterAddress
from metertwin.simulation.serving import serve

_SECRET_OCTETS = 32
_PROFILE_DAYS = 10


async def run(state: StateDirectory, stop: asyncio.Event) -> None:
    """Serve the site's simulated meters until `stop` is set."""
    site = load_site(state.site_file)
    if site.simulation is None:
        raise InvalidInputError(f"The site in {state.root} has no simulated meters to run.")
    config = config_of(site.simulation, secret_of(state.street_secret_file))
    if site.clock is not None:
        # A street that is started again has lived since the site's time began.
        config = replace(config, begins_at=site.clock.origin)
    simulation = await serve(config, site_clock(site))
    try:
        entries = [
            entry_of(meter, site.simulation.zone, site.simulation.found_at)
            for meter in simulation.meters
        ]
        save_registry(state.meters_file, entries)
        await stop.wait()
    finally:
        await simulation.close()


def secret_of(path: Path) -> bytes:
    """Return what the street's keys follow from: a street started again has the keys it had."""
    if not path.exists():
        save_private(path, secrets.token_bytes(_SECRET_OCTETS))
    return path.read_bytes()


def config_of(settings: SimulationSettings, secret: bytes) -> simulated.SimulationConfig:
    """Return what the simulator is told."""
    return simulated.SimulationConfig(
        meter_count=settings.meters_count,
        group_size=settings.group_size,
        host=settings.listen_host,
        seed=settings.seed,
        zone=ZoneInfo(settings.zone),
        scenario_file=None if settings.scenario is None else Path(settings.scenario),
        profile_days=max(settings.lived_days + 1, _PROFILE_DAYS),
        lived_days=settings.lived_days,
        profile_file=None if settings.profiles is None else Path(settings.profiles),
        port=settings.port,
        framing=simulated.Framing(settings.framing),
        security=simulated.Security(settings.security),
        secret=secret,
    )


def entry_of(meter: MeterAddress, zone: str, host: str) -> MeterEntry:
    """Return the registry's entry of a simulated meter."""
    return MeterEntry(
        id=meter.meter,
        group=meter.group,
        host=host,
        port=meter.port,
        framing=Framing(meter.framing.value),
        client_sap=meter.client_sap,
        server_sap=meter.server_sap,
        security=Security(meter.security.value),
        password=meter.password.hex(),
        authentication_key=meter.authentication_key.hex(),
        encryption_key=meter.encryption_key.hex(),
        system_title=meter.client_system_title.hex(),
        zone=zone,
        origin=MeterOrigin.SIMULATED,
    )
