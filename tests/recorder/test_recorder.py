"""The recorder on a real bus."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request, encode
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import ask
from metertwin.bus.subjects import COMMAND_STREAM, EVENT_STREAM, Kind, subject
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import from_us
from metertwin.core.command import Command, CommandKind, CommandOutcome, CommandStatus
from metertwin.core.errors import InvalidInputError, NotFoundError
from metertwin.core.event import Event, EventSource
from metertwin.core.ids import CommandId, GroupId, MeterId
from metertwin.core.output import AppOutput
from metertwin.core.twin import LedgerLine
from metertwin.recorder.run import Recorder
from metertwin.recorder.settings import RecorderSettings
from metertwin.store.errors import StoreFullError
from metertwin.store.formats import JsonColumns, from_arrow_ipc
from metertwin.store.harvest import Harvest, Recorded
from metertwin.store.series import SeriesLabel

_NOTICES = (EVENT_STREAM, COMMAND_STREAM)

Connect = Callable[[Role], Awaitable[Bus]]
PollRound = Callable[..., ReadingBatch]
Running = Callable[..., contextlib.AbstractAsyncContextManager[Recorder]]
Until = Callable[..., Awaitable[None]]


_message_numbers = itertools.count()


async def publish_rounds(bus: Bus, rounds: list[ReadingBatch]) -> None:
    async with Publisher(bus) as publisher:
        for batch in rounds:
            where = subject(batch.group, Kind.READING)
            await publisher.publish(where, encode_readings(batch), f"test-{next(_message_numbers)}")


async def ask_history(
    bus: Bus, group: GroupId, meter: str, name: str, reply: type[Any], **arguments: object
) -> Any:  # noqa: ANN401 - what it is, `reply` says
    where = subject(group, Kind.HISTORY, meter)
    return await ask(bus, where, Request(name, arguments), 10.0, reply)


def taken(recorder: Recorder, group: GroupId) -> list[int]:
    if group not in recorder.store.groups():
        return []
    return [line.taken for line in recorder.store.ledger(group)]


async def test_what_a_gateway_says_is_asked_for_later(
    connect_as: Connect, group: GroupId, poll_round: PollRound, running: Running, until: Until
) -> None:
    await publish_rounds(
        await connect_as(Role.GATEWAY), [poll_round(group, number) for number in range(3)]
    )
    async with running() as recorder:
        await until(lambda: group in recorder._services and taken(recorder, group) == [6, 6, 6])
        api = await connect_as(Role.API)
        span = {"start": from_us(0), "end": from_us(10**9), "obis": "1-0:32.7.0*255"}
        said = await ask_history(api, group, f"{group}-m1", "range", JsonColumns, **span)
        assert said == JsonColumns(
            columns={
                "captured_at_us": [10_000_000, 20_000_000, 30_000_000],
                "integer": [3, 103, 203],
                "quality": [0, 0, 0],
                "origin": [0, 0, 0],
                "value": ["0.3", "10.3", "20.3"],
            },
            meter=f"{group}-m1",
            obis="1-0:32.7.0*255",
            unit="V",
            scaler=-1,
            period_s=0,
        )
        arrow = await ask_history(
            api, group, f"{group}-m1", "range", bytes, **span, format="arrow", limit=3
        )
        table = from_arrow_ipc(arrow)
        assert table["integer"].to_pylist() == [3, 103, 203]
        assert SeriesLabel.read_from(table) == SeriesLabel(
            f"{group}-m1", "1-0:32.7.0*255", "V", -1, 0
        )
        mean = await ask_history(
            api, group, f"{group}-m1", "resample", JsonColumns, **span, every_s=1000, how="mean"
        )
        assert mean.columns["value"] == ["10.3000"]  # (0.3 + 10.3 + 20.3) / 3
        lines = await ask_history(api, group, "_", "ledger", list[LedgerLine])
        assert lines == [LedgerLine(MeterId(f"{group}-m{n}"), 6, 6, 0, 0) for n in range(3)]
        latest = await ask_history(
            api, group, f"{group}-m0", "latest_before", JsonColumns,
            obis="1-0:1.8.0*255", at="1970-01-01T00:00:25Z",
        )  # fmt: skip
        assert latest.columns["integer"] == [100]
        registers = await ask_history(api, group, f"{group}-m0", "registers", JsonColumns)
        assert registers.columns["reading_count"] == [3, 3]
        host = await ask_history(api, group, "_", "host", dict)
        assert host["lag"]["READINGS"] == 0
        assert host["stored_count"] == recorder.counters.stored_count
        with pytest.raises(InvalidInputError, match=r"range has a wrong argument.*`obis`"):
            await ask_history(api, group, f"{group}-m1", "range", JsonColumns)
        with pytest.raises(NotFoundError, match="Meter nobody has no history"):
            await ask_history(api, group, "nobody", "registers", JsonColumns)


async def test_a_stopped_recorder_catches_up(
    connect_as: Connect, group: GroupId, poll_round: PollRound, running: Running, until: Until
) -> None:
    gateway = await connect_as(Role.GATEWAY)
    rounds = [poll_round(group, number) for number in range(60)]
    async with running() as recorder:
        await publish_rounds(gateway, rounds[:20])
        await until(lambda: taken(recorder, group) == [40] * 3)
    await publish_rounds(gateway, [*rounds[20:40], *rounds[10:30], *rounds[50:], *rounds[40:50]])
    async with running() as recorder:
        await until(lambda: taken(recorder, group) == [120] * 3)
        lines = recorder.store.ledger(group)
        assert [(line.duplicate, line.missing) for line in lines] == [(20 * 2, 0)] * 3


async def test_events_outputs_commands_and_outcomes_are_kept(
    connect_as: Connect, group: GroupId, running: Running, until: Until
) -> None:
    meter = MeterId(f"{group}-m0")
    event = Event(meter, EventSource.TWIN, -3, "register_reset", from_us(5), from_us(6), "")
    command = Command(
        CommandId(f"{group}-c1"),
        meter,
        group,
        CommandKind.DISCONNECT,
        "ops",
        from_us(7),
        from_us(8),
    )
    outcome = CommandOutcome(command.id, meter, CommandStatus.EFFECTED, from_us(9), "done")
    bill = AppOutput(
        "tariff", "1.0", group, meter, "bill", from_us(5), 1, from_us(6), {"total": "1.50"}
    )
    host = await connect_as(Role.TWIN_HOST)
    async with Publisher(host) as publisher:
        for kind, said in (
            (Kind.EVENT, event),
            (Kind.OUTPUT, bill),
            (Kind.COMMAND, command),
            (Kind.OUTCOME, outcome),
        ):
            where = subject(group, kind, meter)
            await publisher.publish(where, encode(said), f"{group}-{kind}")
            await publisher.publish(where, encode(said), f"{group}-{kind}-again")
            await publisher.publish(where, b"\xff damaged", f"{group}-{kind}-damaged")
    async with running() as recorder:
        api = await connect_as(Role.API)
        # The streams are shared with other tests: what they left comes first.
        last = {s: (await host.js.stream_info(s)).state.last_seq for s in _NOTICES}
        await until(lambda: recorder.counters.positions.items() >= last.items())
        await until(lambda: group in recorder._services)
        assert recorder.counters.refused_count >= 4
        span = {"start": from_us(0), "end": from_us(10**9)}
        events = await ask_history(api, group, meter, "events", JsonColumns, **span)
        assert (events.columns["name"], events.columns["code"]) == (["register_reset"], [-3])
        for whose, app in ((meter, "tariff"), ("_", None)):
            asked = Request("outputs", {**span, "app": app, "name": "bill"})
            where = subject(group, Kind.HISTORY, whose)
            outputs = await ask(api, where, asked, 10.0, JsonColumns)
            assert outputs.columns["meter"] == [meter]
            assert outputs.columns["value"] == ['{"total":"1.50"}']
        audit = await ask_history(api, group, "_", "commands", JsonColumns)
        assert audit.columns["kind"] == ["disconnect"]
        assert audit.columns["status"] == ["effected"]


async def test_a_full_disk_stops_the_reading_and_loses_nothing(
    connect_as: Connect,
    group: GroupId,
    poll_round: PollRound,
    running: Running,
    until: Until,
) -> None:
    is_full = threading.Event()
    is_full.set()
    async with running() as recorder:
        record = recorder.store.record

        def record_if_there_is_room(harvest: Harvest) -> Recorded:
            if is_full.is_set():
                raise StoreFullError("The disk under history file x is full; free some space.")
            return record(harvest)

        recorder.store.record = record_if_there_is_room  # type: ignore[method-assign] # a fault
        await publish_rounds(await connect_as(Role.GATEWAY), [poll_round(group, 0)])
        await until(lambda: "is full" in recorder.counters.trouble)
        is_full.clear()
        await until(lambda: taken(recorder, group) == [2] * 3)
        await until(lambda: recorder.counters.trouble == "")
        assert recorder.counters.retry_count >= 1


async def test_it_stops_at_whatever_moment_it_is_told(running: Running) -> None:
    # The bus client's flush swallows a cancellation; turns of the loop reach that moment too.
    for turn_count in range(0, 240, 12):
        async with running(RecorderSettings(groups=[GroupId("g-stopped")])):
            for _ in range(turn_count):
                await asyncio.sleep(0)
