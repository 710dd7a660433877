import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from metertwin.core.clock import to_us
from metertwin.core.obis import Obis
from metertwin.core.reading import Quality, Register
from metertwin.core.units import Unit
from metertwin.meters.dlms import DlmsLink, UnknownRegisterError
from metertwin.meters.entry import MeterEntry
from metertwin.meters.errors import (
    AssociationRefusedError,
    LinkBrokenError,
    MeterSilentError,
    MeterUnreachableError,
)
from metertwin.meters.model import ModelCache
from metertwin.meters.port import LoggedEvent

Bench = Any  # of conftest, which cannot be imported
OpenLink = Callable[..., DlmsLink]
StartBench = Callable[..., Awaitable[Bench]]

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
IMPORT = Obis.parse("1-0:1.8.0")
VOLTAGE = Obis.parse("1-0:32.7.0")
ABSENT = Obis.parse("1-0:52.7.0")
BREAKER = Obis.parse("0-0:96.3.10")
LIMITER = Obis.parse("0-0:17.0.0")
PROFILE = Obis.parse("1-0:99.1.0")
LOG = Obis.parse("0-0:99.98.0")
WANTED = (IMPORT, VOLTAGE, ABSENT, BREAKER, LIMITER)


@pytest.fixture
async def open_link() -> AsyncIterator[OpenLink]:
    """Make links that are closed when the test ends."""
    links: list[DlmsLink] = []

    def make(
        entry: MeterEntry, models: ModelCache | None = None, timeout_s: float = 5.0
    ) -> DlmsLink:
        links.append(DlmsLink(entry, WANTED, models or ModelCache(), timeout_s))
        return links[-1]

    yield make
    for link in links:
        await link.close()


async def test_a_snapshot_has_every_register_the_meter_has_with_its_clock(
    bench: Bench, open_link: OpenLink
) -> None:
    link = open_link(bench.entry())
    identity = await link.open()
    assert identity.serial == "1002003"
    snapshot = await link.read_moment()
    assert dict(zip(snapshot.registers, snapshot.integers, strict=True)) == {
        Register(IMPORT, Unit.WATT_HOUR, 0): 1_234_567,
        Register(VOLTAGE, Unit.VOLT, -1): 2304,
        Register(BREAKER, Unit.NONE, 0): 1,
        # F holds the attribute's number: 3, the control state, here "connected".
        Register(BREAKER._replace(f=3), Unit.NONE, 0): 1,
        # The limiter watches the import power, so its threshold is in W.
        Register(LIMITER, Unit.WATT, 0): 17_250,
    }
    assert snapshot.captured_at_us == to_us(NOON)
    assert snapshot.quality == 0


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize("security", ["none", "low", "high"])
async def test_every_framing_and_security_reads_the_same(
    start_bench: StartBench, open_link: OpenLink, framing: str, security: str
) -> None:
    bench = await start_bench(framing)
    entry = {
        "none": bench.entry(),
        "low": bench.entry(client_sap=2, security="low", password=b"12345678".hex()),
        "high": bench.ciphered_entry(),
    }[security]
    link = open_link(entry)
    await link.open()
    assert (await link.read_moment()).integers == [1_234_567, 2304, 1, 1, 17_250]


async def test_summer_time_and_a_doubtful_clock_show_in_the_quality(
    bench: Bench, open_link: OpenLink
) -> None:
    bench.meter.clock = datetime(2026, 7, 1, 12, tzinfo=UTC)
    link = open_link(bench.entry())
    await link.open()
    snapshot = await link.read_moment()
    assert snapshot.quality == Quality.DAYLIGHT_SAVING
    assert snapshot.captured_at_us == to_us(bench.meter.clock)


async def test_static_attributes_are_read_once_for_a_hundred_meters_opened_together(
    bench: Bench, open_link: OpenLink
) -> None:
    models = ModelCache()
    first = open_link(bench.entry(), models)
    await first.open()
    learning_count = bench.asked_count
    links = [open_link(bench.entry(id=f"m{number}"), models) for number in range(2, 12)]
    await asyncio.gather(*[link.open() for link in links])
    # Each later one asks twice: the association, and who it is.
    assert bench.asked_count - learning_count == 2 * len(links)
    assert learning_count > 4
    snapshots = [await link.read_moment() for link in [first, *links]]
    assert len({id(snapshot.registers) for snapshot in snapshots}) == 1


async def test_one_register_that_is_not_polled_can_be_read(
    bench: Bench, open_link: OpenLink
) -> None:
    link = open_link(bench.entry())
    await link.open()
    snapshot = await link.read_register(Obis.parse("1-0:1.7.0"))
    assert snapshot.registers == (Register(Obis.parse("1-0:1.7.0"), Unit.WATT, 0),)
    assert snapshot.integers == [321]
    with pytest.raises(UnknownRegisterError, match=r"has no object 1-0:9\.9\.9\*255"):
        await link.read_register(Obis.parse("1-0:9.9.9"))


