"""What is wrong with a document is said with line, place, value, rule and remedy, all at once."""

import pytest

from metertwin.apps.tariff.calendar import Calendar, Holiday, MonthDay, Switch
from metertwin.apps.tariff.demand import DemandTier, Ratchet
from metertwin.apps.tariff.documents import (
    TariffDocumentError,
    parse_tariff,
    tariff_from_plain,
    tariff_yaml,
)
from metertwin.apps.tariff.energy import EnergyCharge, RealTimePrice
from metertwin.apps.tariff.tariff import Tariff

HEAD = """id: t
version: 1
name: a tariff
currency: EUR
zone: Europe/Berlin
"""
FLAT = HEAD + "energy: {periods: {all: {price_per_kwh: 0.30}}}\n"
DAY_NIGHT = (
    HEAD
    + """energy:
  calendar:
    days:
      workday:
        22:00-07:00: low
        07:00-22:00: high
      restday:
        00:00-24:00: low
    seasons:
      - {name: summer, from: 1 April, weekdays: workday, weekend: restday}
      - {name: winter, from: January, every_day: workday, holidays: restday}
    holidays: [25 December, 2026-04-03, Jan 1]
  periods:
    high: {price_per_kwh: 0.34}
    low: {price_per_kwh: 0.22}
"""
)


def problems_of(text: str) -> list[str]:
    with pytest.raises(TariffDocumentError) as raised:
        parse_tariff(text, "t.yaml")
    assert str(raised.value).startswith("t.yaml")
    return [str(problem) for problem in raised.value.problems]


def energy_of(tariff: Tariff) -> EnergyCharge:
    assert isinstance(tariff.energy, EnergyCharge)
    return tariff.energy


def test_days_go_past_midnight_and_seasons_stand_in_any_order() -> None:
    calendar = energy_of(parse_tariff(DAY_NIGHT, "t.yaml")).calendar
    assert calendar.periods == ("high", "low")
    # low until 7 x 60, high until 22 x 60, low until midnight
    assert calendar.day_profiles[0] == (Switch(0, 1), Switch(420, 0), Switch(1320, 1))
    winter, summer = calendar.seasons
    assert (winter.start, summer.start) == (MonthDay(1, 1), MonthDay(4, 1))
    assert (summer.week, summer.holiday_index) == ((0, 0, 0, 0, 0, 1, 1), 1)
    assert (winter.week, winter.holiday_index) == ((0,) * 7, 1)
    assert calendar.holidays == (Holiday(12, 25), Holiday(4, 3, 2026), Holiday(1, 1))


def test_prices_are_the_digits_that_were_written() -> None:
    (tier,) = energy_of(parse_tariff(FLAT, "t.yaml")).tiers[0]
    assert str(tier.price_per_kwh) == "0.30"
    assert energy_of(parse_tariff(FLAT, "t.yaml")).calendar == Calendar.always("all")
    assert "price_per_kwh: 0.30" in tariff_yaml(parse_tariff(FLAT, "t.yaml"))


def test_a_market_price_may_have_all_its_defaults() -> None:
    tariff = parse_tariff(HEAD + "energy:\n  real_time:\n", "t.yaml")
    assert tariff.energy == RealTimePrice()
    assert parse_tariff(tariff_yaml(tariff), "again") == tariff


def test_demand_charges_name_months() -> None:
    text = FLAT + (
        "demand:\n"
        "  - name: peak\n"
        "    periods: {all: {blocks: [{up_to_kw: 50, price_per_kw: 9}, {price_per_kw: 7}]}}\n"
        "    ratchet: {share_ratio: 0.8, lookback_months: 11, from_months: [june, 7, Aug]}\n"
    )
    (charge,) = parse_tariff(text, "t.yaml").demand
    assert charge.tiers == ((DemandTier(50, 9), DemandTier(None, 7)),)  # type: ignore[arg-type]  # equal to decimals
    assert isinstance(charge.ratchet, Ratchet)
    assert charge.ratchet.from_months == {6, 7, 8}
    assert charge.ratchet.in_months == set(range(1, 13))


