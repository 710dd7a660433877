"""The answers gate of a rollout: what the old image answered the new one answers as well, alike.

A customer's questions, asked with a customer's key, before the hand-over and after it. What a meter
said of a moment does not change by another image; what apps answer may, and there an answer instead
of an error is enough: what they conclude the rehearsal compares.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from metertwin.apps.app import RequestEffect
from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import WHOLE_GROUP, Kind, of_share, subject
from metertwin.core.errors import ConflictError, DeadlineError, MeterTwinError
from metertwin.core.ids import LotId, MeterId, group_of, share_of
from metertwin.core.twin import LedgerLine, TwinDocument, UsageNow

_ASK_WITHIN_S = 5.0
_TRIES_COUNT = 3
_SAMPLE_COUNT = 3  # meters of a group


class GateShutError(ConflictError):
    """The new image does worse than the old one."""

    code = "conflict.rollout_gate"


class _Asked(msgspec.Struct, frozen=True):
    effect: str
    is_of_group: bool = False


class _App(msgspec.Struct, frozen=True):
    name: str
    requests: dict[str, _Asked] = {}


class _Facts(msgspec.Struct, frozen=True):
    apps: list[_App] = []


class _Summary(msgspec.Struct, frozen=True):
    meter: MeterId


class _Page(msgspec.Struct, frozen=True):
    total: int
    items: list[_Summary]


class _Question(NamedTuple):
    name: str
    meter: str = WHOLE_GROUP
    reply_type: Any = object

    @property
    def words(self) -> str:
        """The question in a sentence."""
        return self.name if self.meter == WHOLE_GROUP else f"{self.name} of meter {self.meter}"


@dataclass(slots=True)
class Customer:
    """Asks groups what customers ask.

    Args:
        bus: A connection of the client role to the site's bus.
        ending_apps: Apps that shall not be at work any more, and are not asked.
    """

    bus: Bus
    ending_apps: frozenset[str] = frozenset()
    _answered: dict[LotId, dict[_Question, Any]] = field(default_factory=dict)

    async def remember(self, group: LotId) -> None:
        """Take note of what a group answers; what it does not answer now it need not later.

        Raises:
            MeterTwinError: It does not list its twins.
        """
        answered = self._answered[group] = {}
        for question in await self._questions(group):
            try:
                answered[question] = await self._ask(group, question)
            except MeterTwinError:
                continue

    async def check(self, group: LotId) -> None:
        """Ask again.

        Raises:
            GateShutError: What was answered before is not answered any more, or a meter is said to
                have told something else.
        """
        for question, before in self._answered.get(group, {}).items():
            try:
                now = await self._ask(group, question)
            except MeterTwinError as error:
                raise GateShutError(
                    f"Group {group} answered {question.words} before, and from the new image with "
                    f"an error: {error}",
                    group=group,
                ) from error
            if isinstance(before, TwinDocument):
                _check_alike(before, now)

    async def _questions(self, group: LotId) -> list[_Question]:
        page = await self._ask(group, _Question("twins", reply_type=_Page))
        facts = await self._ask(group, _Question("host", reply_type=_Facts))
        meters = [each.meter for each in page.items[:_SAMPLE_COUNT]]
        apps = [app for app in facts.apps if app.name not in self.ending_apps]
        return list(_questions(meters, apps))

    async def _ask(self, group: LotId, question: _Question) -> Any:  # noqa: ANN401 - as asked for
        whole = of_share(share_of(group))
        meter = whole if question.meter == WHOLE_GROUP else question.meter
        to = subject(group_of(group), Kind.REQUEST, meter)
        for left_count in reversed(range(_TRIES_COUNT)):
            try:
                return await ask(
                    self.bus, to, Request(question.name), _ASK_WITHIN_S, question.reply_type
                )
            except DeadlineError:
                if not left_count:
                    raise
        raise AssertionError  # the last try returns or raises


def _questions(meters: list[MeterId], apps: list[_App]) -> Iterator[_Question]:
    yield _Question("twins", reply_type=_Page)
    yield _Question("ledger", reply_type=list[LedgerLine])
    for meter in meters:
        yield _Question("twin", meter, TwinDocument)
        yield _Question("usage_now", meter, UsageNow)
    for app in apps:
        for name, asked in sorted(app.requests.items()):
            if asked.effect != RequestEffect.READS:
                continue
            if asked.is_of_group:
                yield _Question(name)
            elif meters:
                yield _Question(name, meters[0])


def _check_alike(before: TwinDocument, now: TwinDocument) -> None:
    """Raise if a meter's register is lost, has another value at the same moment, or is older."""
    for name, was in before.reported.items():
        value = now.reported.get(name)
        if value is None:
            told = "nothing"
        elif value.captured_at < was.captured_at:
            told = f"{value.value} {value.unit} of {value.captured_at:%H:%M:%S}, which is older"
        elif value.captured_at == was.captured_at and value.value != was.value:
            told = f"{value.value} {value.unit} of the same moment"
        else:
            continue
        raise GateShutError(
            f"Meter {before.meter} said {was.value} {was.unit} of {name} at "
            f"{was.captured_at:%H:%M:%S}; the new image answers {told}.",
            meter=before.meter,
        )
