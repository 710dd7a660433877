from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.apps.tariff.activity_calendar import (
    CalendarLimits,
    MeterCalendarError,
    from_tables,
    to_tables,
)
from metertwin.apps.tariff.calendar import (
    Calendar,
    CalendarError,
    Holiday,
    MonthDay,
    Season,
    Switch,
)
from metertwin.apps.tariff.calendar_meaning import meaning
from metertwin.apps.tariff.calendar_text import (
    CalendarOrder,
    calendar_from_plain,
    calendar_from_text,
    calendar_to_plain,
    calendar_to_text,
)
from metertwin.apps.tariff.schedule import period_indices
from metertwin.cosem.calendar_tables import CalendarTables
from metertwin.cosem.data import NULL, Data, Tag, array, encode, octets, structure, uint8, uint16
from metertwin.cosem.errors import CosemError
from metertwin.simulation.tariffs import TariffCalendar, day_and_night

BERLIN = ZoneInfo("Europe/Berlin")
TWO_YEARS_S = np.arange(
    int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()),
    int(datetime(2029, 1, 1, tzinfo=UTC).timestamp()),
    900,
)
WORKDAY = (Switch(0, 2), Switch(7 * 60, 0), Switch(20 * 60, 2))
WEEKEND = (Switch(0, 2), Switch(9 * 60 + 30, 1))
NIGHT = (Switch(0, 2),)
CALENDAR = Calendar(
    ("peak", "flat", "valley"),
    (WORKDAY, WEEKEND, NIGHT),
    (
        Season("summer", MonthDay(4, 1), (1,) * 7, 2),
        Season("winter", MonthDay(10, 1), (0,) * 5 + (1, 1), 1),
    ),
    (Holiday(12, 25), Holiday(5, 1), Holiday(3, 28, 2027)),
)


def month_days() -> st.SearchStrategy[MonthDay]:
    return st.dates(datetime(2028, 1, 1).date(), datetime(2028, 12, 31).date()).map(  # noqa: DTZ001
        lambda day: MonthDay(day.month, day.day)
    )


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    periods_count = draw(st.integers(1, 4))
    period = st.integers(0, periods_count - 1)
    profiles = []
    for _ in range(draw(st.integers(1, 4))):
        minutes = draw(st.sets(st.integers(1, 1439), max_size=4))
        profiles.append(tuple(Switch(minute, draw(period)) for minute in (0, *sorted(minutes))))
    place = st.integers(0, len(profiles) - 1)
    starts = sorted(draw(st.sets(month_days(), min_size=1, max_size=4)))
    week = st.tuples(*[place] * 7)
    seasons = [
        Season(draw(st.text(max_size=5)), start, draw(week), draw(place)) for start in starts
    ]
    year = st.one_of(st.none(), st.integers(2027, 2028))
    holidays = st.lists(
        st.builds(lambda on, year: Holiday(on.month, on.day, year), month_days(), year), max_size=6
    )
    names = tuple(f"p{number}" for number in range(periods_count))
    return Calendar(names, tuple(profiles), tuple(seasons), tuple(draw(holidays)))


def test_a_calendar_becomes_tables_as_the_blue_book_lays_them_out() -> None:
    tables = to_tables(CALENDAR)
    name, seasons, weeks, days = tables.attributes()
    assert len(name.octets()) == 8
    assert [encode(season).hex() for season in seasons.elements()] == [
        # name "summer", every year's 1 April at midnight without deviation, week "1"
        "0203" + "0906" + b"summer".hex() + "090c" + "ffff0401ff000000008000ff" + "090131",
        "0203" + "0906" + b"winter".hex() + "090c" + "ffff0a01ff000000008000ff" + "090132",
    ]
    assert [encode(week).hex() for week in weeks.elements()] == [
        "0208" + "090131" + "1102" * 7,
        "0208" + "090132" + "1101" * 5 + "1102" * 2,
    ]
    script = "0906" + "00000a0064ff"  # the tariff scripts 0-0:10.0.100.255
    assert encode(days.elements()[1]).hex() == (
        # day 2: 00:00 rate 3, 09:30 rate 2
        "0202" + "1102" + "0102"
        "0203" + "0904" + "00000000" + script + "120003"
        "0203" + "0904" + "091e0000" + script + "120002"
    )
    assert [encode(entry).hex() for entry in tables.entries().elements()] == [
        # 28 March 2027 and Christmas lie in winter, whose holidays are day 2; 1 May is day 3
        "0203" + "120001" + "0905" + "07eb031cff" + "1102",
        "0203" + "120002" + "0905" + "ffff0501ff" + "1103",
        "0203" + "120003" + "0905" + "ffff0c19ff" + "1102",
    ]


