"""The bus in the foreground, for sites that start each role by themselves."""

import asyncio

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role
from metertwin.bus.server import BusServer
from metertwin.bus.streams import ensure_streams
from metertwin.cli.roles.session import until_stopped
from metertwin.fleet.site import load_site
from metertwin.fleet.state import StateDirectory


async def run(state: StateDirectory, stop: asyncio.Event) -> None:
    """Run the server and make its streams; it ends when `stop` is set."""
    site = load_site(state.site_file)
    port = int(site.bus_url.rsplit(":", 1)[1])
    server = BusServer(
        state.bus, state.bus_seeds, port, place=site.place, host=site.bus_listen_host
    )
    await server.start()
    try:
        admin = await connect(server.url, server.seed(Role.ADMIN), "bus")
        await ensure_streams(admin, place=site.place)
        await admin.close()
        await until_stopped(server.until_ended(), stop)
    finally:
        await server.stop()
