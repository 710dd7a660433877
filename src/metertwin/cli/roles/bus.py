"""The bus in the foreground, for sites that start each role by themselves."""

import asyncio

from metertwin.bus.connection import connect
from metertwin.bus.credentials import Role
from metertwin.bus.server import BusServer
from metertwin.bus.streams import ensure_streams
from metertwin.fleet.site import load_site
from metertwin.fleet.state import StateDirectory


async def run(state: StateDirectory, stop: asyncio.Event) -> None:
    """Run the server and make its streams; it ends when `stop` is set."""
    site = load_site(state.site_file)
    server = BusServer(state.bus, state.bus_seeds, int(site.bus_url.rsplit(":", 1)[1]))
    await server.start()
    try:
        admin = await connect(site.bus_url, server.seed(Role.ADMIN), "bus")
        await ensure_streams(admin)
        await admin.close()
        await stop.wait()
    finally:
        await server.stop()
