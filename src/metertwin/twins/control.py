"""What the fleet tells a twin host: take a group, hand one over, pass on who waited.

A group here is what is owned as one: a whole group, or a share of one, as `feeder-1/3`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from metertwin.bus.messages import Request
from metertwin.bus.ownership import Bequest
from metertwin.bus.requests import Handler
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import Lot, LotId
from metertwin.twins.apps.objections import Objections, objections_of
from metertwin.twins.arguments import arguments_of
from metertwin.twins.host import TwinHost
from metertwin.twins.settings import GroupSettings


class NoSuchGroupError(NotFoundError):
    """The host was never told of the group."""

    code = "not_found.group_settings"


class _Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: LotId


class _HandOver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: LotId
    to: str


class _CutObjections(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: LotId
    size: int


class _CutLot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: LotId
    number: int


class _Settle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: LotId
    number: int
    until_sequence: int


class _Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    settings: GroupSettings
    olds: list[LotId]
    size: int
    domain: str


class _Know(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    settings: GroupSettings
    domain: str


class CutObjections(msgspec.Struct, frozen=True):
    """Why a lot cannot be cut otherwise, in sentences; none if it can."""

    reasons: list[str]


class HeldAt(msgspec.Struct, frozen=True):
    """A lot is held, and so far in the stream."""

    stream_sequence: int


class Settled(msgspec.Struct, frozen=True):
    """A lot settled; what its owner commanded until then."""

    left: Bequest


class Composed(msgspec.Struct, frozen=True):
    """The first checkpoint of a lot that shall be is written."""

    twins_count: int


class Taken(msgspec.Struct, frozen=True):
    """A group was taken.

    Attributes:
        epoch: Of the new claim.
        took_ms: From the order to the first answer it could give, in ms.
    """

    group: LotId
    host: str
    epoch: int
    took_ms: float


class Given(msgspec.Struct, frozen=True):
    """A group was handed over.

    Attributes:
        epoch: Of the claim given to the next host.
        took_ms: From the order until the claim was given, in ms.
    """

    group: LotId
    host: str
    epoch: int
    took_ms: float


class PassedOn(msgspec.Struct, frozen=True):
    """Who waited was passed on."""

    requests_count: int


class Standing(msgspec.Struct, frozen=True):
    """How a host stands: the groups it owns, those it could take, and those whose callers wait."""

    host: str
    owned: list[LotId]
    known: list[LotId]
    leaving: list[LotId] = []  # given away, and who waited not yet passed on


@dataclass(slots=True, eq=False)
class HostControl:
    """The fleet's orders to a host.

    Args:
        name: Of the host.
        engines: One for each site whose groups it may own.
    """

    name: str
    engines: Sequence[TwinHost]

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the order's name."""
        return {
            "prepare": self.prepare,
            "objections": self.objections,
            "take": self.take,
            "hand_over": self.hand_over,
            "pass_on": self.pass_on,
            "standing": self.standing,
            "cut_objections": self.cut_objections,
            "hold": self.hold,
            "settle": self.settle,
            "know": self.know,
            "expect": self.expect,
            "compose": self.compose,
        }

    async def prepare(self, request: Request, _token: str, _deadline_s: float) -> Standing:
        """Get ready to take a group soon."""
        engine, settings = self._of(arguments_of(request, _Group).group)
        await engine.prepare(settings)
        return self._standing()

    async def objections(self, request: Request, _token: str, _deadline_s: float) -> Objections:
        """Say what a group's apps have against another image just now; an order does not ask."""
        engine, settings = self._of(arguments_of(request, _Group).group)
        hosted = engine.hosted.get(settings.lot)
        return Objections() if hosted is None else objections_of(hosted.apps)

    async def take(self, request: Request, _token: str, _deadline_s: float) -> Taken:
        """Own a group from now on."""
        began_s = time.monotonic()
        engine, settings = self._of(arguments_of(request, _Group).group)
        hosted = await engine.take(settings)
        return Taken(settings.lot, self.name, hosted.epoch, _ms_since(began_s))

    async def hand_over(self, request: Request, _token: str, _deadline_s: float) -> Given:
        """Make another host the owner."""
        began_s = time.monotonic()
        wanted = arguments_of(request, _HandOver)
        engine, settings = self._of(wanted.group)
        epoch = await engine.hand_over(settings.lot, wanted.to)
        return Given(settings.lot, self.name, epoch, _ms_since(began_s))

    async def pass_on(self, request: Request, _token: str, _deadline_s: float) -> PassedOn:
        """Send those who waited to the new owner."""
        engine, settings = self._of(arguments_of(request, _Group).group)
        return PassedOn(await engine.pass_on(settings.lot))

    async def standing(self, _request: Request, _token: str, _deadline_s: float) -> Standing:
        """Say what the host owns and knows."""
        return self._standing()

    async def cut_objections(self, request: Request, _token: str, _s: float) -> CutObjections:
        """Say why a lot cannot be cut otherwise."""
        wanted = arguments_of(request, _CutObjections)
        engine, _ = self._of(wanted.group)
        return CutObjections(engine.cut_desk.objections(wanted.group, wanted.size))

    async def hold(self, request: Request, _token: str, _deadline_s: float) -> HeldAt:
        """Answer and apply nothing of a lot until it is decided how its group is cut."""
        wanted = arguments_of(request, _CutLot)
        engine, _ = self._of(wanted.group)
        return HeldAt(await engine.cut_desk.hold(wanted.group, wanted.number))

    async def settle(self, request: Request, _token: str, _deadline_s: float) -> Settled:
        """Bring a lot that is held to a place of the stream and write its last checkpoint."""
        wanted = arguments_of(request, _Settle)
        desk = self._of(wanted.group)[0].cut_desk
        return Settled(await desk.settle(wanted.group, wanted.number, wanted.until_sequence))

    async def know(self, request: Request, _token: str, _deadline_s: float) -> Standing:
        """Be ready to take a lot that came about after the host's start."""
        wanted = arguments_of(request, _Know)
        self._engine(wanted.domain).cut_desk.know(wanted.settings)
        return self._standing()

    async def expect(self, request: Request, _token: str, _deadline_s: float) -> Standing:
        """Get ready to be given a lot of a group that is about to be cut otherwise."""
        wanted = arguments_of(request, _Expect)
        desk = self._engine(wanted.domain).cut_desk
        await desk.expect(wanted.settings, wanted.olds, wanted.size)
        return self._standing()

    async def compose(self, request: Request, _token: str, _deadline_s: float) -> Composed:
        """Compose the first checkpoint of a lot that this host expects."""
        wanted = arguments_of(request, _CutLot)
        desk = self._of(wanted.group)[0].cut_desk
        return Composed(await desk.compose(wanted.group, wanted.number))

    def _engine(self, domain: str) -> TwinHost:
        """Return the engine for groups at home in a domain; the site's own has none."""
        return next((each for each in self.engines if each.bus.domain == domain), self.engines[0])

    def _standing(self) -> Standing:
        engines = self.engines
        owned = sorted(LotId(lot) for each in engines for lot in (*each.hosted, *each.held))
        leaving = sorted(LotId(lot) for engine in engines for lot in engine.leaving)
        known = sorted(LotId(lot) for engine in engines for lot in engine.known)
        return Standing(self.name, owned, known, leaving)

    def _of(self, group: Lot) -> tuple[TwinHost, GroupSettings]:
        for engine in self.engines:
            if group in engine.known:
                return engine, engine.known[group]
        raise NoSuchGroupError(
            f"Host {self.name} was never told of group {group[:64]!r}; its site file lists "
            f"{', '.join(self._standing().known) or 'none'}.",
            group=group[:64],
        )


def _ms_since(began_s: float) -> float:
    return round((time.monotonic() - began_s) * 1e3, 3)
