"""The requests a twin host answers, by name, and how their arguments are read."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from metertwin.bus.messages import Request
from metertwin.bus.requests import Handler
from metertwin.core.command import Arguments, Command, CommandKind, CommandOutcome
from metertwin.core.ids import command_id, site_id
from metertwin.core.obis import Obis
from metertwin.core.twin import (
    LoadProfile,
)
from metertwin.twins.arguments import ArgumentsError, arguments_of, meter_of
from metertwin.twins.desired import Ask, Value
from metertwin.twins.hosted import HostedGroup
from metertwin.twins.merging import Wish
from metertwin.twins.profiles import ProfileRange
from metertwin.twins.read_requests import NoArguments, ReadRequests, max_age_s_of

_NAME_LENGTH = 64
_COMMAND_LIFE_S = 60.0
_COMMAND_LIFE_MAX_S = 7 * 86_400.0


class _DesiredArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    changes: dict[str, Any]
    by: str = ""
    id: str = ""
    origin: str = ""


class _MergeArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    wishes: list[Wish]


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


class TwinRequests:
    """Handlers of one group's requests."""

    def __init__(self, hosted: HostedGroup) -> None:
        self._hosted = hosted

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the request's name."""
        return {
            **ReadRequests(self._hosted).handlers(),
            "load_profile": self.load_profile,
            "activity_calendar": self.activity_calendar,
            "command": self.command,
            "desired": self.desired,
            "merge_desired": self.merge_desired,
        }

    async def load_profile(self, request: Request, token: str, deadline_s: float) -> LoadProfile:
        """Answer with load-profile intervals from history, read through when asked for fresh."""
        asked = arguments_of(request, _LoadProfileArguments)
        obis = None if asked.obis is None else Obis.parse(asked.obis)
        wanted = ProfileRange(asked.start, asked.end, obis)
        return await self._hosted.profiles.load_profile(
            meter_of(request, token), wanted, max_age_s_of(request), deadline_s
        )

    async def activity_calendar(
        self, request: Request, token: str, deadline_s: float
    ) -> dict[str, Any]:
        """Answer with the tariff calendar the meter follows, read from the meter."""
        arguments_of(request, NoArguments)
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
                issued_by=wanted.issued_by[:_NAME_LENGTH],
                issued_at=now,
                expires_at=now + timedelta(seconds=wanted.expires_in_s),
                arguments=wanted.arguments,
            )
        )

    async def desired(
        self, request: Request, token: str, _deadline_s: float
    ) -> dict[str, int | dict[str, Value]]:
        """Change what is wanted of the meter; the same id is one change however often it comes."""
        asked = arguments_of(request, _DesiredArguments)
        ask = Ask(
            by=asked.by[:_NAME_LENGTH],
            at=self._hosted.clock.now(),
            id=command_id(asked.id) if asked.id else "",
            origin=site_id(asked.origin) if asked.origin else "",
        )
        state = await self._hosted.want(meter_of(request, token), asked.changes, ask)
        return {"version": state.version, "desired": state.values}

    async def merge_desired(
        self, request: Request, token: str, _deadline_s: float
    ) -> dict[str, int | dict[str, Value]]:
        """Merge what was wished of the meter where this host could not be reached."""
        wishes = arguments_of(request, _MergeArguments).wishes
        state = await self._hosted.merge(meter_of(request, token), wishes)
        return {"version": state.version, "desired": state.values}
