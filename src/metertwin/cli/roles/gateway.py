"""The gateways of a site's groups, in one process."""

import asyncio

import structlog

from metertwin.bus.credentials import Role
from metertwin.bus.ending import end_if_told
from metertwin.bus.ownership import SupersededError
from metertwin.cli.roles.session import Session, session, until_stopped
from metertwin.core.errors import MeterTwinError
from metertwin.fleet.state import StateDirectory
from metertwin.gateway.config import GatewayConfig, PollSettings, meters_of_group
from metertwin.gateway.run import run_gateway
from metertwin.meters.entry import MeterEntry
from metertwin.meters.model import ModelCache
from metertwin.meters.registry import load_registry

_TRY_AGAIN_S = 5.0

log = structlog.get_logger(__name__)


async def run(state: StateDirectory, stop: asyncio.Event) -> None:
    """Read the meters of all groups until `stop` is set."""
    entries = load_registry(state.meters_file)
    async with session(state, Role.GATEWAY) as here:
        await until_stopped(_all_groups(here, entries), stop)


async def _all_groups(here: Session, entries: tuple[MeterEntry, ...]) -> None:
    models = ModelCache()
    async with asyncio.TaskGroup() as tasks:
        for group in here.site.groups:
            config = GatewayConfig(
                name=f"{here.site.site}-gateway",
                group=group.id,
                meters=meters_of_group(entries, group.id),
                poll=PollSettings(
                    period_s=here.site.poll_s,
                    first_profile_s=here.site.first_profile_days * 86_400.0,
                ),
                disconnects_per_hour_count=group.disconnects_per_hour_count,
            )
            config.check()
            tasks.create_task(_one_group(config, here, models))


async def _one_group(config: GatewayConfig, here: Session, models: ModelCache) -> None:
    """Run a group's gateway; what ends it is no reason to stop reading the other groups."""
    while True:
        try:
            await run_gateway(config, here.bus, here.clock, models)
        except SupersededError as error:
            log.warning("gateway_superseded", group=config.group, reason=str(error))
            return
        except MeterTwinError as error:
            log.warning("gateway_waits", group=config.group, reason=str(error))
        await asyncio.sleep(_TRY_AGAIN_S)
        end_if_told()
