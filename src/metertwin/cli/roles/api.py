"""The API as a process."""

import asyncio

from metertwin.api.context import ApiSettings
from metertwin.api.server import serve_api
from metertwin.bus.credentials import Role
from metertwin.cli.roles.session import session
from metertwin.fleet.state import StateDirectory


async def run(state: StateDirectory, stop: asyncio.Event) -> None:
    """Serve the site's API until `stop` is set."""
    async with session(state, Role.API) as here:
        settings = ApiSettings(
            site=here.site.site,
            groups=tuple(group.id for group in here.site.all_groups),
            token_file=state.api_token_file,
            host=here.site.api_host,
            port=here.site.api_port,
            stood_in=frozenset(group.id for edge in here.site.edges for group in edge.groups),
        )
        await serve_api(settings, here.bus, here.clock, stop)
