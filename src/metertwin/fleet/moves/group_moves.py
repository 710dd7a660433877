"""A whole group moved, however it is cut: what `metertwin migrate` and the demonstration do.

A group that lies in one container goes to the host that is at the target already. A share goes to
a container of its own, which is started there first, and the one it left is ended.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from metertwin.core.ids import GroupId, LotId, SiteId, share_of
from metertwin.fleet.hosts import berth_for, berth_of, role_of
from metertwin.fleet.local.at_once import some_at_once
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.launch import LocalSite, Say
from metertwin.fleet.local.sites import local_site
from metertwin.fleet.moves.migration import Migration, Mover
from metertwin.fleet.moves.starting import silence_of, start_host
from metertwin.fleet.site import SiteSettings
from metertwin.fleet.site_lease import SITE_TERM_S, site_held
from metertwin.fleet.state import StateDirectory


@dataclass(slots=True)
class GroupMoves:
    """Moves groups between the sites of this machine.

    Args:
        state: Of the cloud, or of the only site.
        settings: Its settings.
        mover: Moves what is hosted as one.
        containers: Of all sites; only a group that is cut needs them.
        say: Told each step, in a few words.
        term_s: After so many seconds without a sign of life of whoever changes a site's hosts this
            goes on.
    """

    state: StateDirectory
    settings: SiteSettings
    mover: Mover
    containers: Containers | None
    say: Say
    term_s: float = SITE_TERM_S

    async def move(self, group: GroupId, to: SiteId) -> list[Migration]:
        """Move a group; what is there already is left alone.

        Raises:
            SiteBusyError: Somebody else changes the twin hosts of the sites; a share's come and go.
            PartError: A share's container does not come up.
            MeterTwinError: What `Mover.move` raises; of a group that is cut, what moved before
                stays at the target. Move it again, or back.
        """
        lots = self.settings.lots_of(group)
        # No container is started while the group's home is away.
        places = {(await self.mover.owner_of(lot))[1] for lot in lots} | {to}
        shares = [lot for lot in lots if share_of(lot)]
        async with contextlib.AsyncExitStack() as stack:
            for place in sorted(places) if shares else ():
                doing = f"a move of {group} to {to}"
                await stack.enter_async_context(
                    site_held(self.mover.cloud, place, doing, self.say, self.term_s)
                )
            return await self._move(lots, shares, to)

    async def _move(
        self, lots: Sequence[LotId], shares: Sequence[LotId], to: SiteId
    ) -> list[Migration]:
        await some_at_once(partial(self._make_room, to), shares)
        moves = []
        for lot in lots:
            moved = await self.mover.move(lot, to)
            if moved is not None:
                moves.append(moved)
                await self._leave(moved)
        return moves

    async def _make_room(self, to: SiteId, share: LotId) -> None:
        """See that a share's host runs at the target."""
        hosts = berth_for(to, share).hosts
        silences = [await silence_of(self.mover.standing, to, host) for host in hosts]
        if not all(silences):
            return
        self.say(f"starting {hosts[0]}")
        # From what it runs from now: a move changes the place, not the program.
        image = await self._image_of(share)
        await start_host(self._site(to), hosts[0], self.mover.standing, image=image)

    async def _image_of(self, share: LotId) -> str | None:
        """Return the image that a share's owner runs from; None where it is gone."""
        host, place = await self.mover.owner_of(share)
        site = self._site(place)
        status = await site.containers.status(site.part(role_of(host, place)))
        return status.image or None

    async def _leave(self, moved: Migration) -> None:
        """End the container that a share left; it owns nothing any more."""
        berth = berth_of(moved.old_host, [moved.source])
        if berth is not None and berth.share is not None:
            site = self._site(moved.source)
            await site.end_twin_host(role_of(moved.old_host, moved.source))

    def _site(self, place: SiteId) -> LocalSite:
        assert self.containers is not None  # a share is at hand
        return local_site(self.state, self.settings, place, self.containers, self.say)
