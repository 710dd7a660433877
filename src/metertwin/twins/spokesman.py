"""Who answers for a group that is cut into shares: its first share asks all and puts together.

Nobody who asks a group has to know how it is cut. A meter's requests go to its share at once; what
is asked of the whole group comes to the host of the first share, which asks each share and merges
the answers: lists one after the other, counts summed, what an app says as it is, share by share.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import Handler, NobodyAnswersError, NotInTimeError, ask
from metertwin.bus.subjects import Kind, of_share, subject
from metertwin.core.errors import DeadlineError, UnavailableError
from metertwin.core.ids import lot_of
from metertwin.twins.arguments import arguments_of, check_whole_group
from metertwin.twins.read_requests import ListArguments, check_page
from metertwin.twins.settings import GroupSettings

_KEPT_BACK_RATIO = 0.1  # of the asker's time, to tell which share did not answer

Facts = dict[str, Any]


class _Page(msgspec.Struct, frozen=True):
    total: int
    items: list[Any]


@dataclass(frozen=True, slots=True)
class Spokesman:
    """Answers what is asked of one group that is cut into shares.

    Args:
        bus: The connection.
        settings: Of the first share.
    """

    bus: Bus
    settings: GroupSettings

    def handlers(self, names: Iterable[str]) -> Mapping[str, Handler]:
        """Return handlers for requests of these names, which every share answers for itself."""
        merging: dict[str, Callable[[Request, float], Awaitable[object]]] = {
            "twins": self._twins,
            "ledger": self._ledger,
            "host": self._host,
        }
        return {name: partial(self._answer, merging.get(name, self._each)) for name in names}

    async def _answer(
        self,
        merge: Callable[[Request, float], Awaitable[object]],
        request: Request,
        token: str,
        deadline_s: float,
    ) -> object:
        check_whole_group(request, token)
        return await merge(request, deadline_s * (1 - _KEPT_BACK_RATIO))

    async def _twins(self, request: Request, deadline_s: float) -> Facts:
        wanted = check_page(request, arguments_of(request, ListArguments))
        counting = _with(request, offset=0, limit=1)
        totals = [page.total for page in await self._ask_all(counting, deadline_s, _Page)]
        items: list[Any] = []
        before_count = 0
        for share, total in enumerate(totals, start=1):
            offset = max(wanted.offset - before_count, 0)
            if offset < total and len(items) < wanted.limit:
                page = _with(request, offset=offset, limit=wanted.limit - len(items))
                items += (await self._ask(share, page, deadline_s, _Page)).items
            before_count += total
        return {"total": before_count, "items": items}

    async def _ledger(self, request: Request, deadline_s: float) -> list[Any]:
        lists = await self._ask_all(request, deadline_s, list[Any])
        return [line for lines in lists for line in lines]

    async def _host(self, request: Request, deadline_s: float) -> Facts:
        return merged_facts(await self._ask_all(request, deadline_s, Facts))

    async def _each(self, request: Request, deadline_s: float) -> Facts:
        """Answer with what each share says; what an app means by it only the app knows."""
        answers = await self._ask_all(request, deadline_s, Any)
        return {
            "shares": [
                {"share": share, "answer": answer} for share, answer in enumerate(answers, start=1)
            ]
        }

    async def _ask_all(self, request: Request, deadline_s: float, reply_type: Any) -> list[Any]:  # noqa: ANN401 - whatever it is, it comes back
        shares = range(1, self.settings.shares_count + 1)
        asked = (self._ask(share, request, deadline_s, reply_type) for share in shares)
        return list(await asyncio.gather(*asked))

    async def _ask(self, share: int, request: Request, deadline_s: float, reply_type: Any) -> Any:  # noqa: ANN401 - whatever it is, it comes back
        to = subject(self.settings.id, Kind.REQUEST, of_share(share))
        lot = lot_of(self.settings.id, share)
        try:
            return await ask(self.bus, to, request, deadline_s, reply_type)
        except NobodyAnswersError:
            raise UnavailableError(
                f"Share {lot} has no host that answers, and {request.name} is answered for the "
                "whole group or not at all; its other shares were asked as well. Start the "
                "share's host and ask again; the other shares' meters answer meanwhile.",
                lot=lot,
            ) from None
        except NotInTimeError:
            raise DeadlineError(
                f"Share {lot} did not answer {request.name} within {deadline_s:.3g} s.", lot=lot
            ) from None


def merged_facts(shares: list[Facts]) -> Facts:
    """Return how a group stands from how its shares stand.

    Counts are summed; of places in the stream the lowest counts, of epochs the highest; an app
    is at work where it is at work in every share.
    """
    first = shares[0]
    apps: dict[str, list[Facts]] = {}  # by name: while images change, shares may have others
    for app in (app for share in shares for app in share["apps"]):
        apps.setdefault(app["name"], []).append(app)
    twins = sum(each["twins"] for each in shares)
    summed = ("twins", "in_step", "stale", "window_bytes")
    lowest = ("stream_sequence", "saved_sequence")
    return {
        **first,
        **{name: sum(each[name] for each in shares) for name in summed},
        **{name: min(each[name] for each in shares) for name in lowest},
        "share": 0,
        "epoch": max(each["epoch"] for each in shares),
        "bytes_per_twin": sum(each["bytes_per_twin"] * each["twins"] for each in shares)
        / max(twins, 1),
        "apps": [_merged_app(each, len(shares)) for each in apps.values()],
        "shares": [
            {
                name: each[name]
                for name in ("share", "host", "version", "epoch", "twins", "in_step", "stale")
            }
            for each in shares
        ],
    }


def _merged_app(apps: list[Facts], shares_count: int) -> Facts:
    down = [app for app in apps if app["standing"] != "running"]
    told = (down or apps)[0]
    if not down and len(apps) < shares_count:
        reason = f"Only {len(apps)} of {shares_count} shares have it."
        told = {**told, "standing": "refused", "reason": reason}
    return {
        **told,
        "state_bytes": sum(app["state_bytes"] for app in apps),
        "tally": {name: sum(app["tally"].get(name, 0) for app in apps) for name in told["tally"]},
    }


def _with(request: Request, **arguments: int) -> Request:
    return msgspec.structs.replace(request, arguments={**request.arguments, **arguments})
