"""The requests a stand-in answers: what only looks, how the site stands, and what is wanted."""

from collections.abc import Mapping
from typing import Any

import msgspec

from metertwin.bus.messages import Request
from metertwin.bus.requests import Handler
from metertwin.core.ids import command_id
from metertwin.twins.arguments import arguments_of, check_whole_group, meter_of
from metertwin.twins.desired import checked_changes
from metertwin.twins.last_known import LastKnownGroup
from metertwin.twins.read_requests import NoArguments, ReadRequests
from metertwin.twins.site_watch import SiteStanding, SiteWatch
from metertwin.twins.wish_courier import DesiredAnswer, WishCourier

_NAME_LENGTH = 64


class _DesiredArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    changes: dict[str, Any]
    by: str = ""
    id: str = ""


class StandInRequests:
    """Handlers of one group's requests at its stand-in."""

    def __init__(self, group: LastKnownGroup, watch: SiteWatch, courier: WishCourier) -> None:
        self._group = group
        self._watch = watch
        self._courier = courier

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the request's name."""
        return {
            **ReadRequests(self._group).handlers(),
            "standing": self.standing,
            "desired": self.desired,
        }

    async def standing(self, request: Request, token: str, _deadline_s: float) -> SiteStanding:
        """Answer with how the group's site stands at this moment."""
        check_whole_group(request, token)
        arguments_of(request, NoArguments)
        return await self._watch.now()

    async def desired(self, request: Request, token: str, deadline_s: float) -> DesiredAnswer:
        """Have the owner change what is wanted, or keep it as a wish while it is away."""
        asked = arguments_of(request, _DesiredArguments)
        meter = meter_of(request, token)
        self._group.group.row(meter)
        return await self._courier.want(
            (self._group.group.settings.id, meter),
            checked_changes(meter, asked.changes),
            asked.by[:_NAME_LENGTH],
            command_id(asked.id) if asked.id else "",
            deadline_s,
        )