async def test_a_profile_is_read_by_range_with_its_status(
    bench: Bench, open_link: OpenLink
) -> None:
    for quarter in range(1000):  # far more than fits one APDU: blocks
        status = Quality.RECOVERED if quarter == 500 else 0
        bench.meter.capture(NOON + timedelta(minutes=15 * quarter), 1000 + quarter, status)
    link = open_link(bench.entry())
    await link.open()
    shape = await link.profile_shape(PROFILE)
    assert shape.period_s == 900
    assert shape.registers == (Register(IMPORT, Unit.WATT_HOUR, 0, 900),)
    first, last = NOON + timedelta(minutes=15), NOON + timedelta(minutes=15 * 990)
    rows = await link.read_profile(PROFILE, to_us(first), to_us(last))
    assert rows.integers[:, 0].tolist() == list(range(1001, 1991))
    assert rows.captured_at_us.tolist() == [
        to_us(NOON + timedelta(minutes=15 * quarter)) for quarter in range(1, 991)
    ]
    assert [int(place) for place in rows.quality.nonzero()[0]] == [499]
    assert int(rows.quality[499]) == Quality.RECOVERED


async def test_a_range_without_entries_is_no_error(bench: Bench, open_link: OpenLink) -> None:
    link = open_link(bench.entry())
    await link.open()
    rows = await link.read_profile(PROFILE, to_us(NOON), to_us(NOON + timedelta(days=1)))
    assert rows.integers.shape == (0, 1)
    assert len(rows.captured_at_us) == 0


async def test_the_event_log_is_read_by_range(bench: Bench, open_link: OpenLink) -> None:
    noon_s = to_us(NOON) // 1_000_000
    bench.meter.logged = [(noon_s - 60, 1), (noon_s, 2), (noon_s + 60, 40)]
    link = open_link(bench.entry())
    await link.open()
    entries = await link.read_log(LOG, to_us(NOON), to_us(NOON + timedelta(hours=1)))
    assert entries == [
        LoggedEvent(to_us(NOON), 2),
        LoggedEvent(to_us(NOON + timedelta(seconds=60)), 40),
    ]


async def test_nobody_listening_is_unreachable(bench: Bench, open_link: OpenLink) -> None:
    link = open_link(bench.entry(port=1))
    with pytest.raises(MeterUnreachableError, match=r"127\.0\.0\.1:1 cannot be reached"):
        await link.open()


async def test_a_wrong_password_is_a_refused_association_that_says_what_to_check(
    bench: Bench, open_link: OpenLink
) -> None:
    link = open_link(bench.entry(client_sap=2, security="low", password="00"))
    with pytest.raises(AssociationRefusedError, match="keys of its entry in meters") as caught:
        await link.open()
    assert caught.value.kind == "association"
    assert caught.value.facts["meter"] == "m1"


async def test_a_wrong_key_is_refused(bench: Bench, open_link: OpenLink) -> None:
    entry = msgspec.structs.replace(bench.ciphered_entry(), encryption_key="ff" * 16)
    with pytest.raises(AssociationRefusedError):
        await open_link(entry).open()


async def test_a_meter_that_knows_a_higher_counter_is_followed(
    bench: Bench, open_link: OpenLink
) -> None:
    bench.device.gate(1).lowest_accepted = 4_000_000_000
    link = open_link(bench.ciphered_entry())
    await link.open()
    assert (await link.read_moment()).integers[0] == 1_234_567


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
async def test_silence_ends_in_a_clear_error_and_the_next_try_starts_anew(
    start_bench: StartBench, open_link: OpenLink, framing: str
) -> None:
    bench = await start_bench(framing)
    link = open_link(bench.entry(), timeout_s=0.3)
    await link.open()
    bench.fault = "silent"
    with pytest.raises(MeterSilentError, match=r"did not answer within 0\.3 s"):
        await link.read_moment()
    assert not link.is_open
    bench.fault = ""
    await link.open()
    assert (await link.read_moment()).integers[0] == 1_234_567


@pytest.mark.parametrize("fault", ["reset", "garbage", "cut", "nonsense"])
async def test_a_broken_conversation_is_named_and_begun_again(
    bench: Bench, open_link: OpenLink, fault: str
) -> None:
    link = open_link(bench.entry())
    await link.open()
    bench.fault = fault
    with pytest.raises(LinkBrokenError):
        await link.read_moment()
    assert not link.is_open
    await link.open()
    assert (await link.read_moment()).integers[0] == 1_234_567
    assert bench.connections_count == 2


async def test_another_device_at_the_same_address_has_another_serial_number(
    bench: Bench, open_link: OpenLink
) -> None:
    link = open_link(bench.entry())
    before = await link.open()
    await link.close()
    bench.meter.serial = "9009009"
    after = await link.open()
    assert (before.serial, after.serial) == ("1002003", "9009009")
    assert before.model == after.model
