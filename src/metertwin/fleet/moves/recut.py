"""Cutting a running group otherwise: from one container into shares, into others, or together.

Every owner holds what is asked and settles at one place of the stream; the hosts of the new lots
compose their first checkpoints from that; then one write decides. Until it, whatever fails or
whoever dies, the owners go on by themselves after some seconds; after it, the hosts pass the claims
on and take them by themselves. `metertwin.bus.cuts` says why both can not happen.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from metertwin.bus.cuts import CutOrder, Cuts
from metertwin.bus.messages import Request
from metertwin.bus.ownership import Bequest
from metertwin.bus.requests import ask
from metertwin.bus.subjects import of_host
from metertwin.core.errors import (
    ConflictError,
    DeadlineError,
    MeterTwinError,
    UnavailableError,
)
from metertwin.core.ids import GroupId, LotId, share_of
from metertwin.fleet.hosts import site_of
from metertwin.fleet.moves.migration import Mover
from metertwin.twins.control import (
    Composed,
    CutObjections,
    HeldAt,
    PassedOn,
    Settled,
    Standing,
    Taken,
)
from metertwin.twins.settings import GroupSettings

_ORDER_WITHIN_S = 8.0
_HOLD_AGAIN_S = 0.5  # an owner that hears nothing for some seconds goes on
_PREPARE_WITHIN_S = 60.0

Reply = TypeVar("Reply")


class NotCuttableError(ConflictError):
    """The group cannot be cut otherwise; nothing was begun."""

    code = "conflict.not_cuttable"


class Recut(msgspec.Struct, frozen=True):
    """What cutting a group otherwise did.

    Attributes:
        before: Its lots and their owners before.
        after: The same afterwards.
        blackout_ms: From the first order to hold until all new owners could answer, in ms: the
            longest anybody waited for an answer because of it.
        waited_count: Requests that came meanwhile and were passed on.
    """

    group: GroupId
    before: dict[LotId, str]
    after: dict[LotId, str]
    blackout_ms: float
    waited_count: int


@dataclass(frozen=True, slots=True)
class Recutter:
    """Cuts groups of one home otherwise.

    Args:
        mover: What reaches hosts and home.
    """

    mover: Mover

    async def recut(
        self, before: GroupSettings, after: GroupSettings, hosts: Mapping[LotId, str]
    ) -> Recut:
        """Cut a group otherwise; who asks meanwhile waits.

        Args:
            before: The group as it is cut.
            after: The same as it shall be.
            hosts: Who shall own each of its lots then. They run, and whoever of them shall have a
                lot of a name there is already is another than its owner.

        Raises:
            NotCuttableError: An app, or a twin that no share would have, is against it.
            CutGivenUpError: An owner waited too long; the group goes on as it was.
            ConflictError: Somebody else cuts it at this moment.
            UnavailableError: A host does not answer; the group goes on as it was, or, once it is
                decided, is taken by the new owners as soon as they can.
        """
        group, cuts = before.id, Cuts(self.mover.at_home, before.id)
        await self.check(before, after)
        old = await self._owners(before)
        self._say(f"{group} is about to be cut into {_counted(hosts)}")
        await self._prepare(old, before, after, hosts)
        order = await cuts.begin(before.twins_per_container, after.twins_per_container, old, hosts)
        began_s = time.monotonic()
        try:
            async with self._kept_held(order):
                left = await self._settle(order)
                await self._compose(order)
            self._say(f"deciding the cut of {group}")
            order = await cuts.decide(order.number, left)
        except MeterTwinError:
            # If it cannot be noted, the owners note it themselves before they go on.
            with contextlib.suppress(MeterTwinError):
                await cuts.give_up(order.number)
            raise
        self._say(f"the cut of {group} is decided")
        await cuts.pass_claims(order)
        self._say(f"the claims of {group} are passed on")
        await self._take(order)
        blackout_ms = round((time.monotonic() - began_s) * 1e3, 3)
        self._say(f"{group} is served in {_counted(hosts)} after {blackout_ms:.0f} ms")
        return Recut(group, old, dict(hosts), blackout_ms, await self._pass_on(order))

    async def check(self, before: GroupSettings, after: GroupSettings) -> None:
        """Return if a group can be cut otherwise; raises as `recut`, and NobodyOwnsError."""
        size, old = after.twins_per_container, await self._owners(before)
        told = await _all(
            self._order(host, "cut_objections", CutObjections, group=lot, size=size)
            for lot, host in old.items()
        )
        reasons = list(dict.fromkeys(reason for each in told for reason in each.reasons))
        if reasons:
            raise NotCuttableError(
                f"Group {after.id} cannot be cut otherwise: {' '.join(reasons)}", group=after.id
            )

    async def _owners(self, before: GroupSettings) -> dict[LotId, str]:
        return {lot.lot: (await self.mover.owner_of(lot.lot))[0] for lot in before.shares()}

    async def _prepare(
        self,
        old: Mapping[LotId, str],
        before: GroupSettings,
        after: GroupSettings,
        hosts: Mapping[LotId, str],
    ) -> None:
        """Have done what can be done before anybody waits."""
        await _all(
            self._order(host, "prepare", Standing, _PREPARE_WITHIN_S, group=lot)
            for lot, host in old.items()
        )
        await _all(
            self._order(
                *(hosts[lot.lot], "expect", Standing, _PREPARE_WITHIN_S),
                settings=lot,
                olds=sorted(old),
                size=before.twins_per_container,
                domain=self.mover.at_home.domain,
            )
            for lot in after.shares()
        )

    async def _settle(self, order: CutOrder) -> dict[LotId, Bequest]:
        """Bring all owners to one place of the stream; return what they commanded until then."""
        number = order.number
        # Who speaks for the group first: what it asks of the others they still answer.
        lots = sorted(order.old, key=share_of)
        self._say(f"holding {lots[0]}")
        held = [await self._order(order.old[lots[0]], "hold", HeldAt, group=lots[0], number=number)]
        held += await _all(
            self._order(order.old[lot], "hold", HeldAt, group=lot, number=number)
            for lot in lots[1:]
        )
        until = max(each.stream_sequence for each in held)
        self._say(f"settling {', '.join(lots)} at {until}")
        settled = await _all(
            self._order(
                *(order.old[lot], "settle", Settled),
                group=lot,
                number=number,
                until_sequence=until,
            )
            for lot in lots
        )
        return {lot: each.left for lot, each in zip(lots, settled, strict=True)}

    @contextlib.asynccontextmanager
    async def _kept_held(self, order: CutOrder) -> AsyncIterator[None]:
        """Let the owners know that somebody is at work."""

        async def hold(lot: LotId, host: str) -> None:
            while True:
                await asyncio.sleep(_HOLD_AGAIN_S)
                with contextlib.suppress(MeterTwinError):  # the order that needs it tells
                    await self._order(host, "hold", HeldAt, group=lot, number=order.number)

        holding = [asyncio.create_task(hold(lot, host)) for lot, host in order.old.items()]
        try:
            yield
        finally:
            for task in holding:
                task.cancel()
            await asyncio.gather(*holding, return_exceptions=True)

    async def _compose(self, order: CutOrder) -> None:
        self._say(f"composing {', '.join(sorted(order.new))}")
        await _all(
            self._order(host, "compose", Composed, group=lot, number=order.number)
            for lot, host in order.new.items()
        )

    async def _take(self, order: CutOrder) -> None:
        await _all(self._order(host, "take", Taken, group=lot) for lot, host in order.new.items())

    async def _pass_on(self, order: CutOrder) -> int:
        waited_count = 0
        for lot, host in order.old.items():
            try:
                passed = await self._order(host, "pass_on", PassedOn, group=lot)
                waited_count += passed.requests_count
            except (UnavailableError, DeadlineError) as error:
                # It is cut all the same; the old host passes on by itself, or is gone.
                self._say(f"who waited for {lot} is passed on later: {error}")
        return waited_count

    async def _order(
        self,
        host: str,
        name: str,
        reply: type[Reply],
        within_s: float = _ORDER_WITHIN_S,
        **arguments: object,
    ) -> Reply:
        site = site_of(host, self.mover.sites)
        if site is None:
            raise UnavailableError(f"{host} is the twin host of no known site.", host=host)
        plain = msgspec.to_builtins(arguments)
        return await ask(
            self.mover.cloud, of_host(site, host), Request(name, plain), within_s, reply
        )

    def _say(self, words: str) -> None:
        self.mover.say(words)


async def _all(orders: Iterable[Coroutine[object, object, Reply]]) -> list[Reply]:
    """Return the answers of all, or raise the first that failed when all are over."""
    answers = await asyncio.gather(*orders, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def _counted(hosts: Mapping[LotId, str]) -> str:
    return f"{len(hosts)} container{'' if len(hosts) == 1 else 's'}"
