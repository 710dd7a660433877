"""Every tariff becomes a document and the same tariff again; no text ends in a surprise."""

import json
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.apps.tariff.calendar import Calendar, Holiday, MonthDay, Season, Switch
from metertwin.apps.tariff.demand import (
    CapacityBasis,
    CapacityCharge,
    DemandCharge,
    DemandMeasure,
    DemandTier,
    PowerFactorAdjustment,
    PowerFactorBand,
    Ratchet,
)
from metertwin.apps.tariff.documents import (
    TariffDocumentError,
    parse_tariff,
    tariff_from_plain,
    tariff_to_plain,
    tariff_yaml,
)
from metertwin.apps.tariff.energy import (
    CriticalPeak,
    CriticalPeakMode,
    EnergyCharge,
    RealTimePrice,
    Tier,
    TierBasis,
    TierRule,
    TierScope,
    TierUnit,
)
from metertwin.apps.tariff.rating.checks import EFFECTIVE_UNDER
from metertwin.apps.tariff.tariff import (
    ChargeKind,
    ChargePeriod,
    ExportTerms,
    FixedCharge,
    Levy,
    Metering,
    Prepayment,
    Tariff,
    Tax,
)
from metertwin.core.money import Rounding, RoundingMode, RoundingPlace

names = st.text(max_size=12)
prices = st.decimals(-(10**6), 10**6, places=17, allow_nan=False)
positive = st.decimals(0, 10**6, places=4, allow_nan=False)
ratios = st.decimals(0, 1, places=3)
months = st.integers(1, 12)
month_sets = st.frozensets(months)
month_days = st.dates(date(2024, 1, 1), date(2024, 12, 31)).map(lambda d: MonthDay(d.month, d.day))
holidays = st.dates().map(lambda d: Holiday(d.month, d.day, d.year)) | month_days.map(
    lambda d: Holiday(d.month, d.day)
)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    periods = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    index = st.integers(0, len(periods) - 1)
    days = []
    for _ in range(draw(st.integers(1, 4))):
        minutes = sorted({0, *draw(st.sets(st.integers(1, 1439), max_size=5))})
        days.append(tuple(Switch(minute, draw(index)) for minute in minutes))
    day = st.integers(0, len(days) - 1)
    starts = sorted(draw(st.sets(month_days, min_size=1, max_size=4)))
    week = st.tuples(*[day] * 7) | day.map(lambda d: (d,) * 7)
    seasons = tuple(Season(draw(names), start, draw(week), draw(day)) for start in starts)
    return Calendar(
        tuple(periods), tuple(days), seasons, tuple(draw(st.lists(holidays, max_size=3)))
    )


@st.composite
def energy_charges(draw: st.DrawFn) -> EnergyCharge:
    calendar = draw(calendars())
    limits: list[Decimal | None] = [*sorted(draw(st.sets(positive.filter(bool), max_size=3))), None]
    sells = st.none() | prices
    tiers = tuple(
        tuple(Tier(limit, draw(prices), draw(sells)) for limit in limits) for _ in calendar.periods
    )
    return EnergyCharge(
        calendar,
        tiers,
        draw(st.sampled_from(TierRule)) if len(limits) > 1 else None,
        draw(st.sampled_from(TierBasis)),
        draw(st.sampled_from(TierScope)),
        draw(st.sampled_from(TierUnit)),
    )


@st.composite
def demand_charges(draw: st.DrawFn) -> DemandCharge:
    calendar = draw(calendars())
    limits: list[Decimal | None] = [*sorted(draw(st.sets(positive.filter(bool), max_size=2))), None]
    tiers = tuple(
        tuple(DemandTier(limit, draw(prices)) for limit in limits) for _ in calendar.periods
    )
    ratchet = st.builds(Ratchet, ratios, st.integers(1, 12), month_sets, month_sets)
    return DemandCharge(
        draw(names),
        calendar,
        tiers,
        draw(st.sampled_from([0, 900, 1800])),
        draw(st.sampled_from(DemandMeasure)),
        draw(st.none() | ratchet),
        draw(positive),
    )


