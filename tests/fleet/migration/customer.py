"""Who asks a group all the time, and notes who answered under which epoch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from tests.bus.sites import EDGE_GROUP
from tests.fleet.migration.bench import Bench
from tests.fleet.migration.gateway import METERS

from metertwin.bus.connection import Bus
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.core.command import CommandOutcome
from metertwin.core.errors import MeterTwinError
from metertwin.core.twin import LedgerLine

Answer = TypeVar("Answer")


class Answered(NamedTuple):
    """One answer, and the claim's epoch before it was asked for and after it came."""

    host: str
    epoch: int
    epoch_before: int
    epoch_after: int


@dataclass
class Customer:
    """A client at one of the sites."""

    bench: Bench
    bus: Bus
    answered: list[Answered] = field(default_factory=list)
    refused: list[MeterTwinError] = field(default_factory=list)

    async def ask(
        self,
        name: str,
        reply_type: type[Answer],
        meter: str = "_",
        within_s: float = 10.0,
        **arguments: object,
    ) -> Answer:
        to = subject(EDGE_GROUP, Kind.REQUEST, meter)
        return await ask(self.bus, to, Request(name, arguments), within_s, reply_type)

    async def command(self, number: int, within_s: float = 10.0) -> CommandOutcome:
        """Ask for a command that is known by its number."""
        return await self.ask(
            "command",
            CommandOutcome,
            "a",
            within_s,
            id=f"c{number}",
            kind="reconnect",
            issued_by="test",
        )

    async def ask_once(self, within_s: float = 10.0) -> None:
        """Ask who hosts the group, and note what comes."""
        before = (await self.bench.claim()).epoch
        try:
            facts = await self.ask("host", dict, within_s=within_s)
        except MeterTwinError as error:
            self.refused.append(error)
            return
        after = (await self.bench.claim()).epoch
        self.answered.append(Answered(facts["host"], facts["epoch"], before, after))

    @contextlib.asynccontextmanager
    async def asking(self, callers_count: int = 4) -> AsyncIterator[None]:
        """Ask all the time, several at once; at the end all that was asked is answered."""
        is_over = asyncio.Event()

        async def ask_on() -> None:
            while not is_over.is_set():
                await self.ask_once()
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as callers:
            for _ in range(callers_count):
                callers.create_task(ask_on())
            try:
                yield
            finally:
                is_over.set()

    def check_answers(self) -> None:
        """Fail unless each answer came from who owned the group while it was asked for."""
        for each in self.answered:
            assert each.epoch_before <= each.epoch <= each.epoch_after

    async def until_balanced(self, within_s: float = 60.0) -> None:
        """Return when every reading sent is counted, each once; fail when one is counted twice."""
        sent_count = self.bench.street.sent_count
        expected = [LedgerLine(meter, sent_count, sent_count, 0, 0) for meter in METERS]
        lines: list[LedgerLine] = []
        try:
            async with asyncio.timeout(within_s):
                while lines != expected:
                    with contextlib.suppress(MeterTwinError):
                        lines = await self.ask("ledger", list[LedgerLine], within_s=2.0)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            assert lines == expected, f"{lines} is not {expected}"
