"""A real bus, small responders with real core types, and the real API over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest

from metertwin.api.context import ApiSettings
from metertwin.api.server import serve_api
from metertwin.bus.connection import Bus, connect
from metertwin.bus.credentials import Role
from metertwin.bus.intervals import pack_table
from metertwin.bus.messages import Request
from metertwin.bus.requests import Handler, Service, serve
from metertwin.bus.server import BusServer
from metertwin.bus.subjects import Kind, of_group
from metertwin.core.clock import ManualClock, to_us
from metertwin.core.command import CommandOutcome, CommandStatus
from metertwin.core.errors import ConflictError, DeadlineError, NotFoundError, UnavailableError
from metertwin.core.ids import CommandId, GroupId, MeterId, SiteId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.twin import (
    AnswerSource,
    LedgerLine,
    ReportedValue,
    TwinDocument,
    TwinStatus,
    TwinSummary,
    UsageNow,
)
from metertwin.core.units import Unit
from metertwin.store.errors import LimitError
from metertwin.store.formats import JsonColumns, to_arrow_ipc
from metertwin.store.series import SeriesLabel

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)


def power(integer: int) -> ReportedValue:
    return ReportedValue(
        obis="1-0:1.7.0*255",
        value=Decimal(integer),
        unit="W",
        integer=integer,
        scaler=0,
        period_s=0,
        captured_at=NOW - timedelta(seconds=4),
        received_at=NOW - timedelta(seconds=3),
        age_s=4.0,
        quality=0,
        origin="measured",
    )


@dataclass
class StreetHost:
    """Answers as a twin host does, for the meters it is given; remembers commands by id."""

    group: GroupId
    meters: list[MeterId]
    commands: dict[str, tuple[str, object]] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)

    def handlers(self) -> dict[str, Handler]:
        return {
            "twin": self.twin,
            "twins": self.twins,
            "usage_now": self.usage_now,
            "read_register": self.read_register,
            "command": self.command,
            "desired": self.desired,
            "ledger": self.ledger,
            "host": self.host,
            "usage_of_all": self.usage_of_all,
        }

    async def usage_of_all(self, request: Request, token: str, deadline_s: float) -> object:
        about = {"token": token, "deadline_s": round(deadline_s), "total": Decimal("1.50")}
        return about | request.arguments

    def known(self, token: str) -> MeterId:
        if token not in self.meters:
            error = type("UnknownTwinError", (NotFoundError,), {"code": "not_found.twin"})
            raise error(f"Group {self.group} has no twin of meter {token}.", meter=token)
        return MeterId(token)

    async def twin(self, _request: Request, token: str, _deadline_s: float) -> object:
        meter = self.known(token)
        return TwinDocument(
            meter=meter,
            group=self.group,
            status=TwinStatus.IN_STEP,
            epoch=7,
            age_s=4.0,
            answered_at=NOW,
            reported={"1-0:1.7.0*255": power(512)},
            ledger=LedgerLine(meter, 10, 10, 0, 0),
        )

    async def twins(self, request: Request, _token: str, _deadline_s: float) -> object:
        wanted = request.arguments
        found = [meter for meter in self.meters if wanted.get("search", "") in meter]
        page = found[wanted["offset"] : wanted["offset"] + wanted["limit"]]
        values = (4.0, 512.0, 0.0, 230.4, 1_234_567.0)
        items = [
            TwinSummary(meter, self.group, TwinStatus.IN_STEP, *values, is_connected=True)
            for meter in page
        ]
        return {"total": len(found), "items": items}

    async def usage_now(self, request: Request, token: str, _deadline_s: float) -> object:
        self.asked.append(request)
        meter = self.known(token)
        return UsageNow(meter, NOW, AnswerSource.TWIN, power(512), None, None, None)

    async def read_register(self, request: Request, token: str, deadline_s: float) -> object:
        self.asked.append(request)
        if request.max_age_s == 0:
            raise DeadlineError(f"Meter {token} did not answer within {deadline_s:g} s.")
        raise UnavailableError(f"Meter {token} is silent.")

    async def command(self, request: Request, token: str, _deadline_s: float) -> object:
        wanted = request.arguments
        meter = self.known(token)
        what = (token, wanted["kind"])
        if self.commands.setdefault(wanted["id"], what) != what:
            raise ConflictError(f"Command id {wanted['id']} already stands for another command.")
        refused = wanted["kind"] == "disconnect" and token.endswith("9")
        return CommandOutcome(
            CommandId(wanted["id"]),
            meter,
            CommandStatus.REFUSED if refused else CommandStatus.ACCEPTED,
            NOW,
            "The meter is protected." if refused else "",
        )

    async def desired(self, request: Request, token: str, _deadline_s: float) -> object:
        self.known(token)
        return {"version": 3, "desired": request.arguments["changes"]}

    async def ledger(self, _request: Request, _token: str, _deadline_s: float) -> object:
        return [LedgerLine(meter, 10, 10, 1, 0) for meter in self.meters]

    async def host(self, _request: Request, _token: str, _deadline_s: float) -> object:
        return {"host": "street", "epoch": 7, "twins": len(self.meters)}


@dataclass
class StreetRecorder:
    """Answers as a recorder does: one reading short of what the twins have, for the last meter."""

    meters: list[MeterId]
    asked: list[Request] = field(default_factory=list)

    def handlers(self) -> dict[str, Handler]:
        return {
            "range": self.range,
            "resample": self.range,
            "registers": self.registers,
            "events": self.events,
            "ledger": self.ledger,
            "commands": self.commands,
            "outputs": self.outputs,
            "intervals": self.intervals,
            "host": self.host,
        }

    async def outputs(self, request: Request, token: str, _deadline_s: float) -> object:
        self.asked.append(request)
        now_us = to_us(NOW)
        return JsonColumns(
            {
                "app": ["tariff", "tariff"],
                "app_version": ["1.0", "1.0"],
                "meter": ["m-00001" if token == "_" else token, None],
                "name": ["bill", "summary"],
                "at_us": [now_us, 0],
                "revision": [2, 0],
                "issued_at_us": [now_us, 1_000_000],
                "value": ['{"total":"48.17","lines":[1]}', "{}"],
            }
        )

    async def intervals(self, request: Request, _token: str, _deadline_s: float) -> bytes:
        """Two meters, four quarter hours: what is between 00:15 and 00:45 is known as a whole."""
        self.asked.append(request)
        is_fed_in = request.arguments["obis"].startswith("1-0:2")
        if is_fed_in and request.arguments["meters"] is not None:
            raise NotFoundError("None of these meters has register 1-0:2.8.0*255.")
        if is_fed_in:
            raise LimitError("2 meters are too many; ask for 1 meters.", meters_per_page=1)
        known = np.array([[True] * 4, [True, False, False, False]])
        none = np.zeros(known.shape, np.uint8)
        register = Register(Obis.parse(request.arguments["obis"]), Unit.WATT_HOUR, -1, 900)
        span = KnownSpans(*(np.array([number]) for number in (1, 1, 2, 77)))
        gain = np.array([[10, 25, 0, 5], [3, 0, 0, 0]], np.int32)
        return pack_table(
            IntervalTable(self.meters[:2], register, 0, gain, known, none + 8, none, span)
        )

    async def range(self, request: Request, token: str, _deadline_s: float) -> bytes:
        self.asked.append(request)
        table = pa.table(
            {
                "captured_at_us": pa.array([1_774_785_600_000_000, 1_774_786_500_000_000]),
                "integer": pa.array([2304, 2311], pa.int64()),
                "quality": pa.array([0, 8], pa.uint8()),
                "origin": pa.array([0, 3], pa.uint8()),
            }
        )
        label = SeriesLabel(token, request.arguments["obis"], "V", -1, 0)
        return to_arrow_ipc(label.write_to(table))

    async def registers(self, _request: Request, _token: str, _deadline_s: float) -> object:
        return JsonColumns({"obis": ["1-0:32.7.0*255"], "unit": ["V"], "first_us": [0]})

    async def events(self, request: Request, token: str, _deadline_s: float) -> object:
        self.asked.append(request)
        return JsonColumns(
            {"meter": [token], "code": [2], "name": ["power_up"], "captured_at_us": [to_us(NOW)]}
        )

    async def ledger(self, _request: Request, _token: str, _deadline_s: float) -> object:
        lines = [LedgerLine(meter, 10, 10, 0, 0) for meter in self.meters]
        lines[-1] = LedgerLine(self.meters[-1], 9, 8, 0, 1)
        return lines

    async def commands(self, _request: Request, _token: str, _deadline_s: float) -> object:
        now_us = to_us(NOW)
        return JsonColumns(
            {
                "id": ["old-command", "old-command", "other"],
                "meter": ["m-00001", "m-00001", "m-00002"],
                "kind": ["reconnect", "reconnect", "disconnect"],
                "arguments": ["{}", "{}", "{}"],
                "issued_by": ["api", "api", "api"],
                "issued_at_us": [now_us, now_us, now_us],
                "expires_at_us": [now_us, now_us, now_us],
                "status": ["effected", "accepted", None],
                "at_us": [now_us + 1, now_us, None],
                "reason": ["", "", None],
            }
        )

    async def host(self, _request: Request, _token: str, _deadline_s: float) -> object:
        return {}


@dataclass
class Site:
    """A site under test.

    Attributes:
        http: A client that sends the token.
        anonymous: A client that sends none.
        twin_host: The responders' own connection; may publish states, events and outcomes.
    """

    http: httpx.AsyncClient
    anonymous: httpx.AsyncClient
    token: str
    port: int
    clock: ManualClock
    twin_host: Bus
    hosts: dict[str, StreetHost]
    recorder: StreetRecorder
    services: list[Service]
    server: BusServer
    stop: asyncio.Event


def street(group: str, first: int) -> StreetHost:
    meters = [MeterId(f"m-{number:05}") for number in range(first, first + 10)]
    return StreetHost(GroupId(group), meters)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as ends:
        yield await start_site(tmp_path, ends)


async def start_site(root: Path, ends: AsyncExitStack) -> Site:
    """Start everything; `ends` ends what was started, whatever fails meanwhile."""
    server = BusServer(root / "bus", root / "secrets" / "bus")
    await server.start()
    ends.push_async_callback(server.stop)
    twin_host, recording, api = [
        await connect(server.url, server.seed(role), role.value)
        for role in (Role.TWIN_HOST, Role.RECORDER, Role.API)
    ]
    for bus in (twin_host, recording, api):
        ends.push_async_callback(bus.close)
    hosts = {"g1": street("g1", 0), "g2": street("g2", 10)}
    recorder = StreetRecorder(hosts["g1"].meters)
    services = [
        await serve(twin_host, of_group(GroupId(name), Kind.REQUEST), "hosts", host.handlers())
        for name, host in hosts.items()
    ]
    services += [
        await serve(recording, of_group(GroupId(name), Kind.HISTORY), "rec", recorder.handlers())
        for name in hosts
    ]
    for service in services:
        ends.push_async_callback(service.stop)
    clock, stop = ManualClock(NOW), asyncio.Event()
    token_file = root / "secrets" / "api.token"
    groups = (GroupId("g1"), GroupId("g2"))
    settings = ApiSettings(SiteId("test"), groups, token_file, port=0)
    port = await start_api(settings, api, clock, stop, ends)
    token = token_file.read_text().strip()
    bearer = {"authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{port}"
    http = httpx.AsyncClient(base_url=url, headers=bearer, trust_env=False, timeout=30)
    anonymous = httpx.AsyncClient(base_url=url, trust_env=False, timeout=30)
    for client in (http, anonymous):
        await ends.enter_async_context(client)
    return Site(
        http, anonymous, token, port, clock, twin_host, hosts, recorder, services, server, stop
    )


async def start_api(
    settings: ApiSettings, bus: Bus, clock: ManualClock, stop: asyncio.Event, ends: AsyncExitStack
) -> int:
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_api(settings, bus, clock, stop, listening.set_result))

    async def end() -> None:
        stop.set()
        await serving

    ends.push_async_callback(end)
    both: set[asyncio.Future[object]] = {serving, listening}  # type: ignore[arg-type]  # invariant
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving  # raises why
    return await listening
