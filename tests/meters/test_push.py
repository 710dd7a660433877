import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from metertwin.core.clock import to_us
from metertwin.core.errors import UnavailableError
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from metertwin.cosem.apdu.notification import DataNotification
from metertwin.cosem.data import octets, structure, uint16, uint32
from metertwin.cosem.datetime import encode_datetime
from metertwin.cosem.wrapper import encode_wrapper
from metertwin.meters.dlms import DlmsLink
from metertwin.meters.errors import AnswerError
from metertwin.meters.model import ModelCache
from metertwin.meters.port import Pushed
from metertwin.meters.push import PushListener, names_in, notification_of

Bench = Any  # of conftest, which cannot be imported

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
IMPORT, VOLTAGE = Obis.parse("1-0:1.8.0"), Obis.parse("1-0:32.7.0")


def pushed_apdu(import_wh: int) -> bytes:
    body = structure(
        octets(b"1002003"),
        octets(encode_datetime(NOON, ZoneInfo("Europe/Berlin"))),
        uint32(import_wh),
        uint16(2298),
    )
    return DataNotification(1, b"", body).encode()


@pytest.fixture
async def link(bench: Bench) -> AsyncIterator[DlmsLink]:
    opened = DlmsLink(bench.entry(), (IMPORT,), ModelCache(), 5.0)
    yield opened
    await opened.close()


async def test_a_push_is_read_by_the_models_push_setup(bench: Bench, link: DlmsLink) -> None:
    pushed = Pushed("127.0.0.1", 1, pushed_apdu(777))
    snapshot = await link.read_push(pushed)
    assert dict(zip(snapshot.registers, snapshot.integers, strict=True)) == {
        Register(IMPORT, Unit.WATT_HOUR, 0): 777,
        Register(VOLTAGE, Unit.VOLT, -1): 2298,
    }
    assert snapshot.captured_at_us == to_us(NOON)
    assert names_in(notification_of(pushed)) >= {"1002003"}
    asked_count = bench.asked_count
    await link.read_push(pushed)
    assert bench.asked_count == asked_count  # what pushes hold is known now


async def test_what_is_no_push_is_named(link: DlmsLink) -> None:
    with pytest.raises(AnswerError, match="cannot be understood"):
        await link.read_push(Pushed("127.0.0.1", 1, b"\x0f\x00"))
    asked = bytes.fromhex("c001c100030100010800ff0200")
    with pytest.raises(AnswerError, match="is a GetRequestNormal"):
        await link.read_push(Pushed("127.0.0.1", 1, asked))
    short = DataNotification(1, b"", structure(uint32(1))).encode()
    with pytest.raises(AnswerError, match="does not have the 4 elements"):
        await link.read_push(Pushed("127.0.0.1", 1, short))


async def test_the_listener_cuts_the_stream_and_ends_what_is_none() -> None:
    received: asyncio.Queue[Pushed] = asyncio.Queue()
    listener = PushListener(received.put_nowait)
    port = await listener.start("127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        frames = encode_wrapper(7, 1, pushed_apdu(1)) + encode_wrapper(7, 1, pushed_apdu(2))
        writer.write(frames[:50])
        await writer.drain()
        writer.write(frames[50:])
        pushed = [await received.get(), await received.get()]
        assert [each.apdu for each in pushed] == [pushed_apdu(1), pushed_apdu(2)]
        assert {(each.host, each.source_sap) for each in pushed} == {("127.0.0.1", 7)}
        writer.write(b"garbage!")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert listener.broken_count == 1
        writer.close()
        second = PushListener(received.put_nowait)
        with pytest.raises(UnavailableError, match=rf"cannot be taken at 127\.0\.0\.1:{port}"):
            await second.start("127.0.0.1", port)
    finally:
        await listener.stop()