def unlike(charges: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(charges, max_size=2, unique_by=lambda c: c.name).map(tuple)  # type: ignore[attr-defined]  # each has one


bands = st.sets(ratios.filter(bool), max_size=3).flatmap(
    lambda starts: st.tuples(
        *[
            st.builds(PowerFactorBand, st.just(start), prices)
            for start in [Decimal(0), *sorted(starts)]
        ]
    )
)
real_time = st.builds(RealTimePrice, prices, prices, prices, prices)


@st.composite
def export_terms(draw: st.DrawFn) -> ExportTerms:
    metering = draw(st.sampled_from(Metering))
    drawn: dict[str, Any] = {
        "sell_equals_buy": draw(st.booleans()),
        "true_up_month": draw(months),
        "true_up_per_kwh": draw(prices),
        "credit_starts_next_month": draw(st.booleans()),
        "credit_expires": draw(st.booleans()),
    }
    said = {name: value for name, value in drawn.items() if metering in EFFECTIVE_UNDER[name]}
    return ExportTerms(metering, **said)


capacities = st.builds(
    CapacityCharge,
    names,
    st.sampled_from(CapacityBasis),
    prices,
    positive,
    positive,
    st.integers(0, 86_400),
)
peaks = st.builds(
    CriticalPeak,
    prices,
    st.sampled_from(CriticalPeakMode),
    st.none() | st.integers(0, 99),
    st.none() | positive,
)
roundings = st.builds(
    Rounding, st.integers(0, 6), st.sampled_from(RoundingMode), st.sampled_from(RoundingPlace)
)


def applicable(tariff: Tariff) -> bool:
    try:
        tariff_from_plain(tariff_to_plain(tariff), "drawn")
    except TariffDocumentError as error:
        # What check_tariff refuses is no tariff; anything else would be the document's own fault.
        if "contradicts itself" not in str(error):
            raise
        return False
    return True


tariffs = st.builds(
    Tariff,
    id=st.text(min_size=1, max_size=12),
    version=st.integers(0, 99),
    name=names,
    currency=st.sampled_from(["EUR", "CNY", "USD"]),
    zone=st.sampled_from(["Europe/Berlin", "Asia/Shanghai", "UTC"]),
    energy=energy_charges() | real_time,
    rounding=roundings,
    valid_from=st.none() | st.dates(max_value=date(2020, 1, 1)),
    valid_until=st.none() | st.dates(min_value=date(2021, 1, 1)),
    month_start_day=st.integers(1, 28),
    year_start_month=months,
    demand=unlike(demand_charges()),
    capacity=st.none() | capacities,
    power_factor=st.none() | st.builds(PowerFactorAdjustment, bands),
    critical_peak=st.none() | peaks,
    export=export_terms(),
    fixed=unlike(st.builds(FixedCharge, names, prices, st.sampled_from(ChargePeriod))),
    levies=unlike(st.builds(Levy, names, prices)),
    minimum_per_month=positive,
    minimum_per_year=positive,
    taxes=unlike(
        st.builds(Tax, names, prices, st.frozensets(st.sampled_from(ChargeKind), min_size=1))
    ),
    prepayment=st.none() | st.builds(Prepayment, prices, positive),
    source=names,
).filter(applicable)


@settings(max_examples=120, deadline=None)
@given(tariffs)
def test_a_tariff_written_and_read_is_the_same_tariff(tariff: Tariff) -> None:
    assert parse_tariff(tariff_yaml(tariff), "written") == tariff


@settings(max_examples=60, deadline=None)
@given(tariffs)
def test_plain_values_survive_json_and_are_the_same_tariff(tariff: Tariff) -> None:
    plain = json.loads(json.dumps(tariff_to_plain(tariff)))
    assert tariff_from_plain(plain, "json") == tariff


@settings(max_examples=60, deadline=None)
@given(tariffs)
def test_what_is_written_is_what_another_yaml_reader_reads(tariff: Tariff) -> None:
    # The oracle is PyYAML's own composer with every scalar taken as text.
    read = yaml.load(tariff_yaml(tariff), Loader=yaml.BaseLoader)

    def texts(value: object) -> object:
        if isinstance(value, dict):
            return {key: texts(item) for key, item in value.items()}
        if isinstance(value, list):
            return [texts(item) for item in value]
        return str(value).lower() if isinstance(value, bool) else str(value)

    assert read == texts(tariff_to_plain(tariff))


def ends_as_documented(text: str) -> None:
    try:
        tariff = parse_tariff(text, "fuzz")
    except TariffDocumentError:
        return
    assert parse_tariff(tariff_yaml(tariff), "again") == tariff


characters = list("abn0179.,:-&*!%@?|>{}[]#'\"\\ \t\n\r\x00\ufeff\x85\u2028\ud800")
words = ["\n  ", ": ", "- ", "? ", "--- ", "...\n", "<<: ", "%YAML 1.", "\\U", "energy", "periods"]
yaml_like = st.lists(st.sampled_from(characters + words), max_size=60).map("".join)


@settings(max_examples=400, deadline=None)
@given(st.text() | yaml_like)
def test_any_text_is_a_tariff_or_the_documented_error(text: str) -> None:
    ends_as_documented(text)


@settings(max_examples=150, deadline=None)
@given(tariffs, st.data())
def test_a_damaged_document_is_a_tariff_or_the_documented_error(
    tariff: Tariff, data: st.DataObject
) -> None:
    text = tariff_yaml(tariff)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    ends_as_documented(text[:start] + data.draw(yaml_like) + text[end:])


plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.decimals()
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
tariff_keys = st.sampled_from(["id", "version", "name", "zone", "currency", "energy", "demand"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(tariff_keys | st.text(max_size=9), plain_values))
def test_any_plain_mapping_is_a_tariff_or_the_documented_error(plain: dict[str, object]) -> None:
    with suppress(TariffDocumentError):
        tariff_from_plain(plain, "fuzz")