@settings(max_examples=40, deadline=None)
@given(calendars())
def test_what_comes_back_has_the_same_period_at_every_moment(calendar: Calendar) -> None:
    tables = to_tables(calendar)
    back = from_tables(CalendarTables.read(tables.attributes(), tables.entries()))
    assert meaning(back) == meaning(calendar)
    starts_us = TWO_YEARS_S[::7] * 1_000_000
    assert np.array_equal(
        period_indices(back, BERLIN, starts_us), period_indices(calendar, BERLIN, starts_us)
    )
    assert to_tables(back).attributes()[1:3] == tables.attributes()[1:3]


@settings(max_examples=30, deadline=None)
@given(calendars())
def test_a_simulated_meter_counts_into_the_rate_of_the_period(calendar: Calendar) -> None:
    # Two programs that share nothing but the tables: the bill's, and the meter's.
    rates = TariffCalendar(to_tables(calendar)).at(TWO_YEARS_S[::3], BERLIN)
    periods = period_indices(calendar, BERLIN, TWO_YEARS_S[::3] * 1_000_000)
    assert np.array_equal(rates, periods + 1)


@settings(max_examples=30, deadline=None)
@given(calendars(), calendars())
def test_calendars_that_differ_at_a_moment_differ_in_meaning(
    one: Calendar, other: Calendar
) -> None:
    starts_us = TWO_YEARS_S[::7] * 1_000_000
    periods = [period_indices(each, BERLIN, starts_us) for each in (one, other)]
    if not np.array_equal(periods[0], periods[1]):
        assert meaning(one) != meaning(other)


def test_a_changed_minute_rate_weekday_or_holiday_is_another_meaning() -> None:
    def changed(**parts: object) -> Calendar:
        facts = {name: getattr(CALENDAR, name) for name in CALENDAR.__dataclass_fields__}
        return Calendar(**{**facts, **parts})

    later = (Switch(0, 2), Switch(7 * 60 + 1, 0), Switch(20 * 60, 2))
    monday = Season("winter", MonthDay(10, 1), (1, *(0,) * 4, 1, 1), 1)
    for other in (
        changed(day_profiles=(later, WEEKEND, NIGHT)),
        changed(seasons=(CALENDAR.seasons[0], monday)),
        changed(holidays=CALENDAR.holidays[:2]),
        changed(holidays=(*CALENDAR.holidays[:2], Holiday(3, 28))),
        changed(holidays=(*CALENDAR.holidays[:2], Holiday(3, 28, 2028))),
    ):
        assert meaning(other) != meaning(CALENDAR)
    assert meaning(changed(periods=("a", "b", "c"))) == meaning(CALENDAR)


def test_what_a_meter_cannot_hold_is_one_error_that_names_every_limit() -> None:
    with pytest.raises(MeterCalendarError) as caught:
        to_tables(
            CALENDAR,
            CalendarLimits(
                rates_count=2,
                seasons_count=1,
                days_count=2,
                switches_count=2,
                special_days_count=1,
                name_octets=5,
            ),
        )
    assert str(caught.value) == (
        "The calendar does not fit the meter: 3 periods, the meter holds 2; 2 seasons, the meter "
        "holds 1; 3 kinds of day, the meter holds 2; 3 switches on one day, the meter holds 2; "
        "3 holidays, the meter holds 1; season name 'summer' of 6 octets, the meter holds 5; "
        "season name 'winter' of 6 octets, the meter holds 5."
    )
    always = Calendar.always()
    far = Calendar(always.periods, always.day_profiles, always.seasons, (Holiday(1, 1, 70_000),))
    with pytest.raises(MeterCalendarError, match="a holiday in the year 70000"):
        to_tables(far)


def test_what_holds_before_a_days_first_switch_is_the_rate_of_the_evening() -> None:
    tables = day_and_night()
    name, seasons, weeks, _ = tables.attributes()
    script = octets(bytes((0, 0, 10, 0, 100, 255)))
    at_six = structure(octets(bytes((6, 0, 0, 0))), script, uint16(1))
    at_ten = structure(octets(bytes((22, 0, 0, 0))), script, uint16(2))
    at_eight = structure(octets(bytes((20, 0, 0, 0))), script, uint16(1))
    day = structure(uint8(1), array(at_six, at_ten))
    calendar = from_tables(CalendarTables.read((name, seasons, weeks, array(day)), array()))
    assert calendar.day_profiles == ((Switch(0, 1), Switch(360, 0), Switch(1320, 1)),)
    other = structure(uint8(2), array(at_six, at_eight))
    with pytest.raises(MeterCalendarError, match=r"end with rates \[1, 2\]: what holds from mid"):
        from_tables(CalendarTables.read((name, seasons, weeks, array(day, other)), array()))


