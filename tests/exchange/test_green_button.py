"""Green Button files: by hand, against another reader, and there and back."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from greenbutton_objects import parse
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.strategies import UPDATED_AT, assert_same_series, usage_files

from metertwin.apps.tariff.bill import Bill, BillLine
from metertwin.apps.tariff.tariff import ChargeKind, Metering
from metertwin.core.ids import MeterId
from metertwin.core.reading import Origin, Quality
from metertwin.exchange.bill_summary import BillSummary, SummaryLine
from metertwin.exchange.green_button import green_button, read_green_button
from metertwin.exchange.green_button.codes import as_told
from metertwin.exchange.usage_file import UsageFile, UsageFileError

NAMES = {"atom": "http://www.w3.org/2005/Atom", "espi": "http://naesb.org/espi"}
BILL = BillSummary(
    meter=MeterId("M1"),
    start=datetime(2026, 9, 30, 22, tzinfo=UTC),
    end=datetime(2026, 10, 31, 23, tzinfo=UTC),
    at=datetime(2026, 11, 1, tzinfo=UTC),
    currency="EUR",
    last_total=Decimal("48.21"),
    import_wh=Decimal("213456.5"),
    tariff="home version 3",
    lines=[
        SummaryLine(
            "Energy, peak: 213 kWh at 0.20 <EUR>", Decimal("42.69130"), 3, Decimal("213456.5"), "Wh"
        ),
        SummaryLine("Meter", Decimal("5.5187"), 4),
    ],
)

RATED = Bill(
    meter=MeterId("M1"),
    tariff="home",
    tariff_version=3,
    currency="EUR",
    month=date(2026, 10, 1),
    start=BILL.start,
    end=BILL.end,
    is_final=True,
    tier_rule=None,
    metering=Metering.IMPORT_ONLY,
    lines=[],
    total=Decimal(0),
    import_kwh=Decimal("213.456"),
    export_kwh=Decimal(0),
    interval_count=2980,
    estimated_count=4,
    missing_count=0,
    estimated_kwh=Decimal("0.4"),
    usage_digest="00ff",
)


def test_another_reader_reads_what_was_written(october: UsageFile) -> None:
    points = parse.parse_feed(BytesIO(green_button(october, UPDATED_AT)))
    assert [point.title for point in points] == ["M1", "M2"]
    readings = {reading.title: reading for reading in points[0].meterReadings}
    drawn, fed_in = readings["Drawn & measured"], readings["Fed in"]
    assert drawn.readingType.uom.name == "wattHours"
    assert drawn.readingType.flowDirection.name == "forward"
    assert drawn.readingType.accumulationBehaviour.name == "deltaData"
    assert drawn.readingType.intervalLength == 900
    assert fed_in.readingType.flowDirection.name == "reverse"
    told = list(drawn.intervalReadings)
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    # Interval 50 is missing, all others are 100 + n Wh.
    left = [n for n in range(100) if n != 50]
    assert [each.value for each in told] == [100 + n for n in left]
    assert [each.timePeriod.start for each in told] == [
        start + n * timedelta(minutes=15) for n in left
    ]
    assert {each.timePeriod.duration for each in told} == {timedelta(minutes=15)}
    qualities = {
        n: sorted(mark.quality.value for mark in each.readingQualities)
        for n, each in enumerate(told)
        if each.readingQualities
    }
    assert qualities == {5: [8], 6: [10], 7: [7, 10]}
    # Scaler 1: a count is 10 Wh.
    assert [each.value for each in fed_in.intervalReadings] == [30, 0, 70]


def test_a_local_day_of_25_hours_is_one_block(october: UsageFile) -> None:
    points = parse.parse_feed(BytesIO(green_button(october, UPDATED_AT)))
    drawn = next(each for each in points[0].meterReadings if each.title == "Drawn & measured")
    (block,) = drawn.intervalBlocks
    assert block.interval.duration == timedelta(hours=25)


def test_a_bill_stands_in_hundred_thousandths_with_its_lines(october: UsageFile) -> None:
    octets = green_button(UsageFile(october.series, [BILL], zone=october.zone), UPDATED_AT)
    found = ET.fromstring(octets).find(".//espi:UsageSummary", NAMES)
    assert found is not None
    told = {
        path: found.findtext(path, None, NAMES)
        for path in (
            "espi:billingPeriod/espi:start",
            "espi:billingPeriod/espi:duration",
            "espi:billLastPeriod",
            "espi:billToDate",
            "espi:currency",
            "espi:overallConsumptionLastPeriod/espi:value",
            "espi:overallConsumptionLastPeriod/espi:powerOfTenMultiplier",
            "espi:tariffProfile",
        )
    }
    assert list(told.values()) == [
        "1790805600",  # 2026-09-30T22:00Z
        "2682000",  # 31 days and the hour that October has twice: 31 x 86400 + 3600
        "4821000",  # 48.21 x 100000
        None,
        "978",
        "2134565",  # x 10^-1 Wh
        "-1",
        "home version 3",
    ]
    lines = found.findall("espi:costAdditionalDetailLastPeriod", NAMES)
    assert [line.findtext("espi:amount", None, NAMES) for line in lines] == ["4269130", "551870"]
    assert lines[0].findtext("espi:note", None, NAMES) == BILL.lines[0].note
    assert [child.tag.partition("}")[2] for child in found] == [  # the schema's sequence
        "billingPeriod",
        "billLastPeriod",
        "costAdditionalDetailLastPeriod",
        "costAdditionalDetailLastPeriod",
        "currency",
        "overallConsumptionLastPeriod",
        "statusTimeStamp",
        "commodity",
        "tariffProfile",
    ]


def test_bills_come_back(october: UsageFile) -> None:
    so_far = BillSummary(
        MeterId("M2"), BILL.start, BILL.end, BILL.at, "EUR", so_far_total=Decimal("-1.5"), lines=[]
    )
    octets = green_button(UsageFile(october.series, [BILL, so_far]), UPDATED_AT)
    assert list(read_green_button(octets).bills) == [BILL, so_far]


AMOUNTS = st.decimals(-(10**8), 10**8, places=5)
LINES = st.builds(
    SummaryLine,
    note=st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=256),
    amount=AMOUNTS,
    item_kind=st.integers(1, 10),
    value=st.decimals(0, 10**8, places=3),
    unit=st.sampled_from(["Wh", "W", "VA", "varh"]),
)


@settings(deadline=None)
@given(AMOUNTS, AMOUNTS | st.none(), st.lists(LINES, max_size=4), st.sampled_from(["CHF", "CNY"]))
def test_any_bill_comes_back(
    last: Decimal, so_far: Decimal | None, lines: list[SummaryLine], currency: str
) -> None:
    bill = replace(
        BILL, last_total=last, so_far_total=so_far, lines=lines, currency=currency, tariff=""
    )
    assert read_green_button(green_button(UsageFile(bills=[bill]), UPDATED_AT)).bills == [bill]


def test_a_bill_so_far_is_told_with_its_lines() -> None:
    lines = [
        BillLine(
            ChargeKind.ENERGY,
            "Energy",
            Decimal("1.2345675"),
            "Because of " + 300 * "x",
            period="peak",
            tier=2,
            quantity=Decimal("4.5678"),
            unit="kWh",
        ),
        BillLine(ChargeKind.FIXED, "Meter", Decimal("5.52"), "One month.", unit="month"),
        BillLine(ChargeKind.ENERGY, "Sold", Decimal(-2), "Fed in."),
    ]
    bill = replace(RATED, lines=lines, total=Decimal("6.75"), is_final=False)
    told = BillSummary.of(bill, UPDATED_AT)
    assert (told.last_total, told.so_far_total) == (None, Decimal("6.75"))
    assert told.import_wh == 213_456
    first, second, third = told.lines
    assert first.note.startswith("Energy, peak, block 2: Because of xxx")
    assert (len(first.note), first.note[-3:]) == (256, "...")
    assert first.amount == Decimal("1.23457")  # 1.23456|75 is nearer to 57
    assert (first.item_kind, first.value, first.unit) == (3, Decimal("4567.8"), "Wh")
    assert (second.note, second.value, second.unit) == ("Meter: One month.", None, "")
    assert (second.item_kind, third.item_kind) == (4, 6)


def test_the_same_usage_gives_the_same_bytes(october: UsageFile) -> None:
    octets = green_button(october, UPDATED_AT)
    assert octets == green_button(october, UPDATED_AT)
    ids = [each.text for each in ET.fromstring(octets).iterfind(".//atom:id", NAMES)]
    assert len(ids) == len(set(ids))


@settings(deadline=None)
@given(usage_files())
def test_what_was_written_is_read_back(file: UsageFile) -> None:
    back = read_green_button(green_button(file, UPDATED_AT))
    assert len(back.series) == len(file.series)
    assert back.notes == []
    assert back.zone == file.zone
    by_key = {(each.meter, each.register.obis): each for each in back.series}
    for series in file.series:
        told = by_key[series.meter, series.register.obis]
        assert_same_series(series, told)
        assert told.intervals.quality.tolist() == as_told(series.intervals.quality).tolist()
        assert told.intervals.origin.tolist() == series.intervals.origin.tolist()


def test_a_year_of_quarter_hours_has_a_block_per_day(year: UsageFile) -> None:
    octets = green_button(year, UPDATED_AT)
    assert octets.count(b"<IntervalBlock") == 365
    back = read_green_button(octets).series[0]
    assert back.intervals.gain.tolist() == year.series[0].intervals.gain.tolist()


@pytest.mark.parametrize(
    ("origin", "quality"),
    [(Origin.MEASURED, Quality.DAYLIGHT_SAVING), (Origin.SIMULATED, Quality.CLOCK_ADJUSTED)],
)
def test_doubts_become_questionable_and_marks_are_none(
    october: UsageFile, origin: Origin, quality: Quality
) -> None:
    october.series[2].intervals.origin[0] = origin
    october.series[2].intervals.quality[0] = quality
    back = read_green_button(green_button(october, UPDATED_AT)).series[2].intervals
    assert back.origin[0] == origin
    assert back.quality[0] == (0 if quality is Quality.DAYLIGHT_SAVING else Quality.SUSPECT)


def test_what_cannot_be_said_is_refused_before_anything_is_written(october: UsageFile) -> None:
    series = october.series[0]
    series.intervals.start_us[3] += 1
    series.intervals.gain[4] = 1 << 50
    with pytest.raises(UsageFileError) as caught:
        green_button(UsageFile([series, series]), UPDATED_AT)
    for words in ("beyond 47 bits", "not on whole seconds", "M1 has several series of 1-0:1.8.0"):
        assert words in str(caught.value)


def test_the_documents_table_of_qualities_names_every_code() -> None:
    text = (Path(__file__).parents[2] / "docs/green-button.md").read_text()
    for code in ("0 valid", "7 manually edited", "8 (by", "9 (by", "10 questionable", "11 derived"):
        assert code in text
