"""Series of prices as CSV: exact, complete, in the tariff's currency."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.apps.tariff.rating import PriceSeries
from metertwin.core.clock import to_us
from metertwin.exchange.comma_separated import read_prices_csv
from metertwin.exchange.usage_file import UsageFileError

ZURICH = ZoneInfo("Europe/Zurich")
MIDNIGHT_US = to_us(datetime(2026, 2, 28, 23, tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    [
        "start,price_per_kwh\n2026-03-01 00:00,0.0825\n2026-03-01 01:00,-0.0015\n",
        "start_utc,EUR/kWh\n2026-03-01T00:00,-0.0015\n2026-02-28T23:00,0.0825\n",
        "Timestamp;Price (EUR/MWh)\n2026-03-01 00:00;82,5\n2026-03-01 01:00;-1,5\n",
        "start\tprice_per_mwh\n2026-03-01T00:00+01:00\t82.50\n2026-03-01T01:00+01:00\t-1.5\n",
    ],
)
def test_prices_per_kwh_or_mwh_are_read_exactly(text: str) -> None:
    series, notes = read_prices_csv(text.encode(), "EUR", zone=ZURICH)
    assert series == PriceSeries(MIDNIGHT_US, 3600, (Decimal("0.0825"), Decimal("-0.0015")))
    assert notes == []


@pytest.mark.parametrize("sign", [1, -1])
def test_the_hour_that_occurs_twice_has_two_prices(sign: int) -> None:
    rows = ["2026-10-25 01:00,1", "2026-10-25 02:00,2", "2026-10-25 02:00,3", "2026-10-25 03:00,4"]
    text = "\n".join(["start,price_per_kwh", *rows[::sign]])
    series, _ = read_prices_csv(text.encode(), "EUR", zone=ZURICH)
    assert series.start_us == to_us(datetime(2026, 10, 24, 23, tzinfo=UTC))
    assert [int(price) for price in series.prices_per_kwh] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            (
                "start,price_per_kwh\n2026-01-01T00:00Z,1\n2026-01-01T01:00Z,1\n2026-01-01T04:00Z,1\n"
                "2026-01-01T05:00Z,1\n"
            ),
            "no price is given from 2026-01-01T02:00:00+00:00 to 2026-01-01T04:00:00+00:00.",
        ),
        (
            (
                "start,price_per_kwh\n2026-01-01T00:00Z,1\n2026-01-01T01:00Z,1\n2026-01-01T02:00Z,1\n"
                "2026-01-01T02:15Z,1\n"
            ),
            (
                "prices from 2026-01-01T02:00:00+00:00 and 2026-01-01T02:15:00+00:00 are 900 s "
                "apart, most are 3600 s; give all in steps of one length."
            ),
        ),
        (
            "start,price_per_kwh\n2026-01-01T00:00Z,1\n2026-01-01T00:00Z,2\n",
            "from 2026-01-01T00:00:00+00:00 on there are two prices per kWh, 1 and 2",
        ),
        ("start,price_per_kwh\n2026-01-01T00:00Z,1\n", "there are fewer than two prices"),
        ("start,price_per_kwh\n", "there are fewer than two prices"),
        ("start,price\n", "has no column price_per_kwh or price_per_mwh; its first line says"),
        ("start,price (USD/MWh)\n", "has no column price_per_kwh or price_per_mwh; its first line"),
        ("start,price_per_kwh,eur_mwh\n", "has prices per kWh and per MWh; keep one of them"),
        (
            "start,price_per_kwh\n2026-01-01T00:00Z,cheap\nsoon,1\n",
            "line 2: price 'cheap' is not a number such as 0.0825 or -1.5; line 3: start 'soon' is",
        ),
        (
            "start,price_per_kwh\n2026-01-01 00:00,1\n",
            "has no offset such as +01:00; name the zone",
        ),
    ],
)
def test_what_is_no_series_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageFileError) as caught:
        read_prices_csv(text.encode(), "EUR")
    assert told in str(caught.value)


def test_other_columns_are_told() -> None:
    text = "start,area,price_per_kwh\n2026-01-01T00:00Z,CH,1\n2026-01-01T01:00Z,CH,1\n"
    assert read_prices_csv(text.encode(), "EUR")[1] == ["Left out the columns area of The file."]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_prices_or_the_documented_error(octets: bytes) -> None:
    for head in (b"", b"start,price_per_kwh\n", b"start;eur_mwh\n2026-01-01T00:00Z;1\n"):
        try:
            series, _ = read_prices_csv(head + octets, "EUR", zone=ZURICH)
        except UsageFileError:
            continue
        assert series.period_s > 0
