"""The requests that a group's apps answer: checked, given the past they need, and answered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial

import msgspec

from metertwin.apps.app import Asked, RequestEffect, RequestKind
from metertwin.bus.messages import Request
from metertwin.bus.requests import Handler
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import MeterId
from metertwin.twins.apps.history import Past
from metertwin.twins.apps.host import AppHost
from metertwin.twins.apps.hosted_app import AppDownError, HostedApp
from metertwin.twins.arguments import ArgumentsError, check_whole_group, meter_of
from metertwin.twins.group import TwinGroup


@dataclass(frozen=True, slots=True)
class AppRequests:
    """Answers the requests of one group's apps.

    Attributes:
        settle: Makes the apps' state durable, then carries out what they concluded.
    """

    group: TwinGroup
    apps: AppHost
    past: Past
    settle: Callable[[], Awaitable[None]]

    def handlers(self, taken_names: Iterable[str]) -> Mapping[str, Handler]:
        """Return the handlers by the request's name.

        An app that wants a name already taken, by the host or an earlier app, is refused.
        """
        handlers: dict[str, Handler] = {}
        for hosted in self.apps.apps:
            if hosted.info is None:
                continue
            doubled = sorted(hosted.info.requests.keys() & {*taken_names, *handlers})
            if doubled:
                hosted.refuse(
                    f"App {hosted.name} would answer {', '.join(doubled)}, which others answer "
                    "here already; names of requests are unique on a host."
                )
            for name, kind in hosted.info.requests.items():
                if name not in doubled:
                    handlers[name] = partial(self._handle, hosted, kind)
        return handlers

    async def _handle(
        self, hosted: HostedApp, kind: RequestKind, request: Request, token: str, deadline_s: float
    ) -> object:
        hosted.tally.request_count += 1
        app = hosted.at_work()
        asked = Asked(request.name, self._whom(kind, request, token), _arguments(kind, request))
        try:
            wanted = app.history_wanted(self.apps.open_view(hosted), asked)
        except MeterTwinError:
            raise
        except Exception as error:
            raise _broke(hosted, request, error) from error
        history = {} if wanted is None else await self.past.fetch(wanted, deadline_s)
        if kind.effect is RequestEffect.CHANGES:
            value = self.apps.change(hosted, asked, history)
            await self.settle()
            return value
        view = self.apps.open_view(hosted)
        try:
            if wanted is None:
                return app.answer(view, asked, history).value
            return (await asyncio.to_thread(app.answer, view, asked, history)).value
        except MeterTwinError:
            raise
        except Exception as error:
            raise _broke(hosted, request, error) from error

    def _whom(self, kind: RequestKind, request: Request, token: str) -> MeterId | None:
        if kind.is_of_group:
            check_whole_group(request, token)
            return None
        meter = meter_of(request, token)
        self.group.row(meter)
        return meter


def _arguments(kind: RequestKind, request: Request) -> object:
    """Return the arguments as the app's class; raises ArgumentsError."""
    names = [each.name for each in fields(kind.arguments)]
    unknown = sorted(request.arguments.keys() - set(names))
    takes = f"It takes {', '.join(names) or 'none'}."
    if unknown:
        raise ArgumentsError(
            f"Request {request.name} has no argument {', '.join(unknown)}. {takes}",
            name=request.name,
        )
    try:
        return msgspec.convert(request.arguments, kind.arguments, strict=False)
    except msgspec.ValidationError as error:
        raise ArgumentsError(
            f"Arguments of {request.name} do not fit: {error}. {takes}", name=request.name
        ) from None


def _broke(hosted: HostedApp, request: Request, error: Exception) -> AppDownError:
    """Return what a caller hears of a fault in answering; nothing changed, the app goes on."""
    hosted.note_error(request.name, error)
    return AppDownError(
        f"App {hosted.name} broke in answering {request.name}: {type(error).__name__}: {error}",
        app=hosted.name,
    )
