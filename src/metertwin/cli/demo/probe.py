"""What the demonstration asks of its own site: how the twins stand, the ledgers, the latencies.

Requests are sent at planned moments and timed from those, so that a site that stalls cannot hide
its stall by delaying the questions.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import numpy as np

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.clock import Clock
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.twin import LedgerLine, TwinSummary, UsageNow
from metertwin.twins.settings import GroupSettings

Answer = TypeVar("Answer")

_ASK_WITHIN_S = 5.0
_RECENT_COUNT = 20_000


class GroupFacts(msgspec.Struct, frozen=True):
    """What the probe reads of a group's `host` answer."""

    twins: int
    in_step: int
    bytes_per_twin: float


class _Page(msgspec.Struct, frozen=True):
    total: int
    items: list[TwinSummary]


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over the ledgers of all groups."""

    received: int = 0
    taken: int = 0
    duplicate: int = 0
    missing: int = 0

    def plus(self, line: LedgerLine) -> "Tally":
        """Return the sum with one more line."""
        return Tally(
            self.received + line.received,
            self.taken + line.taken,
            self.duplicate + line.duplicate,
            self.missing + line.missing,
        )


@dataclass(slots=True)
class Probe:
    """Asks a site's groups over the bus, as any client would.

    Attributes:
        cut_off: Groups whose site cannot be reached just now, as everybody knows: who asks them in
            vain is counted in `cut_off_count` and not as failed.
    """

    bus: Bus
    clock: Clock
    groups: Sequence[GroupSettings]
    latencies_ms: list[float] = field(default_factory=list)
    failed_count: int = 0
    cut_off: set[GroupId] = field(default_factory=set)
    cut_off_count: int = 0

    async def in_step(self) -> GroupFacts:
        """Return twins and twins in step over all groups; a group not yet hosted counts as none."""
        answers = await asyncio.gather(*(self._facts(group.id) for group in self.groups))
        known = [answer for answer in answers if answer is not None]
        return GroupFacts(
            twins=sum(len(group.meters) for group in self.groups),
            in_step=sum(answer.in_step for answer in known),
            bytes_per_twin=max((answer.bytes_per_twin for answer in known), default=0.0),
        )

    async def tally(self, kind: Kind) -> Tally:
        """Return the sums of the twin host's (REQUEST) or the recorder's (HISTORY) ledgers."""
        return await self.tally_of(kind, self.groups)

    async def tally_of(self, kind: Kind, groups: Sequence[GroupSettings]) -> Tally:
        """Return the sums of some groups' ledgers; see `tally`."""
        tally = Tally()
        for group in groups:
            for line in await self._ask(group.id, kind, Request("ledger"), list[LedgerLine]):
                tally = tally.plus(line)
        return tally

    async def page(self, limit: int) -> list[TwinSummary]:
        """Return the first twins, for people to look at."""
        request = Request("twins", {"limit": limit})
        return (await self._ask(self.groups[0].id, Kind.REQUEST, request, _Page)).items

    async def ask_at_rate(self, per_s: float) -> None:
        """Ask `usage_now` of one twin after the other, open loop, until cancelled."""
        meters = [(group.id, meter) for group in self.groups for meter in group.meters]
        number, running = 0, set[asyncio.Task[None]]()
        start_s = time.perf_counter()  # the event loop's own time counts whole milliseconds
        while meters:
            planned_s = start_s + number / per_s
            await asyncio.sleep(max(planned_s - time.perf_counter(), 0.0))
            group, meter = meters[number % len(meters)]
            task = asyncio.create_task(self._time_one(group, meter, planned_s))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1

    def percentiles_ms(self) -> dict[str, float | None]:
        """Return p50, p95 and p99 of the requests timed so far, in ms; a failure is infinite."""
        if not self.latencies_ms:
            return {"p50": None, "p95": None, "p99": None}
        times = np.array(self.latencies_ms)
        # A value that was measured: between two failures, which are infinite, nothing lies.
        return {
            f"p{percent}": round(float(np.percentile(times, percent, method="higher")), 3)
            for percent in (50, 95, 99)
        }

    async def _time_one(self, group: GroupId, meter: MeterId, planned_s: float) -> None:
        to = subject(group, Kind.REQUEST, meter)
        try:
            await ask(self.bus, to, Request("usage_now"), _ASK_WITHIN_S, UsageNow)
        except MeterTwinError:
            if group in self.cut_off:
                self.cut_off_count += 1
                return
            self.failed_count += 1
            self.latencies_ms.append(float("inf"))
            return
        self.latencies_ms.append((time.perf_counter() - planned_s) * 1e3)
        del self.latencies_ms[:-_RECENT_COUNT]

    async def _facts(self, group: GroupId) -> GroupFacts | None:
        try:
            return await self._ask(group, Kind.REQUEST, Request("host"), GroupFacts)
        except MeterTwinError:
            return None

    async def _ask(
        self, group: GroupId, kind: Kind, request: Request, reply_type: type[Answer]
    ) -> Answer:
        return await ask(self.bus, subject(group, kind), request, _ASK_WITHIN_S, reply_type)
