"""Interval energies of a group, asked for over the bus."""

import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.intervals import unpack_table
from metertwin.bus.messages import Request
from metertwin.bus.publish import Publisher
from metertwin.bus.requests import ask
from metertwin.bus.subjects import Kind, subject
from metertwin.bus.wire import encode_readings
from metertwin.core.batch import ReadingBatch
from metertwin.core.clock import from_us
from metertwin.core.errors import InvalidInputError, MeterTwinError, NotFoundError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.interval_table import IntervalTable
from metertwin.core.obis import Obis
from metertwin.core.reading import Quality, Register
from metertwin.core.units import Unit
from metertwin.recorder.run import Recorder

Connect = Callable[[Role], Awaitable[Bus]]
PollRound = Callable[..., ReadingBatch]
Running = Callable[..., contextlib.AbstractAsyncContextManager[Recorder]]
Until = Callable[..., Awaitable[None]]
QUARTERS = Register(Obis(1, 0, 1, 8, 0), Unit.WATT_HOUR, 0, 900)
_numbers = itertools.count()


def at(quarter: int) -> datetime:
    return from_us(quarter * 900_000_000)


@pytest.fixture
def captured(
    connect_as: Connect, group: GroupId, poll_round: PollRound
) -> Callable[..., Awaitable[None]]:
    """Publishes one meter's captures at quarter hours, some seconds late where said so."""

    async def publish(
        meter: int, integers: dict[int, int], first_sequence: int = 1, late_s: float = 0.0
    ) -> None:
        async with Publisher(await connect_as(Role.GATEWAY)) as publisher:
            for sequence, (quarter, integer) in enumerate(integers.items(), first_sequence):
                batch = poll_round(group, 0, meter_count=1)
                at_us = quarter * 900_000_000 + round(late_s * 1e6)
                row = slice(0, 1)
                batch = replace(
                    batch,
                    meters=[MeterId(f"{group}-m{meter}")],
                    registers=[QUARTERS],
                    first_sequences=batch.first_sequences * 0 + sequence,
                    counts=batch.counts * 0 + 1,
                    register_index=batch.register_index[row] * 0,
                    integers=batch.integers[row] * 0 + integer,
                    captured_at_us=batch.captured_at_us[row] * 0 + at_us,
                    received_at_us=batch.captured_at_us[row] * 0 + at_us,
                    quality=batch.quality[row],
                    origin=batch.origin[row],
                )
                where, octets = subject(group, Kind.READING), encode_readings(batch)
                await publisher.publish(where, octets, f"intervals-{next(_numbers)}")

    return publish


async def ask_intervals(
    bus: Bus, group: GroupId, meter: str = "_", **arguments: object
) -> IntervalTable:
    said: dict[str, Any] = {"obis": str(QUARTERS.obis), "start": at(4), "end": at(8)}
    request = Request("intervals", said | arguments)
    return unpack_table(await ask(bus, subject(group, Kind.HISTORY, meter), request, 10.0, bytes))


async def test_the_energies_of_a_group_are_asked_for_at_once(
    connect_as: Connect,
    group: GroupId,
    captured: Callable[..., Awaitable[None]],
    running: Running,
    until: Until,
) -> None:
    # m0 complete, its capture at the end 3 s late; m1 lacks 5 and 6, so only 4 to 7 is known as a
    # whole; m2 is a wide register; m3 went round at 2^32 between 5 and 6.
    await captured(0, {3: 90, 4: 100, 5: 130, 6: 170, 7: 180})
    await captured(0, {8: 185}, first_sequence=6, late_s=3.0)
    await captured(1, {4: 10, 7: 40, 8: 41})
    await captured(2, {4: 2**33, 5: 2**33 + 5, 6: 2**33 + 6, 7: 2**33 + 6, 8: 2**33 + 9})
    await captured(3, {4: 2**32 - 20, 5: 2**32 - 10, 6: 7, 7: 8, 8: 10})
    async with running() as recorder:
        await until(lambda: group in recorder._services)
        await until(lambda: sum(line.taken for line in recorder.store.ledger(group)) == 19)
        api = await connect_as(Role.API)
        table = await ask_intervals(api, group)
        assert table.meters == [f"{group}-m{n}" for n in range(4)]
        assert (table.register, table.start_us) == (QUARTERS, 4 * 900_000_000)
        assert table.gain.tolist() == [[30, 40, 10, 5], [0, 0, 0, 1], [5, 1, 0, 3], [10, 17, 1, 2]]
        assert table.is_known.tolist() == [[True] * 4, [False] * 3 + [True], [True] * 4, [True] * 4]
        spans = table.spans
        assert [
            column.tolist()
            for column in (spans.row, spans.first_index, spans.interval_count, spans.gain)
        ] == [[1], [0], [3], [30]]

        two = await ask_intervals(api, group, meters=["nobody", f"{group}-m1"], period_s=900)
        assert two.meters == ["nobody", f"{group}-m1"]
        assert two.is_known.tolist() == [[False] * 4, [False] * 3 + [True]]
        assert two.spans.row.tolist() == [1]


async def test_a_rise_beyond_maximal_power_is_suspect(
    connect_as: Connect,
    group: GroupId,
    captured: Callable[..., Awaitable[None]],
    running: Running,
    until: Until,
) -> None:
    # 100 kW x 0.25 h = 25,000 Wh, and one for the cut ends.
    await captured(0, {4: 0, 5: 25_001, 6: 50_003, 7: 50_003, 8: 50_003})
    async with running() as recorder:
        await until(lambda: group in recorder._services)
        await until(lambda: sum(each.taken for each in recorder.store.ledger(group)) == 5)
        table = await ask_intervals(await connect_as(Role.API), group)
        assert table.quality.tolist() == [[0, Quality.SUSPECT, 0, 0]]


async def test_what_cannot_be_answered_says_why(
    connect_as: Connect,
    group: GroupId,
    captured: Callable[..., Awaitable[None]],
    running: Running,
    until: Until,
) -> None:
    await captured(0, {4: 1})
    async with running() as recorder:
        await until(lambda: group in recorder._services)
        await until(lambda: sum(line.taken for line in recorder.store.ledger(group)) == 1)
        api = await connect_as(Role.API)
        for wrong, family, said in (
            ({"obis": "1-0:2.8.0*255"}, NotFoundError, "there is 1-0:1.8.0.255 every 900 s"),
            ({"end": from_us(1)}, InvalidInputError, "the end must be later"),
            ({"start": from_us(1)}, InvalidInputError, "off the grid of 900 s"),
            ({"end": at(2_000_000)}, InvalidInputError, "ask for a shorter time"),
            (
                {"meters": [f"{group}-m0"] * 50, "end": at(40_000)},
                InvalidInputError,
                "ask for 25 meters",
            ),
            ({"colour": "red"}, InvalidInputError, "intervals has a wrong argument.*colour"),
            ({"meter": f"{group}-m0"}, InvalidInputError, "name the meters in the argument"),
        ):
            with pytest.raises(family, match=said) as error:
                await ask_intervals(api, group, **wrong)
            assert isinstance(error.value, MeterTwinError)
