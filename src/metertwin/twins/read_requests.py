"""The requests that only look: answered alike by a group's owner and by who stands in for it."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from metertwin.bus.messages import Request
from metertwin.bus.requests import Handler
from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis
from metertwin.core.twin import LedgerLine, RegisterAnswer, TwinDocument, TwinStatus, UsageNow
from metertwin.twins.answers import Answers
from metertwin.twins.arguments import ArgumentsError, arguments_of, check_whole_group, meter_of
from metertwin.twins.group import TwinGroup

_LIST_LIMIT = 1000


class LookedAt(Protocol):
    """A group that can be looked at."""

    @property
    def group(self) -> TwinGroup:
        """The twins."""
        ...

    @property
    def answers(self) -> Answers:
        """What they answer."""
        ...

    def document(self, meter: MeterId) -> TwinDocument:
        """Return everything a twin says of itself."""
        ...

    def facts(self) -> dict[str, object]:
        """Return how the group stands."""
        ...


class _RegisterArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    obis: str


class ListArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of a group's twins."""

    search: str = ""
    status: TwinStatus | None = None
    offset: int = 0
    limit: int = 100


class NoArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that takes none."""


class ReadRequests:
    """Handlers of the requests that only look at one group."""

    def __init__(self, group: LookedAt) -> None:
        self._group = group

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the request's name."""
        return {
            "twin": self.twin,
            "usage_now": self.usage_now,
            "read_register": self.read_register,
            "twins": self.twins,
            "ledger": self.ledger,
            "host": self.host,
        }

    async def twin(self, request: Request, token: str, _deadline_s: float) -> TwinDocument:
        """Answer with everything the twin says of itself."""
        arguments_of(request, NoArguments)
        return self._group.document(meter_of(request, token))

    async def usage_now(self, request: Request, token: str, deadline_s: float) -> UsageNow:
        """Answer with power and energy in both directions."""
        arguments_of(request, NoArguments)
        meter = meter_of(request, token)
        return await self._group.answers.usage_now(meter, max_age_s_of(request), deadline_s)

    async def read_register(
        self, request: Request, token: str, deadline_s: float
    ) -> RegisterAnswer:
        """Answer with the newest value of one register."""
        obis = Obis.parse(arguments_of(request, _RegisterArguments).obis)
        meter = meter_of(request, token)
        return await self._group.answers.register(meter, obis, max_age_s_of(request), deadline_s)

    async def twins(self, request: Request, token: str, _deadline_s: float) -> dict[str, object]:
        """Answer with a page of the group's twins."""
        check_whole_group(request, token)
        wanted = check_page(request, arguments_of(request, ListArguments))
        view = self._group.answers.view
        rows = view.rows_matching(wanted.search, wanted.status)
        page = rows[wanted.offset : wanted.offset + wanted.limit]
        return {"total": len(rows), "items": view.summaries(page)}

    async def ledger(self, request: Request, token: str, _deadline_s: float) -> list[LedgerLine]:
        """Answer with the ledger of the group's twins."""
        check_whole_group(request, token)
        arguments_of(request, NoArguments)
        return self._group.group.ledger_lines()

    async def host(self, request: Request, token: str, _deadline_s: float) -> dict[str, object]:
        """Answer with how the group stands and what it costs."""
        check_whole_group(request, token)
        arguments_of(request, NoArguments)
        return self._group.facts()


def check_page(request: Request, wanted: ListArguments) -> ListArguments:
    """Return what is wanted; raises ArgumentsError where there is no such page."""
    if not (wanted.offset >= 0 and 1 <= wanted.limit <= _LIST_LIMIT):
        raise ArgumentsError(
            f"offset {wanted.offset} and limit {wanted.limit}: offset is 0 or more, limit 1 "
            f"to {_LIST_LIMIT}.",
            name=request.name,
        )
    return wanted


def max_age_s_of(request: Request) -> float | None:
    """Return how old the answer may be, in s; raises ArgumentsError below 0."""
    if request.max_age_s is not None and not request.max_age_s >= 0:
        raise ArgumentsError(
            f"max_age_s is {request.max_age_s:g} s; it must be 0 or more.", name=request.name
        )
    return request.max_age_s
