"""Which group a meter belongs to, learned from the groups' hosts and remembered."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from metertwin.api.answers import TwinPage
from metertwin.api.stood_in import ask_stood_in
from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.errors import DeadlineError, NotFoundError, UnavailableError
from metertwin.core.ids import GroupId, MeterId

_PAGE = 1000
_ASK_WITHIN_S = 5.0
# A caller who asks for meters that do not exist must not make every host list its twins each time.
_SHORTEST_REFRESH_S = 1.0


class UnknownMeterError(NotFoundError):
    """No group has a twin of the meter."""

    code = "not_found.twin"


class UnknownGroupError(NotFoundError):
    """The site has no such group."""

    code = "not_found.group"


class GroupDirectory:
    """Finds a meter's group; asks the hosts again when it meets a meter it does not know.

    Args:
        groups: The groups there are.
        monotonic_s: This machine's monotonic time, in s.
        stood_in: Those of edges: which meters they have is known also when they are away.
    """

    def __init__(
        self,
        bus: Bus,
        groups: Sequence[GroupId],
        monotonic_s: Callable[[], float] = time.monotonic,
        stood_in: Collection[GroupId] = (),
    ) -> None:
        self._bus = bus
        self.groups = tuple(sorted(groups))
        self._monotonic_s = monotonic_s
        self._stood_in = stood_in
        self._group_of_meter: dict[MeterId, GroupId] = {}
        self._silent: dict[GroupId, str] = {}
        self._refreshed_s = float("-inf")
        self._refreshing = asyncio.Lock()

    def checked_group(self, group: str) -> GroupId:
        """Return the group if the site has it.

        Raises:
            UnknownGroupError: It has not.
        """
        if group not in self.groups:
            raise UnknownGroupError(
                f"There is no group {group[:64]!r}; there are {', '.join(self.groups) or 'none'}.",
                group=group[:64],
            )
        return GroupId(group)

    async def group_of(self, meter: MeterId) -> GroupId:
        """Return the group a meter's twin is in.

        Raises:
            UnknownMeterError: No group has it.
            UnavailableError: It is not known, and a host that may have it does not answer.
        """
        known = self._group_of_meter.get(meter)
        if known is None:
            await self._refresh_unless_recent()
            known = self._group_of_meter.get(meter)
        if known is not None:
            return known
        if self._silent:
            raise UnavailableError(
                f"Meter {meter} is not known, and {_listed(self._silent)}; try again later.",
                meter=meter,
                silent=dict(self._silent),
            )
        raise UnknownMeterError(
            f"There is no twin of meter {meter} in {len(self.groups)} groups; "
            "GET /v1/twins?search= finds meters by a part of their id.",
            meter=meter,
        )

    def forget(self, meter: MeterId) -> None:
        """Drop what is known of a meter: its group answered that it has no such twin."""
        self._group_of_meter.pop(meter, None)

    async def _refresh_unless_recent(self) -> None:
        async with self._refreshing:
            if self._monotonic_s() - self._refreshed_s < _SHORTEST_REFRESH_S:
                return
            answers = await asyncio.gather(*(self._list_group(each) for each in self.groups))
            self._silent = {
                group: answer
                for group, answer in zip(self.groups, answers, strict=True)
                if isinstance(answer, str)
            }
            self._refreshed_s = self._monotonic_s()

    async def _list_group(self, group: GroupId) -> str | None:
        """Learn a group's meters; return why that was not possible, or None."""
        offset = total = 0
        try:
            while offset <= total:
                page = await self._page(group, offset)
                for twin in page.items:
                    self._group_of_meter[twin.meter] = group
                total = page.total
                offset += _PAGE
                if not page.items:
                    break
        except (UnavailableError, DeadlineError) as error:
            return str(error)
        return None

    async def _page(self, group: GroupId, offset: int) -> TwinPage:
        request = Request("twins", {"offset": offset, "limit": _PAGE})
        if group in self._stood_in:
            told = await ask_stood_in(self._bus, group, request, TwinPage, _ASK_WITHIN_S)
            return told.answer
        to = subject(group, Kind.REQUEST)
        return await ask(self._bus, to, request, _ASK_WITHIN_S, TwinPage)


def _listed(silent: Mapping[GroupId, str]) -> str:
    return "; ".join(f"group {group} does not answer: {why}" for group, why in silent.items())
