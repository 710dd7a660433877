import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from metertwin.bus.connection import Bus
from metertwin.bus.credentials import Role
from metertwin.bus.messages import Request
from metertwin.bus.requests import ask
from metertwin.bus.subjects import WHOLE_GROUP, Kind, subject
from metertwin.core.errors import MeterTwinError, NotFoundError
from metertwin.core.ids import GroupId
from metertwin.gateway.reads import HostAnswer, ReadAnswer

Scene = Any  # of conftest, which cannot be imported
Connect = Callable[[Role], Awaitable[Bus]]
Read = Callable[..., Awaitable[ReadAnswer]]


@pytest.fixture
async def read(connect_as: Connect, group: GroupId) -> Read:
    """Ask the test's gateway as a twin host does."""
    bus = await connect_as(Role.TWIN_HOST)

    async def ask_gateway(
        meter: str, name: str, reply_type: type[Any] = ReadAnswer, **arguments: object
    ) -> Any:  # noqa: ANN401 - of the reply type
        to = subject(group, Kind.READ, meter)
        return await ask(bus, to, Request(name, arguments), 5.0, reply_type)

    return ask_gateway


async def test_a_read_is_numbered_published_and_answered(scene: Scene, read: Read) -> None:
    street = await scene.street(1)
    await scene.gateway(street.entries)
    await scene.polled(street.entries, 1)
    scene.clock.advance(5)
    meter = street.entries[0].id
    answer = await read(meter, "read_register", obis="1-0:32.7.0")
    (voltage,) = answer.readings
    assert (voltage.obis, voltage.unit, voltage.scaler) == ("1-0:32.7.0*255", "V", -1)
    assert 200 < voltage.value < 250
    assert voltage.origin == "simulated"
    assert voltage.captured_at == scene.clock.now()
    row = scene.published.rows[meter]
    await scene.until(
        lambda: scene.published.ledger.received[row] >= answer.last_sequence, "its number"
    )
    newest = scene.published.of(meter)[-1]
    assert (newest.integer, newest.captured_at) == (voltage.integer, voltage.captured_at)
    whole = await read(meter, "read_all")
    assert whole.last_sequence == answer.last_sequence + whole.count
    assert whole.count == len(whole.readings) > 15


async def test_twenty_reads_of_one_meter_at_once_are_one(scene: Scene, read: Read) -> None:
    street = await scene.street(1)
    relay, entry = await scene.wire(street.entries[0])
    await scene.gateway((entry,))
    await scene.polled((entry,), 1)
    relay.delay_s = 0.1
    before_count = relay.asked_count
    answers = await asyncio.gather(*[read(entry.id, "read_all") for _ in range(20)])
    assert len({answer.last_sequence for answer in answers}) == 1
    assert relay.asked_count == before_count + 1


async def test_a_profile_range_is_read_on_demand(scene: Scene, read: Read) -> None:
    street = await scene.street(1)
    await scene.gateway(street.entries, {"first_profile_s": 0.0})
    for _ in range(3):
        await scene.quarter(street)
    start = datetime(2026, 3, 28, 12, 15, tzinfo=UTC)
    end = start + timedelta(minutes=15)
    answer = await read(street.entries[0].id, "load_profile", start=start, end=end)
    assert answer.count == 2 * 4  # two entries of four energies


async def test_unknown_meters_registers_and_times_are_clear_errors(
    scene: Scene, read: Read
) -> None:
    street = await scene.street(1)
    await scene.gateway(street.entries)
    await scene.polled(street.entries, 1)
    meter = street.entries[0].id
    with pytest.raises(NotFoundError, match=r"reads 1 meters .* none is called m7") as caught:
        await read("m7", "read_all")
    assert caught.value.code == "not_found.meter"
    with pytest.raises(NotFoundError, match=r"has no object 1-0:9\.9\.9\*255"):
        await read(meter, "read_register", obis="1-0:9.9.9")
    with pytest.raises(MeterTwinError, match=r"'volts' is not an OBIS code"):
        await read(meter, "read_register", obis="volts")
    with pytest.raises(MeterTwinError, match="needs start as a time with its zone"):
        await read(meter, "load_profile", start="noon", end="night")


async def test_a_silent_meter_is_an_error_with_its_own_code(scene: Scene, read: Read) -> None:
    street = await scene.street(2)
    _, entry = await scene.wire(street.entries[0], "silent")
    await scene.gateway((entry, street.entries[1]))
    await scene.polled(street.entries[1:], 1)
    with pytest.raises(MeterTwinError, match="did not answer within") as caught:
        await read(entry.id, "read_all")
    assert caught.value.code == "meter.silent"


async def test_host_tells_how_the_gateway_is_doing(scene: Scene, read: Read) -> None:
    street = await scene.street(3)
    await scene.gateway(street.entries)
    await scene.polled(street.entries, 1)
    host: Any = await read(WHOLE_GROUP, "host", HostAnswer)
    assert (host.host, host.meters_count, host.silent_count) == ("gateway-1", 3, 0)
    assert host.epoch == scene.published.epoch
    assert host.metrics["polls_count"] >= 3
    assert host.metrics["readings_count"] >= 3 * 15
    assert host.metrics["link_s"] > 0
