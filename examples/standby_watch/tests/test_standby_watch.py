"""The example app, tested as its author would: on made-up nights, without any server."""

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from metertwin.apps.app import AppSettings, AppSettingsError, AppStateError, Asked
from metertwin.apps.rehearsal.run import Rehearsal, rehearse
from metertwin.apps.view import GroupView
from metertwin.core.clock import to_us
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.reading import Register
from metertwin.core.units import Unit
from standby_watch.app import IMPORT_ENERGY, Standby, StandbyArguments, StandbyWatch

QUARTER = Register(IMPORT_ENERGY, Unit.WATT_HOUR, 0, 900)
SETTINGS = AppSettings(GroupId("street"), {"zone": "UTC"})
FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOMES = [MeterId("quiet"), MeterId("server-room")]


def nights(*quarter_wh: tuple[int, int]) -> IntervalTable:
    """Days on which home 0 and 1 draw so many Wh a quarter, and ten times that by day."""
    at_night = np.arange(96) < 20  # 20 quarters until 05:00
    gain = np.hstack([np.where(at_night, 1, 10) * np.array(day)[:, None] for day in quarter_wh])
    flags = np.zeros(gain.shape, np.uint8)
    start_us = to_us(FIRST_DAY)
    return IntervalTable(
        HOMES, QUARTER, start_us, gain, flags == 0, flags, flags, KnownSpans.none()
    )


def rehearsed(app: StandbyWatch, table: IntervalTable) -> Rehearsal:
    *_, (_, said) = rehearse(app, SETTINGS, {IMPORT_ENERGY: table})
    return said


def asked(app: StandbyWatch, meter: str) -> object:
    request = Asked("standby", MeterId(meter), StandbyArguments())
    return app.answer(NO_VIEW, request, {}).value


NO_VIEW: GroupView = None  # type: ignore[assignment] # this request is answered from the state


def test_a_night_of_ten_watt_hours_a_quarter_is_forty_watts() -> None:
    app = StandbyWatch(SETTINGS)
    said = rehearsed(app, nights((10, 25)))  # 4 x 10 Wh in an hour: 40 W; 4 x 25: 100 W
    assert [(each.meter, each.value) for each in said.outputs] == [
        ("quiet", {"standby_w": 40.0}),
        ("server-room", {"standby_w": 100.0}),
    ]
    assert asked(app, "server-room") == Standby(100.0, 100.0, 1, "2026-03-02")


def test_a_night_well_above_the_usual_is_a_finding_and_an_ordinary_one_is_not() -> None:
    said = rehearsed(StandbyWatch(SETTINGS), nights(*[(10, 25)] * 5, (14, 38)))
    # 56 W is 1.4 times the usual 40 W, 152 W is 1.52 times 100 W; the limit is 1.5.
    assert [(each.meter, each.detail) for each in said.findings] == [
        ("server-room", "152 W last night, 100 W as a rule.")
    ]


def test_an_hour_with_a_gap_does_not_count_as_quiet() -> None:
    table = nights((10, 25))
    table.is_known[0, :20:4] = False  # one quarter of each hour of the night
    table.gain[0, :20:4] = 0
    assert [each.meter for each in rehearsed(StandbyWatch(SETTINGS), table).outputs] == [
        "server-room"
    ]


def test_an_app_that_goes_on_from_its_state_says_what_one_that_never_stopped_says() -> None:
    table = nights(*[(10, 25)] * 4, (30, 25), (10, 90))
    whole = StandbyWatch(SETTINGS)
    said = rehearsed(whole, table)
    stopped = StandbyWatch(SETTINGS)
    past = rehearsed(stopped, nights(*[(10, 25)] * 4, (30, 25)))
    resumed = StandbyWatch(SETTINGS)
    resumed.restore(stopped.save())
    rest = rehearsed(resumed, table)  # the days it knows say nothing new
    assert resumed.save() == whole.save()
    assert past.outputs + rest.outputs == said.outputs


def test_cut_and_joined_it_is_the_same_and_one_home_alone_is_as_if_it_had_been_alone() -> None:
    both = StandbyWatch(SETTINGS)
    rehearsed(both, nights((10, 25), (12, 30)))
    parts = [both.share([MeterId(meter)]) for meter in ("quiet", "server-room")]
    assert both.join(parts) == both.join(parts[::-1]) == both.save()
    alone = StandbyWatch(SETTINGS)
    table = nights((10, 25), (12, 30))
    planes = (table.gain[:1], table.is_known[:1], table.quality[:1], table.origin[:1])
    none = KnownSpans.none()
    rehearsed(alone, IntervalTable(HOMES[:1], QUARTER, table.start_us, *planes, none))
    assert alone.save() == parts[0]


def test_a_share_that_has_not_looked_at_last_night_does_so_after_it_was_joined() -> None:
    both, ahead, behind = (StandbyWatch(SETTINGS) for _ in range(3))
    rehearsed(both, nights((10, 25), (12, 30)))
    rehearsed(behind, nights((10, 25)))
    ahead.restore(both.share([MeterId("quiet")]))
    joined = StandbyWatch(SETTINGS)
    joined.restore(joined.join([ahead.save(), behind.share([MeterId("server-room")])]))
    rehearsed(joined, nights((10, 25), (12, 30)))
    assert joined.save() == both.save()


def test_a_state_of_the_version_before_is_read() -> None:
    app = StandbyWatch(SETTINGS)
    app.restore(msgspec.msgpack.encode([1, "2026-03-02", {"quiet": [40.0]}]))
    assert asked(app, "quiet") == Standby(40.0, 40.0, 1, "2026-03-02")


def test_what_cannot_be_is_said() -> None:
    app = StandbyWatch(SETTINGS)
    with pytest.raises(NotFoundError, match="No night of meter quiet was seen yet"):
        asked(app, "quiet")
    config = {"rise_ratio": 0.5, "zone": "Mars", "colour": "red"}
    with pytest.raises(AppSettingsError) as refused:
        StandbyWatch(AppSettings(GroupId("street"), config))
    assert str(refused.value) == (
        "standby_watch cannot be configured so: it has no colour; rise_ratio is 0.5, not a number "
        "above 1; zone 'Mars' is no IANA name such as Europe/Berlin."
    )
    with pytest.raises(AppStateError, match="has version 3, this one reads 1 to 2"):
        app.restore(b"\x93\x03\xa0\x80")


def test_days_are_those_of_the_zone() -> None:
    table = nights((10, 25))
    app = StandbyWatch(AppSettings(GroupId("street"), {"zone": "Asia/Kolkata"}))
    *_, (_, said) = rehearse(app, SETTINGS, {IMPORT_ENERGY: table})
    # In Kolkata it is 05:30 when the table begins: that day's night was not seen, 18:30 UTC is
    # the next midnight and the table ends before that night does.
    assert said.outputs == []
