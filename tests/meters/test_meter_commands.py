from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from metertwin.core.command import CommandKind
from metertwin.core.errors import InvalidInputError
from metertwin.core.obis import Obis
from metertwin.cosem.classes.control import ControlState
from metertwin.meters.dlms import DlmsLink
from metertwin.meters.errors import EffectError
from metertwin.meters.model import ModelCache

Bench = Any  # of conftest, which cannot be imported

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)


@pytest.fixture
async def link(bench: Bench) -> AsyncIterator[DlmsLink]:
    opened = DlmsLink(bench.entry(), (Obis.parse("1-0:1.8.0"),), ModelCache(), 5.0)
    await opened.open()
    yield opened
    await opened.close()


async def test_the_meter_is_looked_at_before_it_is_written(bench: Bench, link: DlmsLink) -> None:
    assert not await link.is_so(CommandKind.DISCONNECT, {}, NOON)
    first = await link.execute(CommandKind.DISCONNECT, {}, NOON)
    again = await link.execute(CommandKind.DISCONNECT, {}, NOON)
    assert (first.was_so_before, again.was_so_before) == (False, True)
    assert await link.is_so(CommandKind.DISCONNECT, {}, NOON)
    assert bench.meter.written == ["DISCONNECTED"]


async def test_a_breaker_that_does_not_follow_is_no_effect(bench: Bench, link: DlmsLink) -> None:
    bench.meter.follows = False
    with pytest.raises(EffectError, match="accepted to disconnect and its breaker did not follow"):
        await link.execute(CommandKind.DISCONNECT, {}, NOON)


async def test_a_reconnection_that_waits_for_the_button_says_so(
    bench: Bench, link: DlmsLink
) -> None:
    bench.meter.control = ControlState.DISCONNECTED
    bench.meter.reconnects_to = ControlState.READY_FOR_RECONNECTION
    effect = await link.execute(CommandKind.RECONNECT, {}, NOON)
    assert effect.detail == "ready for reconnection: the button at the meter must be pressed"
    assert (await link.execute(CommandKind.RECONNECT, {}, NOON)).was_so_before


async def test_a_limit_is_written_in_the_meters_scale_and_only_when_it_differs(
    bench: Bench, link: DlmsLink
) -> None:
    await link.execute(CommandKind.SET_LIMIT, {"limit_w": 4600}, NOON)
    await link.execute(CommandKind.SET_LIMIT, {"limit_w": 4600}, NOON)
    assert bench.meter.written == ["limit 4600"]
    with pytest.raises(InvalidInputError, match="needs limit_w of 0 W or more, not None"):
        await link.execute(CommandKind.SET_LIMIT, {}, NOON)


async def test_a_clock_is_set_in_the_meters_zone_and_only_when_it_is_off(
    bench: Bench, link: DlmsLink
) -> None:
    # An hour before summer time begins in Berlin: the deviation written must be the winter's.
    now = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    bench.meter.clock = now - timedelta(minutes=7)
    await link.execute(CommandKind.SET_CLOCK, {}, now)
    assert bench.meter.clock == now
    await link.execute(CommandKind.SET_CLOCK, {}, now + timedelta(seconds=1))
    assert bench.meter.written == ["clock"]
