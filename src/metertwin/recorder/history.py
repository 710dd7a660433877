"""The questions about one group's history, as they come over the bus."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

import msgspec
import pyarrow as pa

from metertwin.bus.intervals import pack_table
from metertwin.bus.messages import Request
from metertwin.bus.requests import Handler
from metertwin.bus.subjects import WHOLE_GROUP
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.obis import Obis
from metertwin.recorder.intervals import Intervals, interval_table
from metertwin.store.formats import to_arrow_ipc, to_csv, to_json_columns
from metertwin.store.port import DEFAULT_ROWS, HistoryStore, ResampleHow

Form = Literal["columns", "arrow", "csv"]


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `range`."""

    obis: str
    start: datetime
    end: datetime
    period_s: int | None = None
    limit: int = DEFAULT_ROWS
    format: Form = "columns"


class Resample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `resample`."""

    obis: str
    start: datetime
    end: datetime
    every_s: int
    how: ResampleHow
    period_s: int | None = None
    format: Form = "columns"


class LatestBefore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `latest_before`."""

    obis: str
    at: datetime
    period_s: int | None = None
    format: Form = "columns"


class Events(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `events`."""

    start: datetime
    end: datetime
    limit: int = 1_000
    format: Form = "columns"


class Outputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `outputs`; app and name None: any."""

    start: datetime
    end: datetime
    app: str | None = None
    name: str | None = None
    limit: int = 1_000
    newest_revision: bool = True
    format: Form = "columns"


class Commands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `commands`."""

    limit: int = 1_000
    format: Form = "columns"


class Registers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `registers`."""

    format: Form = "columns"


Answer = TypeVar("Answer")
Arguments = TypeVar("Arguments")
# Over the bus a range has what a reader needs; Arrow and CSV also say when and as which number
# a reading was received.
_BRIEF = ["captured_at_us", "integer", "quality", "origin"]


@dataclass(frozen=True, slots=True)
class GroupHistory:
    """Answers for one group.

    Args:
        group: Whose history.
        store: What is asked.
        threads: Where questions wait for the store, so that the bus goes on.
        maximal_power_w: See `RecorderSettings`.
    """

    group: GroupId
    store: HistoryStore
    threads: Executor
    maximal_power_w: float

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handler of each request by its name."""
        return {
            "range": self._range,
            "resample": self._resample,
            "latest_before": self._latest_before,
            "intervals": self._intervals,
            "registers": self._registers,
            "events": self._events,
            "outputs": self._outputs,
            "commands": self._commands,
            "ledger": self._ledger,
        }

    async def _range(self, request: Request, meter: str, _deadline_s: float) -> object:
        asked = arguments(request, Range)

        def answer() -> object:
            table = self.store.read_range(
                MeterId(meter),
                Obis.parse(asked.obis),
                asked.start,
                asked.end,
                period_s=asked.period_s,
                limit=asked.limit,
            )
            return rendered(table.select(_BRIEF) if asked.format == "columns" else table, asked)

        return await self._in_thread(answer)

    async def _resample(self, request: Request, meter: str, _deadline_s: float) -> object:
        asked = arguments(request, Resample)

        def answer() -> object:
            table = self.store.resample(
                MeterId(meter),
                Obis.parse(asked.obis),
                asked.start,
                asked.end,
                every_s=asked.every_s,
                how=asked.how,
                period_s=asked.period_s,
            )
            return rendered(table, asked)

        return await self._in_thread(answer)

    async def _latest_before(self, request: Request, meter: str, _deadline_s: float) -> object:
        asked = arguments(request, LatestBefore)

        def answer() -> object:
            table = self.store.latest_before(
                MeterId(meter), Obis.parse(asked.obis), asked.at, period_s=asked.period_s
            )
            return rendered(table, asked)

        return await self._in_thread(answer)

    async def _intervals(self, request: Request, meter: str, _deadline_s: float) -> object:
        asked = arguments(request, Intervals)
        if meter != WHOLE_GROUP:
            raise InvalidInputError(
                f"Intervals are asked of group {self.group} as a whole, not of meter {meter}; "
                "name the meters in the argument `meters`.",
                meter=meter,
            )

        def answer() -> object:
            table = interval_table(self.store, self.group, asked, self.maximal_power_w)
            return pack_table(table)

        return await self._in_thread(answer)

    async def _registers(self, request: Request, meter: str, _deadline_s: float) -> object:
        asked = arguments(request, Registers)
        return await self._in_thread(lambda: rendered(self.store.registers(MeterId(meter)), asked))

    async def _events(self, request: Request, meter: str, _deadline_s: float) -> object:
        asked, whose = arguments(request, Events), self._whose(meter)
        return await self._in_thread(
            lambda: rendered(
                self.store.events(whose, asked.start, asked.end, limit=asked.limit), asked
            )
        )

    async def _outputs(self, request: Request, meter: str, _deadline_s: float) -> object:
        asked, whose = arguments(request, Outputs), self._whose(meter)

        def answer() -> object:
            table = self.store.outputs(
                whose,
                asked.start,
                asked.end,
                app=asked.app,
                name=asked.name,
                limit=asked.limit,
                newest_revision=asked.newest_revision,
            )
            return rendered(table, asked)

        return await self._in_thread(answer)

    async def _commands(self, request: Request, meter: str, _deadline_s: float) -> object:
        asked, whose = arguments(request, Commands), self._whose(meter)
        return await self._in_thread(
            lambda: rendered(self.store.commands(whose, limit=asked.limit), asked)
        )

    async def _ledger(self, _request: Request, meter: str, _deadline_s: float) -> object:
        lines = await self._in_thread(lambda: self.store.ledger(self.group))
        if meter == WHOLE_GROUP:
            return lines
        return [line for line in lines if line.meter == meter]

    def _whose(self, meter: str) -> MeterId | GroupId:
        return self.group if meter == WHOLE_GROUP else MeterId(meter)

    async def _in_thread(self, answer: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self.threads, answer)


def arguments(request: Request, kind: type[Arguments]) -> Arguments:
    """Return a request's arguments, times also as ISO 8601 text.

    Raises:
        InvalidInputError: One is missing, unknown, or of another type; the sentence names it.
    """
    try:
        return msgspec.convert(request.arguments, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInputError(
            f"Request {request.name} has a wrong argument: {error}.", name=request.name
        ) from None


def rendered(
    table: pa.Table,
    asked: Range | Resample | LatestBefore | Events | Outputs | Commands | Registers,
) -> object:
    """Return a table in the form that was asked for: columns with exact values, or bytes."""
    if asked.format == "arrow":
        return to_arrow_ipc(table)
    return to_csv(table) if asked.format == "csv" else to_json_columns(table)
