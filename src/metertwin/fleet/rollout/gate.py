"""The health gate of a rollout: is a group at least as well as it was before?"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, of_share, subject
from metertwin.core.errors import DeadlineError, MeterTwinError
from metertwin.core.ids import LotId, group_of, share_of
from metertwin.fleet.local.containers import Containers
from metertwin.fleet.local.endings import why_ended
from metertwin.fleet.rollout.answers import Customer, GateShutError
from metertwin.fleet.runtimes.port import ContainerStatus, Health, Phase

_ASK_WITHIN_S = 2.0
_LOOK_S = 0.25
_SILENT_MOST_COUNT = 3


class _App(msgspec.Struct, frozen=True):
    name: str
    standing: str


class _Facts(msgspec.Struct, frozen=True):
    host: str
    in_step: int
    stale: int
    apps: list[_App] = []

    @property
    def at_work(self) -> set[str]:
        return {app.name for app in self.apps if app.standing == "running"}


@dataclass(slots=True)
class Watch:
    """Looks at groups after their hand-over.

    Args:
        containers: Where the new hosts are parts.
        customer: Asks what customers ask.
        ending_apps: Apps that shall not be at work any more.

    Attributes:
        parts: Those that are new hosts.
    """

    containers: Containers
    customer: Customer
    ending_apps: frozenset[str] = frozenset()
    parts: list[str] = field(default_factory=list)
    _before: dict[LotId, _Facts] = field(default_factory=dict)

    async def remember(self, group: LotId) -> None:
        """Take note of how a group is before it moves.

        Raises:
            UnavailableError: It does not answer.
        """
        self._before[group] = await self._facts(group)
        await self.customer.remember(group)

    async def check_answers(self, groups: Sequence[LotId]) -> None:
        """Ask what was answered before; raises as `look_on`."""
        await self.look_on(groups, 0.0)  # says more of an app than that it does not answer
        for group in groups:
            await self.customer.check(group)

    async def look_on(self, groups: Sequence[LotId], watch_s: float) -> None:
        """Watch for a while, and look once at least.

        Raises:
            GateShutError: The host died or is unwell, an app stopped, twins fell out of step, or a
                group does not answer.
        """
        end_s = time.monotonic() + watch_s
        silent_counts: Counter[LotId] = Counter()  # in a row, of each group: others may answer
        while True:
            await self._look_at_hosts()
            for group in groups:
                try:
                    self._compare(group, await self._facts(group))
                    silent_counts[group] = 0
                except DeadlineError as error:
                    silent_counts[group] += 1
                    if silent_counts[group] >= _SILENT_MOST_COUNT:
                        raise GateShutError(f"Group {group} does not answer: {error}") from error
                except GateShutError:
                    raise
                except MeterTwinError as error:
                    raise GateShutError(f"Group {group} does not answer: {error}") from error
            if time.monotonic() >= end_s:
                return
            await asyncio.sleep(_LOOK_S)

    async def _look_at_hosts(self) -> None:
        statuses = await self.containers.statuses()
        for part in self.parts:
            if (status := statuses.get(part)) is None:
                raise GateShutError(f"{part} is gone.", part=part)
            await self._look_at_host(part, status)

    async def _look_at_host(self, part: str, status: ContainerStatus) -> None:
        if status.phase is not Phase.RUNNING or status.restart_count:
            raise GateShutError(
                f"{part} is {status.phase} after {status.restart_count} restarts: "
                f"{await why_ended(self.containers, part, status)}",
                part=part,
            )
        if status.health is Health.UNHEALTHY:
            raise GateShutError(f"{part} hangs: its health check fails.", part=part)

    def _compare(self, group: LotId, now: _Facts) -> None:
        before = self._before.get(group)
        if before is None:
            return
        if stopped := sorted(before.at_work - now.at_work - self.ending_apps):
            raise GateShutError(
                f"In group {group} the new image does not run {', '.join(stopped)}, which was at "
                "work before.",
                group=group,
            )
        if now.in_step < before.in_step:
            raise GateShutError(
                f"In group {group} {now.in_step} twins are in step, {before.in_step} were before.",
                group=group,
            )

    async def _facts(self, group: LotId) -> _Facts:
        to = subject(group_of(group), Kind.REQUEST, of_share(share_of(group)))
        return await ask(self.customer.bus, to, Request("host"), _ASK_WITHIN_S, _Facts)