def test_all_problems_come_together_each_with_its_line() -> None:
    text = (
        DAY_NIGHT.replace("Europe/Berlin", "Europe/Berln")
        .replace("07:00-22:00: high", "07:30-22:00: hihg")
        .replace("0.22}", "0.22 EUR}")
        .replace("1 April", "31 April")
        .replace("weekend: restday", "weekend: resday")
        + "fixed:\n  - {name: basic, amount: 4.90, per: week}\n"
        + "mimimum_per_month: 3\n"
    )
    assert problems_of(text) == [
        "line 5, zone: 'Europe/Berln' is no time zone; did you mean Europe/Berlin.",
        (
            "line 11, energy.calendar.days.workday.07:30-22:00: Period 'hihg' has no price; "
            "did you mean high."
        ),
        "line 15, energy.calendar.seasons[0].from: 04-31 is no day of a year.",
        (
            "line 15, energy.calendar.seasons[0].weekend: 'resday' is none of the kinds of day; "
            "did you mean restday."
        ),
        (
            "line 20, energy.periods.low.price_per_kwh: '0.22 EUR' money per kWh is no number; "
            "write digits and nothing else, as in 0.25, 40 characters at most."
        ),
        "line 22, fixed[0].per: 'week' is not known; known are month, day, year.",
        "line 23, mimimum_per_month: This key is not known; did you mean minimum_per_month.",
    ]


BLOCKS = HEAD + (
    "energy:\n  periods:\n    all:\n      blocks:\n"
    "        - {up_to_kwh: 100, price_per_kwh: 0.2}\n        - {price_per_kwh: 0.3}\n"
)


def test_blocks_without_a_tier_rule_say_why_and_name_both_choices() -> None:
    (problem,) = problems_of(BLOCKS)
    assert problem.startswith("line 6, energy: The key tier_rule is missing.")
    assert "the same usage costs more or less" in problem
    assert "monthly_share (" in problem
    assert "chronological (" in problem
    assert parse_tariff(BLOCKS + "  tier_rule: chronological\n", "t.yaml").id == "t"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("id: t", "id: ''", "line 1, id: The name is empty."),
        ("id: t", "id:", "line 1, id: Nothing stands here; give a name, or leave the key out."),
        ("id: t\n", "", "line 1: The key id is missing."),
        ("id: t", "id: [t]", "line 1, id: A list stands here; give a name."),
        ("version: 1", "version: 1.5", "line 2, version: '1.5' is no whole number."),
        ("version: 1", "version: -1", "line 2, version: -1 is out of range; give 0 or more."),
        (
            "currency: EUR",
            "currency: euro",
            (
                "line 4, currency: Currency 'euro' is not a code; write three capital letters "
                "such as EUR."
            ),
        ),
        (
            "name: a tariff",
            "name: a tariff\nname: b",
            "line 4, name: The key stands here again, first on line 3; keep one of them.",
        ),
        (
            "0.30}",
            "0,30}",
            (
                "line 6, energy.periods.all.30: Within braces a comma ends the value before it; "
                "write decimals with a point."
            ),
        ),
        (
            "0.30}",
            "'0,30'}",
            (
                "line 6, energy.periods.all.price_per_kwh: '0,30' money per kWh is no number; "
                "write digits with a point, as in 0.25, 40 characters at most."
            ),
        ),
        (
            "0.30}",
            "1e3}",
            (
                "line 6, energy.periods.all.price_per_kwh: '1e3' money per kWh is no number; "
                "write digits and nothing else, as in 0.25, 40 characters at most."
            ),
        ),
        (
            "{all: {price_per_kwh: 0.30}}",
            "{a: {price_per_kwh: 1}, b: {price_per_kwh: 2}}",
            "line 6, energy: The key calendar is missing; it says when each of the periods holds.",
        ),
        (
            "{price_per_kwh: 0.30}",
            "{price_per_kwh: 1, blocks: [{price_per_kwh: 1}]}",
            (
                "line 6, energy.periods.all.price_per_kwh: The period has blocks; write "
                "price_per_kwh into each of them."
            ),
        ),
        ("EUR", "&a EUR", "line 4: Anchors (&) and aliases (*) are not used in tariffs."),
        ("EUR", "!!str EUR", "line 4: The tag tag:yaml.org,2002:str is not used in tariffs."),
        ("EUR\n", "EUR\n---\n", "line 5: A second document begins; a file has one tariff."),
        ("id: t", "? [a]\n: b", "line 1: A key is a name; here a list or mapping is."),
        ("id: t", "id: \x07", "line 1: YAML has no place for this character:"),
        ("id: t", "id: " + "[" * 20, "line 1: More than 16 levels are nested."),
        ("id: t", "id: " + "x" * 300_000, "The document has 300"),
    ],
)
def test_a_problem_names_line_place_value_and_rule(old: str, new: str, problem: str) -> None:
    assert problems_of(FLAT.replace(old, new, 1))[0].startswith(problem)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "07:00-22",
            "08:00-22",
            "line 9, energy.calendar.days.workday: No period holds from 07:00",
        ),
        ("07:00-22", "06:00-22", "line 9, energy.calendar.days.workday: Two periods hold from 06"),
        ("07:00-22:00", "7-22", "line 11, energy.calendar.days.workday.7-22: '7-22' are no times"),
        ("07:00-22:00", "07:00-25:00", "line 11, energy.calendar.days.workday.07:00-25:00: '07:"),
        (
            "weekdays: workday",
            "monday: workday",
            (
                "line 15, energy.calendar.seasons[0]: No kind of day is given for tuesday, "
                "wednesday, thursday, friday; give weekdays and weekend"
            ),
        ),
        (
            "weekdays: workday",
            "every_day: workday",
            "line 15, energy.calendar.seasons[0].weekend: saturday is given twice",
        ),
        ("January", "April", "line 7, energy.calendar: seasons must be there, each with its own"),
        ("25 December", "25 Dezember", "line 17, energy.calendar.holidays[0]: '25 Dezember' is no"),
        ("2026-04-03", "2026-02-30", "line 17, energy.calendar.holidays[1]: '2026-02-30' is no"),
    ],
)
def test_a_problem_of_the_calendar_is_at_its_day_or_season(
    old: str, new: str, problem: str
) -> None:
    assert problems_of(DAY_NIGHT.replace(old, new, 1))[0].startswith(problem)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("up_to_kwh: 100, ", "", "line 10, energy.periods.all.blocks[0]: The key up_to_kwh is"),
        (
            "up_to_kwh: 100",
            "up_to_kwh: 0",
            "line 10, energy.periods.all.blocks[0]: up_to_kwh is 0 k",
        ),
        ("{price", "{up_to_kwh: 9, price", "line 11, energy.periods.all.blocks[1]: The last block"),
    ],
)
def test_a_problem_of_a_ladder_is_at_its_block(old: str, new: str, problem: str) -> None:
    found = problems_of(BLOCKS.replace(old, new, 1))
    assert found[0].startswith(problem)


