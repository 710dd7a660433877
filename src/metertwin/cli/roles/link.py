"""A link between sites as a process: it relays, and is cut and restored by a file."""

import asyncio

import msgspec

from metertwin.cli.roles.session import until_stopped
from metertwin.core.errors import InvalidInputError
from metertwin.fleet.local.link import Link, LinkSettings, obey
from metertwin.fleet.state import StateDirectory


class LinkSettingsError(InvalidInputError):
    """The link's settings cannot be used."""

    code = "input.link_settings"


async def run(state: StateDirectory, stop: asyncio.Event) -> None:
    """Relay until `stop` is set."""
    try:
        settings = msgspec.json.decode(state.link_settings_file.read_bytes(), type=LinkSettings)
    except (OSError, msgspec.DecodeError) as error:
        raise LinkSettingsError(
            f"Link settings {state.link_settings_file} cannot be read: {error}.",
            path=str(state.link_settings_file),
        ) from error
    link = Link(settings.port, settings.to_port, settings.listen_host, settings.to_host)
    await link.open()
    try:
        await until_stopped(obey(link, state.link_file), stop)
    finally:
        await link.close()
