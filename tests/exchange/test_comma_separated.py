"""Usage and bills as CSV: by hand, of others' spreadsheets, there and back."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.strategies import usage_files

from metertwin.apps.tariff.bill import Bill, BillLine
from metertwin.apps.tariff.tariff import ChargeKind, Metering
from metertwin.core.clock import to_us
from metertwin.core.ids import MeterId
from metertwin.exchange.comma_separated import (
    bill_lines_csv,
    bills_overview_csv,
    read_usage_csv,
    usage_csv,
)
from metertwin.exchange.usage_file import EXPORT, IMPORT, UsageFile, UsageFileError

ZURICH = ZoneInfo("Europe/Zurich")


def test_rows_tell_local_and_utc_and_exact_energies(october: UsageFile) -> None:
    lines = usage_csv(october).decode().splitlines()
    assert lines[0] == (
        "meter,interval_start,interval_start_utc,interval_s,direction,energy_kwh,energy_kvarh,"
        "quality,origin"
    )
    # The third hour of the day with 25 hours, second time: interval 12 is 3 h after midnight.
    assert lines[13] == (
        "M1,2026-10-25T02:00:00+01:00,2026-10-25T01:00:00Z,900,import,0.112,,good,measured"
    )
    assert lines[8].endswith(",0.107,,suspect,substituted")
    assert lines[100] == (  # scaler 1: three counts are 30 Wh
        "M1,2026-10-25T00:00:00+02:00,2026-10-24T22:00:00Z,900,export,0.03,,good,measured"
    )


@settings(deadline=None)
@given(usage_files())
def test_what_was_written_is_read_back(file: UsageFile) -> None:
    told = {(each.meter, each.register.obis): each for each in file.series if len(each.intervals)}
    if not told:
        return
    back = read_usage_csv(usage_csv(file))
    assert back.notes == []
    assert {(each.meter, each.register.obis) for each in back.series} == set(told)
    for series in back.series:
        expected = told[series.meter, series.register.obis]
        assert series.register == expected.register
        for name in ("start_us", "length_s", "gain", "quality", "origin"):
            ours, theirs = getattr(series.intervals, name), getattr(expected.intervals, name)
            assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "Timestamp;kWh\n2026-01-01 00:00;1,25\n2026-01-01 00:15;0,5\n",
        "timestamp\tUsage (kWh)\r\n2026-01-01T00:00:00+01:00\t1.25\r\n2026-01-01 00:15\t0.5\r\n",
        'Start Time,Energy [kWh]\n\n2026-01-01T00:00,"1.25"\n2026-01-01T00:15,0.5\n',
        "\ufeffinterval_start_utc,kwh\n2025-12-31T23:00:00Z,1.25\n2025-12-31T23:15:00,0.5\n",
    ],
)
def test_spreadsheets_of_others_are_read(text: str) -> None:
    file = read_usage_csv(text.encode(), zone=ZURICH)
    (series,) = file.series
    assert (series.meter, series.register.obis, series.register.scaler) == ("meter", IMPORT, 1)
    assert series.intervals.start_us[0] == to_us(datetime(2025, 12, 31, 23, tzinfo=UTC))
    assert series.intervals.gain.tolist() == [125, 50]  # x 10 Wh
    assert series.intervals.length_s.tolist() == [900, 900]
    assert file.notes == [
        "Took 900 s as the length of intervals of the import of meter: so far they are apart."
    ]


def test_the_hour_that_occurs_twice_is_taken_in_order() -> None:
    hours = ["01:00", "02:00", "02:00", "03:00"]
    text = "start,kwh\n" + "".join(f"2026-10-25 {hour},1\n" for hour in hours)
    starts_us = read_usage_csv(text.encode(), zone=ZURICH).series[0].intervals.start_us
    first = to_us(datetime(2026, 10, 24, 23, tzinfo=UTC))
    assert ((starts_us - first) // 3_600_000_000).tolist() == [0, 1, 2, 3]


def rows_of(*starts: str) -> bytes:
    """Return a file in which the first row has 1 kWh, the second 2 kWh and so on."""
    lines = [f"{start},{number}" for number, start in enumerate(starts, 1)]
    return "\n".join(["start,kwh", *lines]).encode()


QUARTERS_TWICE = [
    "2026-10-25 01:45",
    *[f"2026-10-25 02:{minute}" for minute in ("00", "15", "30", "45")] * 2,
    "2026-10-25 03:00",
]


def test_a_file_that_begins_with_the_newest_has_the_hour_that_occurs_twice_as_well() -> None:
    (series,) = read_usage_csv(rows_of(*QUARTERS_TWICE[::-1]), zone=ZURICH).series
    first = to_us(datetime(2026, 10, 24, 23, 45, tzinfo=UTC))
    assert ((series.intervals.start_us - first) // 900_000_000).tolist() == list(range(10))
    # The oldest row stands last and has 10 kWh.
    assert series.intervals.gain.tolist() == list(range(10, 0, -1))


@pytest.mark.parametrize(
    "starts",
    [
        ("2026-10-25 02:00", "2026-10-25 02:00", "2026-10-25 01:00"),  # it begins with the hour
        ("2026-10-25 03:00", "2026-10-25 02:00", "2026-10-25 02:00"),  # it ends with it
        ("2025-10-26 03:00", "2025-10-26 02:00", "2025-10-26 02:00", "2025-10-26 01:00"),
    ],
)
def test_the_newest_may_stand_first_at_a_files_ends(starts: tuple[str, ...]) -> None:
    (series,) = read_usage_csv(rows_of(*starts), zone=ZURICH).series
    assert set(np.diff(series.intervals.start_us).tolist()) == {3_600_000_000}
    assert series.intervals.gain.tolist() == list(range(len(starts), 0, -1))


def test_a_late_row_elsewhere_leaves_the_order_of_the_hour_clear() -> None:
    late = [*QUARTERS_TWICE[::-1], "2026-10-26 00:00"]
    (series,) = read_usage_csv(rows_of(*late), zone=ZURICH).series
    assert series.intervals.gain.tolist() == [*range(10, 0, -1), 11]


def test_an_order_that_leaves_the_hour_open_is_told_and_its_remedy() -> None:
    starts = ("2026-10-25 02:00", "2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25 00:00")
    with pytest.raises(UsageFileError) as caught:
        read_usage_csv(rows_of("2026-10-25 03:00", *starts, "2026-10-25 04:00"), zone=ZURICH)
    assert str(caught.value) == (
        "The file: in the import of meter rows stand neither oldest nor newest first around the "
        "hour from 2026-10-25T00:00:00+00:00 on, which clocks show twice, so either can be meant; "
        "sort the rows, or write starts with their offset."
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_daily_rows_last_from_midnight_to_midnight(sign: int) -> None:
    march = [f"2026-03-{day:02}" for day in range(28, 32)]
    file = read_usage_csv(rows_of(*march[::sign]), zone=ZURICH)
    (series,) = file.series
    # Summer time begins on 29 March: 23 h. The fourth day's end is a midnight as well.
    assert series.intervals.length_s.tolist() == [86_400, 82_800, 86_400, 86_400]
    assert series.register.period_s == 86_400
    assert file.notes == [
        (
            "Took local days of Europe/Zurich as the intervals of the import of meter: its starts "
            "are midnights, a day apart."
        )
    ]
    october = [f"2026-10-{day:02} 00:00" for day in (24, 25, 27)]
    (series,) = read_usage_csv(rows_of(*october[::sign]), zone=ZURICH).series
    assert series.intervals.length_s.tolist() == [86_400, 90_000, 86_400]  # the 26th is missing


def test_weekly_rows_last_seven_local_days_and_other_days_of_24_hours_stay_so() -> None:
    (weeks,) = read_usage_csv(rows_of("2026-03-23", "2026-03-30", "2026-04-06"), zone=ZURICH).series
    assert weeks.intervals.length_s.tolist() == [601_200, 604_800, 604_800]  # 167 h and 168 h
    utc = rows_of("2026-03-28T00:00Z", "2026-03-29T00:00Z", "2026-03-30T00:00Z")
    assert read_usage_csv(utc, zone=ZURICH).series[0].intervals.length_s.tolist() == [86_400] * 3
    noon = rows_of("2026-03-26 12:00", "2026-03-27 12:00", "2026-03-28 12:00")
    assert read_usage_csv(noon, zone=ZURICH).series[0].intervals.length_s.tolist() == [86_400] * 3


def test_a_date_is_a_day_even_where_clocks_skip_its_midnight() -> None:
    # In Cairo summer time begins at midnight: 24 April 2026 begins at 01:00, 23 h long.
    days = rows_of("2026-04-23", "2026-04-24", "2026-04-25")
    (series,) = read_usage_csv(days, zone=ZoneInfo("Africa/Cairo")).series
    assert series.intervals.length_s.tolist() == [86_400, 82_800, 86_400]
    assert series.intervals.start_us[1] == to_us(datetime(2026, 4, 23, 22, tzinfo=UTC))


def test_a_row_that_cannot_be_read_makes_no_other_problem() -> None:
    with pytest.raises(UsageFileError) as caught:
        read_usage_csv(b"start,kwh\n2026-01-01T00:00Z,1\n2026-01-01T01:00Z,one\n")
    assert str(caught.value) == (
        "The file: line 3: energy 'one' is not a number of 0 or more such as 0.25."
    )


def test_problems_are_told_together_with_their_lines() -> None:
    text = (
        "start;meter;direction;kWh;origin\n"
        "2026-03-29 02:30;M1;import;1;\n"
        "soon;M1;import;1;\n"
        "2026-01-01 00:00;M1;sideways;1;\n"
        "2026-01-01 00:00;M1;import;1.000,5;\n"
        "2026-01-01 00:00;M 1;import;1;\n"
        "2026-01-01 00:00;M1;import;1;guessed\n"
        "2026-01-01 00:00;M1;import\n"
        "1926-01-01 00:00;M1;import;1;\n"
    )
    with pytest.raises(UsageFileError) as caught:
        read_usage_csv(text.encode(), "usage.csv", ZURICH)
    assert str(caught.value) == (
        "usage.csv: line 2: start '2026-03-29 02:30' does not exist in Europe/Zurich: clocks skip "
        "it; line 3: start 'soon' is not a time such as 2026-10-25T02:00:00+01:00; line 4: "
        "direction 'sideways' is neither import nor export; line 5: energy '1.000,5' is not a "
        "number of 0 or more such as 0.25; line 6: Meter id 'M 1' is not usable; write 1 to 64 of "
        "A-Z a-z 0-9 _ -, beginning with a letter or digit; line 7: origin 'guessed' is not known; "
        "known are measured, estimated, substituted, simulated; line 8 has 3 cells, the header 5; "
        "line 9: start '1926-01-01 00:00' is not on a whole second from 1970 to 2200."
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no column start_utc or start, no column kWh or kvarh; its first line says noth"),
        ("day;amount\n1;2\n", "its first line says day, amount. Known are"),
        ("start,kwh,usage kwh\n", "has several columns kWh; keep one of each"),
        ("start,kwh\n2026-01-01T00:00Z,1\n", "has one row and no length; add a column interval_s"),
        ("start,kwh\n2026-01-01T00:00,1\n", "has no offset such as .01:00; name the zone"),
        ("start,kwh\n", "there is no row with an energy in it"),
        ('start,kwh\n"2026', "line 2 cannot be read: unexpected end of data"),
        (
            "start,kwh,interval_s\n2026-01-01T00:00Z,1,900\n2026-01-01T00:05Z,2,900\n",
            "900 s with 1 counts and that from 2026-01-01T00:05:00.00:00 of 900 s with 2 counts ov",
        ),
    ],
)
def test_what_cannot_be_usage_is_refused_with_the_remedy(text: str, words: str) -> None:
    with pytest.raises(UsageFileError, match=words):
        read_usage_csv(text.encode())


def test_columns_that_are_not_ours_are_told() -> None:
    text = "start,kwh,mood,interval_s\n2026-01-01T00:00Z,1,good,900\n"
    assert read_usage_csv(text.encode()).notes == ["Left out the columns mood."]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_usage_or_the_documented_error(octets: bytes) -> None:
    for head in (b"", b"start,kwh,interval_s,direction,quality,origin,meter\n", b"start;kvarh\n"):
        read_or_refuse(head + octets)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_damage_to_a_valid_file_is_usage_or_the_documented_error(data: st.DataObject) -> None:
    octets = bytearray(
        b"meter,interval_start,interval_s,direction,energy_kwh,quality,origin\n"
        b"M1,2026-10-25T02:00:00+01:00,900,import,0.112,good,measured\n"
        b"M1,2026-10-25T02:15:00+01:00,900,export,0.112,suspect,estimated\n"
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets) - 1))
        piece = data.draw(
            st.sampled_from([b"", b"\n", b'"', b",", b"9" * 15, b"\xff", b"\x00", b";"])
            | st.binary(max_size=4)
        )
        octets[at : at + data.draw(st.integers(0, 20))] = piece
    read_or_refuse(bytes(octets))


def read_or_refuse(octets: bytes) -> None:
    try:
        read_usage_csv(octets, zone=ZURICH)
    except UsageFileError as error:
        assert len(str(error)) < 10_000  # noqa: PT017  the message is the point


BILL = Bill(
    meter=MeterId("M1"),
    tariff="home",
    tariff_version=3,
    currency="EUR",
    month=date(2026, 10, 1),
    start=datetime(2026, 9, 30, 22, tzinfo=UTC),
    end=datetime(2026, 10, 31, 23, tzinfo=UTC),
    is_final=True,
    tier_rule=None,
    metering=Metering.IMPORT_ONLY,
    lines=[
        BillLine(
            ChargeKind.ENERGY,
            "Energy",
            Decimal("42.69"),
            'Of 213.4565 kWh, all at "peak".',
            period="peak",
            tier=1,
            quantity=Decimal("213.4565"),
            unit="kWh",
            rate=Decimal("0.2"),
        ),
        BillLine(ChargeKind.FIXED, "Meter", Decimal("5.52"), "One month."),
    ],
    total=Decimal("48.21"),
    import_kwh=Decimal("213.4565"),
    export_kwh=Decimal(0),
    interval_count=2980,
    estimated_count=4,
    missing_count=0,
    estimated_kwh=Decimal("0.4"),
    usage_digest="00ff",
)


def test_bills_are_a_row_per_line() -> None:
    rows = list(csv.DictReader(io.StringIO(bill_lines_csv([BILL, BILL]).decode())))
    assert len(rows) == 4
    assert rows[0]["because"] == 'Of 213.4565 kWh, all at "peak".'
    assert {name: rows[1][name] for name in ("month", "line", "kind", "quantity", "amount")} == {
        "month": "2026-10-01",
        "line": "2",
        "kind": "fixed",
        "quantity": "",
        "amount": "5.52",
    }
    assert sum(Decimal(row["amount"]) for row in rows[:2]) == Decimal(rows[0]["total"])


def test_the_overview_is_a_row_per_bill() -> None:
    (row,) = csv.DictReader(io.StringIO(bills_overview_csv([BILL]).decode()))
    assert (row["total"], row["estimated_count"], row["is_final"]) == ("48.21", "4", "yes")


def test_energy_fed_in_is_another_series() -> None:
    text = "start,kwh,interval_s,direction\n2026-01-01T00:00Z,1,900,export\n"
    assert read_usage_csv(text.encode()).series[0].register.obis == EXPORT
