"""The requests a twin host answers, by name, and how their arguments are read."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from metertwin.bus.messages import Request
from metertwin.bus.requests import Handler
from metertwin.core.command import Arguments, Command, CommandKind, CommandOutcome
from metertwin.core.ids import command_id
from metertwin.core.obis import Obis
from metertwin.core.twin import (
    LedgerLine,
    LoadProfile,
    RegisterAnswer,
    TwinDocument,
    TwinStatus,
    UsageNow,
)
from metertwin.twins.arguments import ArgumentsError, arguments_of, check_whole_group, meter_of
from metertwin.twins.desired import Value
from metertwin.twins.hosted import HostedGroup
from metertwin.twins.profiles import ProfileRange

_LIST_LIMIT = 1000
_SEARCH_LENGTH = 64
_COMMAND_LIFE_S = 60.0
_COMMAND_LIFE_MAX_S = 7 * 86_400.0


class _RegisterArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    obis: str


class _ListArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    search: str = ""
    status: TwinStatus | None = None
    offset: int = 0
    limit: int = 100


class _DesiredArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    changes: dict[str, Any]


class _CommandArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    kind: CommandKind
    issued_by: str
    arguments: Arguments = {}
    expires_in_s: float = _COMMAND_LIFE_S


class _LoadProfileArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    start: datetime
    end: datetime
    obis: str | None = None


class _NoArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class TwinRequests:
    """Handlers of one group's requests."""

    def __init__(self, hosted: HostedGroup) -> None:
        self._hosted = hosted

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the request's name."""
        return {
            "twin": self.twin,
            "usage_now": self.usage_now,
            "read_register": self.read_register,
            "load_profile": self.load_profile,
            "activity_calendar": self.activity_calendar,
            "command": self.command,
            "desired": self.desired,
            "twins": self.twins,
            "ledger": self.ledger,
            "host": self.host,
        }

    async def twin(self, request: Request, token: str, _deadline_s: float) -> TwinDocument:
        """Answer with everything the twin says of itself."""
        arguments_of(request, _NoArguments)
        return self._hosted.document(meter_of(request, token))

    async def usage_now(self, request: Request, token: str, deadline_s: float) -> UsageNow:
        """Answer with power and energy in both directions."""
        arguments_of(request, _NoArguments)
        meter = meter_of(request, token)
        return await self._hosted.answers.usage_now(meter, _max_age_s(request), deadline_s)

    async def read_register(
        self, request: Request, token: str, deadline_s: float
    ) -> RegisterAnswer:
        """Answer with the newest value of one register."""
        obis = Obis.parse(arguments_of(request, _RegisterArguments).obis)
        meter = meter_of(request, token)
        return await self._hosted.answers.register(meter, obis, _max_age_s(request), deadline_s)

    async def load_profile(self, request: Request, token: str, deadline_s: float) -> LoadProfile:
        """Answer with load-profile intervals from history, read through when asked for fresh."""
        asked = arguments_of(request, _LoadProfileArguments)
        obis = None if asked.obis is None else Obis.parse(asked.obis)
        wanted = ProfileRange(asked.start, asked.end, obis)
        return await self._hosted.profiles.load_profile(
            meter_of(request, token), wanted, _max_age_s(request), deadline_s
        )

    async def activity_calendar(
        self, request: Request, token: str, deadline_s: float
    ) -> dict[str, Any]:
        """Answer with the tariff calendar the meter follows, read from the meter."""
        arguments_of(request, _NoArguments)
        return await self._hosted.reader.activity_calendar(meter_of(request, token), deadline_s)

    async def command(self, request: Request, token: str, _deadline_s: float) -> CommandOutcome:
        """Accept or refuse a command."""
        wanted = arguments_of(request, _CommandArguments)
        if not 0 < wanted.expires_in_s <= _COMMAND_LIFE_MAX_S:
            raise ArgumentsError(
                f"expires_in_s is {wanted.expires_in_s:g} s; it must be above 0 and at most "
                f"{_COMMAND_LIFE_MAX_S:g} s.",
                name=request.name,
            )
        now = self._hosted.clock.now()
        return await self._hosted.accept(
            Command(
                id=command_id(wanted.id),
                meter=meter_of(request, token),
                group=self._hosted.group.settings.id,
                kind=wanted.kind,
                issued_by=wanted.issued_by[:_SEARCH_LENGTH],
                issued_at=now,
                expires_at=now + timedelta(seconds=wanted.expires_in_s),
                arguments=wanted.arguments,
            )
        )

    async def desired(
        self, request: Request, token: str, _deadline_s: float
    ) -> dict[str, int | dict[str, Value]]:
        """Change what is wanted of the meter."""
        changes = arguments_of(request, _DesiredArguments).changes
        state = await self._hosted.want(meter_of(request, token), changes)
        return {"version": state.version, "desired": state.values}

    async def twins(self, request: Request, token: str, _deadline_s: float) -> dict[str, object]:
        """Answer with a page of the group's twins."""
        check_whole_group(request, token)
        wanted = arguments_of(request, _ListArguments)
        if not (wanted.offset >= 0 and 1 <= wanted.limit <= _LIST_LIMIT):
            raise ArgumentsError(
                f"offset {wanted.offset} and limit {wanted.limit}: offset is 0 or more, limit 1 "
                f"to {_LIST_LIMIT}.",
                name=request.name,
            )
        view = self._hosted.answers.view
        rows = view.rows_matching(wanted.search, wanted.status)
        page = rows[wanted.offset : wanted.offset + wanted.limit]
        return {"total": len(rows), "items": view.summaries(page)}

    async def ledger(self, request: Request, token: str, _deadline_s: float) -> list[LedgerLine]:
        """Answer with the ledger of the group's twins."""
        check_whole_group(request, token)
        arguments_of(request, _NoArguments)
        return self._hosted.group.ledger_lines()

    async def host(self, request: Request, token: str, _deadline_s: float) -> dict[str, object]:
        """Answer with how the group stands and what it costs."""
        check_whole_group(request, token)
        arguments_of(request, _NoArguments)
        return self._hosted.facts()


def _max_age_s(request: Request) -> float | None:
    if request.max_age_s is not None and not request.max_age_s >= 0:
        raise ArgumentsError(
            f"max_age_s is {request.max_age_s:g} s; it must be 0 or more.", name=request.name
        )
    return request.max_age_s
