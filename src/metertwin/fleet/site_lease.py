"""Who may change a site's twin hosts: one at a time, by hand or as a controller's step.

Two rollouts of one site would use the same second host for different images and end each other's.
So whoever starts or ends hosts, or moves groups between them for that, holds the site's lease. It
says nothing of owners: a group has one owner whatever becomes of the lease.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from metertwin.bus.connection import Bus
from metertwin.core.errors import ConflictError
from metertwin.core.ids import SiteId
from metertwin.fleet.lease import LOOKS_PER_TERM, Lease

SITE_TERM_S = 10.0

Say = Callable[[str], None]


class SiteBusyError(ConflictError):
    """Somebody else changes the site's twin hosts."""

    code = "conflict.site_busy"


class SiteLostError(ConflictError):
    """This program stood still, and somebody else took the site over."""

    code = "conflict.site_lost"


@dataclass(frozen=True, slots=True)
class SiteLease:
    """The lease of a site, held."""

    site: SiteId
    lease: Lease

    async def check(self) -> None:
        """Return if the next step may be begun.

        Raises:
            SiteLostError: Somebody else goes on with the site.
            UnavailableError: The bus does not answer, and the term is over.
        """
        # Held no more, it stood still, perhaps unnoticed. Twice, because a renewal that was not
        # acknowledged is in the way of the next one.
        is_held = self.lease.is_held or await self.lease.renew() or await self.lease.renew()
        if is_held and not self.lease.was_lost:
            return
        raise SiteLostError(
            f"This program stood still for longer than {self.lease.term_s:g} s, and "
            f"somebody else went on at site {self.site} meanwhile. What was begun here is theirs "
            "now; look at `metertwin status`.",
            site=self.site,
        )


@contextlib.asynccontextmanager
async def site_held(
    bus: Bus, site: SiteId, doing: str, say: Say, term_s: float = SITE_TERM_S
) -> AsyncIterator[SiteLease]:
    """Hold the lease of a site while the block runs; one whose holder is gone is free after a term.

    Args:
        bus: A connection of the fleet role to the cloud's bus.
        site: The site.
        doing: What is done there, for whoever wants to do something else.
        say: Told when it waits.
        term_s: After so many seconds without a sign of life somebody else may go on.

    Raises:
        SiteBusyError: Somebody else is at work there.
        UnavailableError: The bus does not answer.
    """
    lease = Lease(bus, own_name(), term_s, time.monotonic, f"site.{site}", doing)
    said = ""
    while not await lease.renew():
        if lease.is_leader_alive:
            raise SiteBusyError(
                f"At site {site} {lease.leader} is at work: {lease.leader_doing}. A site's twin "
                "hosts are changed by one at a time; try again when that is done.",
                site=site,
                holder=lease.leader,
            )
        if lease.leader != said:
            said = lease.leader
            say(f"waiting whether {said} is still at work at {site}: {lease.leader_doing}")
        await asyncio.sleep(term_s / LOOKS_PER_TERM)
    async with lease.kept():
        yield SiteLease(site, lease)


def own_name() -> str:
    """Return a name for this program in leases: machine, process, and chance."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
