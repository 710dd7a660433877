"""A twin host started, until it answers: groups can be given to it then."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from metertwin.bus.ending import end_if_told
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import SiteId
from metertwin.fleet.hosts import role_of
from metertwin.fleet.local.containers import PartError
from metertwin.fleet.local.endings import why_ended
from metertwin.fleet.local.launch import NO_LIMITS, LocalSite
from metertwin.fleet.runtimes.spec import Limits
from metertwin.twins.control import Standing

_UP_WITHIN_S = 60.0
_LOOK_S = 0.1

Ask = Callable[[SiteId, str], Awaitable[Standing]]


async def start_host(
    site: LocalSite,
    host: str,
    standing: Ask,
    image: str | None = None,
    limits: Limits = NO_LIMITS,
) -> None:
    """Start a twin host of a site and return when it answers.

    Args:
        site: The site.
        host: Its name.
        standing: Asks a host how it stands.
        image: Another image than the site's.
        limits: What it may use.

    Raises:
        PartError: It ends again and again, or does not answer; why is in the sentence.
    """
    place = site.settings.site
    part = await site.start_role(role_of(host, place), image=image, limits=limits)
    end_s = time.monotonic() + _UP_WITHIN_S
    while silence := await silence_of(standing, place, host):
        end_if_told()
        status = await site.containers.status(part)
        if status.restart_count > 1:
            why = await why_ended(site.containers, part, status)
            raise PartError(f"{part} ends again and again: {why}", part=part)
        if time.monotonic() > end_s:
            raise PartError(
                f"{host} does not answer {_UP_WITHIN_S:g} s after its start: {silence}", part=part
            )
        await asyncio.sleep(_LOOK_S)


async def silence_of(standing: Ask, site: SiteId, host: str) -> str:
    """Return why a host does not answer; empty when it does."""
    try:
        await standing(site, host)
    except MeterTwinError as error:
        return str(error)
    return ""
