from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from metertwin.core.reading import Origin
from metertwin.simulation.config import Security
from metertwin.simulation.event_log import MeterEvent

Scene = Any  # of conftest, which cannot be imported

QUARTER = timedelta(minutes=15)


async def test_every_meter_is_polled_in_its_period_and_numbered_without_a_hole(
    scene: Scene,
) -> None:
    street = await scene.street(5, Security.HIGH)
    await scene.gateway(street.entries)
    for round_number in range(1, 4):
        await scene.polled(street.entries, round_number)
        scene.clock.advance(60)
    published = scene.published
    assert published.ledger.missing().sum() == 0
    assert published.ledger.duplicate.sum() == 0
    assert {reading.origin for reading in published.readings} == {Origin.SIMULATED}
    readings = [r for r in published.of(street.entries[0].id) if not r.register.period_s]
    codes = {str(reading.register.obis) for reading in readings}
    assert {"1-0:1.8.0*255", "1-0:32.7.0*255", "0-0:96.3.10*255", "0-0:17.0.0*255"} <= codes
    energies = [r.integer for r in readings if str(r.register.obis) == "1-0:1.8.0*255"]
    assert len(energies) == 3
    assert energies == sorted(energies)


async def test_two_silent_hours_are_filled_from_the_load_profile(scene: Scene) -> None:
    street = await scene.street(2)
    relay, entry = await scene.wire(street.entries[0])
    await scene.gateway((entry, street.entries[1]))
    published = scene.published
    await scene.polled((entry,), 1)
    await scene.quarter(street)
    await scene.until(lambda: published.intervals(entry.id), "a first interval")
    relay.mode = "silent"
    for _ in range(8):
        await scene.quarter(street)
    await scene.until(lambda: published.events_named("meter_silent"), "the silence's event")
    before_count = len(published.intervals(entry.id))
    relay.mode = "pass"
    newest = datetime(2026, 3, 28, 14, 15, tzinfo=UTC)
    await scene.until(lambda: newest in published.intervals(entry.id), "the newest interval")
    ends = published.intervals(entry.id)
    assert len(ends) == before_count + 8
    assert [after - before for before, after in pairwise(ends)] == [QUARTER] * (len(ends) - 1)
    await scene.until(lambda: published.events_named("meter_answering"), "the answering's event")
    assert published.ledger.missing().sum() == 0
    assert [event.meter for event in published.events_named("meter_silent")] == [entry.id]


async def test_slow_and_broken_meters_delay_nobody(scene: Scene) -> None:
    street = await scene.street(8)
    bad = [
        (await scene.wire(entry, mode))[1]
        for entry, mode in zip(
            street.entries, ["silent", "garbage", "silent", "garbage"], strict=False
        )
    ]
    good = street.entries[4:]
    # Two places in the wide lane: bad meters that kept them would stop the good ones for ever.
    lanes = {"concurrency_count": 2, "doubtful_concurrency_count": 1, "answer_timeout_s": 0.3}
    await scene.gateway((*bad, *good), lanes)
    for round_number in range(1, 6):
        await scene.polled(good, round_number)
        scene.clock.advance(60)
    assert {scene.published.polls_count(entry.id) for entry in bad} == {0}
    await scene.until(
        lambda: len(scene.published.events_named("meter_silent")) == 4, "an event for each"
    )
    assert scene.published.ledger.missing().sum() == 0


async def test_a_wrong_clock_is_an_event_and_its_being_right_again_another(scene: Scene) -> None:
    street = await scene.street(1)
    await scene.gateway(street.entries)
    await scene.polled(street.entries, 1)
    street.simulation.world.columns.clock_offset_s[0] = 95.0
    scene.clock.advance(60)
    await scene.until(lambda: scene.published.events_named("clock_off"), "the clock's event")
    event = scene.published.events_named("clock_off")[0]
    assert event.code == -3
    assert event.detail.startswith("the meter's clock is 95 s ahead of")
    street.simulation.world.columns.clock_offset_s[0] = 0.0
    scene.clock.advance(60)
    await scene.until(lambda: scene.published.events_named("clock_right"), "the second event")


async def test_a_clock_set_back_an_hour_loses_no_interval_of_that_hour(scene: Scene) -> None:
    street = await scene.street(1)
    entry = street.entries[0]
    await scene.gateway(street.entries)
    await scene.polled(street.entries, 1)
    columns = street.simulation.world.columns
    columns.clock_offset_s[0] = 3600.0
    published = scene.published
    for _ in range(4):
        await scene.quarter(street)
    ahead = datetime(2026, 3, 28, 14, tzinfo=UTC)  # at one o'clock
    await scene.until(lambda: ahead in published.intervals(entry.id), "an interval an hour ahead")
    columns.clock_offset_s[0] = 0.0
    for quarter in range(1, 4):
        await scene.quarter(street)
        again = datetime(2026, 3, 28, 13, tzinfo=UTC) + quarter * QUARTER
        await scene.until(
            lambda: published.intervals(entry.id)[-1] == again,  # noqa: B023 - waited for here
            f"the interval that ends at {again:%H:%M}",
        )
    assert published.ledger.missing().sum() == 0


async def test_a_poll_round_travels_together(scene: Scene) -> None:
    street = await scene.street(20)
    await scene.gateway(street.entries, flush_s=0.3)
    await scene.polled(street.entries, 1)
    assert max(len(set(meters)) for meters in scene.published.batches) > 5


async def test_the_meters_own_log_becomes_events(scene: Scene) -> None:
    street = await scene.street(1)
    street.simulation.world.log(np.array([0]), MeterEvent.POWER_UP)
    scene.clock.advance(60)
    await scene.gateway(street.entries)
    await scene.until(lambda: scene.published.events_named("power_up"), "the log's entry")
    event = scene.published.events_named("power_up")[0]
    assert (event.code, event.source) == (2, "meter")
