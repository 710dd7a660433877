"""URDB rates that contradict themselves are refused, each with one problem and its remedy."""

import json
from datetime import date
from typing import Any

import pytest

from metertwin.apps.tariff.documents import TariffDocumentError
from metertwin.apps.tariff.documents.urdb import UrdbImport, import_urdb, read_urdb
from metertwin.apps.tariff.energy import TierRule

ONE_PRICE = {"energyratestructure": [[{"rate": 0.1, "unit": "kWh"}]]}


def imported(fields: dict[str, Any]) -> UrdbImport:
    (rate,) = read_urdb(json.dumps({**ONE_PRICE, **fields}), "rate.json")
    return import_urdb(
        rate, tier_rule=TierRule.CHRONOLOGICAL, zone="America/Chicago", where="rate.json"
    )


def problems(fields: dict[str, Any]) -> list[str]:
    with pytest.raises(TariffDocumentError) as raised:
        imported(fields)
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize("name", ["energyratestructure", "flatdemandstructure"])
@pytest.mark.parametrize("second", [50, 100])
def test_blocks_out_of_order_are_refused(name: str, second: int) -> None:
    # Sorted, the price of 9 would be of no energy at all and vanish.
    blocks = [[{"max": 100, "rate": 0.1}, {"max": second, "rate": 9}, {"rate": 0.3}]]
    (problem,) = problems({name: blocks})
    assert problem == (
        f"{name}[0][1]: The block's `max` of {second} is not above 100, the one before it: no "
        "energy or power would ever fall into it. Check the order of the blocks."
    )


def test_a_last_block_that_ends_below_the_one_before_is_refused() -> None:
    (problem,) = problems({"energyratestructure": [[{"max": 9, "rate": 1}, {"max": 5, "rate": 2}]]})
    assert "`max` of 5 is not above 9" in problem


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"usenetmetering": "yes"}, "usenetmetering: 'yes' is neither true nor false."),
        ({"lookbackPercent": 0.8, "lookbackRange": 11.5}, "11.5 is no number of months"),
        ({"lookbackMonths": [1] * 13}, "There are 13 flags; give one for each of 12 months."),
        ({"demandratchetpercentage": [0.5] * 13}, "There are 13 shares"),
    ],
)
def test_what_would_be_guessed_is_refused(fields: dict[str, Any], sentence: str) -> None:
    (problem,) = problems({"flatdemandstructure": [[{"rate": 4}]], **fields})
    assert sentence in problem


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        (
            {"flatdemandstructure": [[{"rate": 10, "adj": 1, "sell": 5}]]},
            "flat demand structure, sell",
            "5",
        ),
        (
            {
                "dgrules": "Net Metering",
                "energyratestructure": [[{"rate": 1, "sell": 0.5}]],
            },
            "energyratestructure, sell",
            "0.5",
        ),
        ({"lookbackRange": 11}, "lookbackrange", "11"),
        ({"lookbackMonths": [0, 1] * 6}, "lookbackmonths", "2, 4, 6, 8, 10, 12"),
        (
            {
                "demandratestructure": [[{"rate": 1}], [{"rate": 7}]],
                "demandweekdayschedule": [[0] * 17 + [1] * 7] * 12,
                "demandweekendschedule": [[0] * 24] * 12,
                "lookbackPercent": 0.8,
                "lookbackRange": 11,
            },
            "lookbackpercent, demandratchetpercentage",
            "0.8",
        ),
    ],
)
def test_what_no_bill_shows_is_reported_once(fields: dict[str, Any], name: str, value: str) -> None:
    result = imported(fields)
    assert [(item.name, item.value) for item in result.unsupported] == [(name, value)]


@pytest.mark.parametrize(
    "text",
    ["0.5 mills per kilowatt-hour", "5 percent", "5 per cent", "two dollars a month", "12 cents"],
)
def test_texts_that_name_an_amount_are_reported(text: str) -> None:
    assert [item.name for item in imported({"description": text}).unsupported] == ["description"]


def test_a_bad_price_is_one_problem_and_its_schedules_none() -> None:
    fields = {
        "energyratestructure": [[{"rate": "cheap"}], [{"rate": 0.1}]],
        "energyweekdayschedule": [[0] * 17 + [1] * 7] * 12,
        "energyweekendschedule": [[0] * 24] * 12,
    }
    assert problems(fields) == ["energyratestructure[0][0].rate: 'cheap' is no number."]


def test_a_unit_of_null_is_none() -> None:
    assert imported({"energyratestructure": [[{"rate": 1, "unit": None}]]}).unsupported == ()


def test_what_should_be_a_list_of_json_gets_no_advice_on_yaml() -> None:
    assert problems({"energyratestructure": 7}) == ["energyratestructure: Give a list of periods."]


def test_whole_seconds_with_a_point_are_a_day() -> None:
    # 1325376000 s / 86400 = 15340 days after 1970-01-01: 2012-01-01 00:00 UTC, in Chicago 18:00
    # of the day before.
    assert imported({"startdate": 1325376000.0}).tariff.valid_from == date(2011, 12, 31)


@pytest.mark.parametrize("text", ["2012-01-01", "1325376000.5", "1325376000000", "\u0663" * 9])
def test_what_is_no_time_is_refused_with_its_remedy(text: str) -> None:
    (problem,) = problems({"startdate": text})
    assert "write the start of 2012-01-01 UTC as 1325376000." in problem