def test_what_the_tariff_itself_contradicts_is_said_with_the_documents_name() -> None:
    text = (
        FLAT + "export: {metering: net_billing}\nvalid_from: 2026-02-01\nvalid_until: 2026-01-01\n"
    )
    (problem,) = problems_of(text)
    assert problem == (
        "Tariff t contradicts itself: it is valid from 2026-02-01 until 2026-01-01; net_billing "
        "needs a selling price in each block (0 if nothing is paid)."
    )


def test_what_is_said_in_vain_is_told_where_it_stands() -> None:
    text = (
        FLAT
        + """export:
  metering: import_only
  credit_expires: true
  true_up_per_kwh: 0.05
taxes:
  - {name: VAT, percent: 19, on: []}
"""
    )
    assert problems_of(text) == [
        (
            "line 9, export.credit_expires: The setting credit_expires has no effect under "
            "import_only, only under net_billing_carry and net_metering_money; leave it out or "
            "check the metering."
        ),
        (
            "line 10, export.true_up_per_kwh: The setting true_up_per_kwh has no effect under "
            "import_only, only under net_metering_kwh; leave it out or check the metering."
        ),
        (
            "line 12, taxes[0].on: Tax VAT is on no kind of line and would never be due; name "
            "kinds, or leave `on` out to tax all."
        ),
    ]
    kept = FLAT + "export: {metering: import_only, credit_expires: false, true_up_per_kwh: 0}\n"
    assert parse_tariff(kept, "t.yaml").export.credit_expires is False


def test_floats_are_refused_where_plain_values_are_read() -> None:
    plain: dict[str, object] = {"id": "t", "energy": {"periods": {"all": {"price_per_kwh": 0.3}}}}
    with pytest.raises(TariffDocumentError) as raised:
        tariff_from_plain(plain, "t.json")
    assert str(raised.value) == (
        "t.json: energy.periods.all.price_per_kwh: 0.3 is a float; write decimals as text, exactly."
    )


def test_a_document_that_would_grow_is_refused_before_it_does() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    assert problems_of(bomb) == ["line 1: Anchors (&) and aliases (*) are not used in tariffs."]
    many = "id: [" + "a," * 25_000 + "]"
    assert problems_of(many) == ["line 1: The document has more than 20000 values."]