def test_special_days_of_several_kinds_make_several_seasons() -> None:
    tables = to_tables(CALENDAR)
    entries = array(
        *[
            structure(
                uint16(number), octets(b"\xff\xff" + bytes((month, day)) + b"\xff"), uint8(to)
            )
            for number, (month, day, to) in enumerate(
                ((12, 24, 1), (12, 25, 3), (1, 1, 1), (5, 1, 3), (8, 15, 3))
            )
        ]
    )
    read = CalendarTables.read(tables.attributes(), entries)
    calendar = from_tables(read)
    assert [(each.start, each.holiday_index) for each in calendar.seasons] == [
        (MonthDay(1, 1), 0),
        (MonthDay(4, 1), 2),
        (MonthDay(10, 1), 0),
        (MonthDay(12, 25), 2),
    ]
    rates = TariffCalendar(read).at(TWO_YEARS_S, BERLIN)
    periods = period_indices(calendar, BERLIN, TWO_YEARS_S * 1_000_000)
    assert np.array_equal(rates, periods + 1)


@given(calendars())
def test_text_and_plain_values_are_the_calendar_itself(calendar: Calendar) -> None:
    assert calendar_from_text(calendar_to_text(calendar)) == calendar
    assert calendar_from_plain(calendar_to_plain(calendar)) == calendar


def test_the_text_is_compact_and_carries_its_version() -> None:
    assert calendar_to_text(Calendar.always()) == (
        '{"version":1,"periods":["all"],"days":[[[0,0]]],"seasons":[{"name":"all year",'
        '"start":[1,1],"week":[0,0,0,0,0,0,0],"holiday":0}],"holidays":[]}'
    )
    with pytest.raises(CalendarError, match="of version 2 cannot be read; this reads 1"):
        calendar_from_text('{"version":2}')
    with pytest.raises(CalendarError, match="16385 characters, 16384 is the most"):
        calendar_from_text(" " * 16_385)
    with pytest.raises(CalendarError, match="no calendar: Object contains unknown field `days2`"):
        calendar_from_plain({**calendar_to_plain(Calendar.always()), "days2": []})


def test_an_order_says_what_it_takes() -> None:
    order = CalendarOrder(CALENDAR, datetime(2027, 1, 1, tzinfo=UTC))
    assert CalendarOrder.of(order.arguments()) == order
    assert CalendarOrder.of(CalendarOrder(CALENDAR).arguments()).activate_at is None
    text = calendar_to_text(CALENDAR)
    with pytest.raises(CalendarError, match="activate_at is 'noon'; it takes a time with its zone"):
        CalendarOrder.of({"calendar": text, "activate_at": "noon"})
    with pytest.raises(CalendarError, match=r"takes calendar, .* given: calender"):
        CalendarOrder.of({"calender": text})
    named = Season("x" * 33, MonthDay(1, 1), (0,) * 7, 0)
    order = CalendarOrder(Calendar(("p",), ((Switch(0, 0),),), (named,)))
    with pytest.raises(CalendarError, match="33 octets, the meter holds 32"):
        CalendarOrder.of(order.arguments())


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str)))
def test_no_text_ends_in_anything_but_a_calendar_or_the_error(text: str) -> None:
    with pytest.raises(CalendarError):
        calendar_from_text(text)


leaves = st.one_of(
    st.just(NULL),
    st.integers(0, 255).map(uint8),
    st.integers(0, 400).map(uint16),
    st.binary(max_size=13).map(octets),
    st.just(octets(bytes((0, 0, 10, 0, 100, 255)))),
    st.just(Data(Tag.BOOLEAN, value=True)),
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=9).map(lambda each: array(*each)), max_leaves=20
)


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[tuple[Data, ...], Data]:
    """Good tables of which one value somewhere is another."""
    calendar = draw(calendars())
    tables = to_tables(calendar)
    parts = [*tables.attributes(), tables.entries()]
    place = draw(st.integers(0, 4))
    parts[place] = _spoil(draw, parts[place])
    return tuple(parts[:4]), parts[4]


def _spoil(draw: st.DrawFn, data: Data) -> Data:
    if not isinstance(data.value, tuple) or not data.value or draw(st.booleans()):
        return draw(trees)
    at = draw(st.integers(0, len(data.value) - 1))
    inner = _spoil(draw, data.value[at])
    return Data(data.tag, (*data.value[:at], inner, *data.value[at + 1 :]))


@settings(max_examples=200, deadline=None)
@given(spoilt())
def test_no_tables_end_in_anything_but_a_calendar_or_the_error(
    parts: tuple[tuple[Data, ...], Data],
) -> None:
    attributes, entries = parts
    try:
        calendar = from_tables(CalendarTables.read(attributes, entries))
    except (CosemError, CalendarError):
        return
    period_indices(calendar, BERLIN, TWO_YEARS_S[::97] * 1_000_000)
