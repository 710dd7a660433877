"""The configuration: what it may say, and all that is wrong at once."""

from typing import Any

import pytest
from tests.apps.tariff.app.billing_world import FLAT, TWO_RATE

from metertwin.apps.app import AppSettings, AppSettingsError
from metertwin.apps.tariff.app import TariffApp
from metertwin.core.ids import GroupId

TWO_PART = """
id: two-part
version: 1
name: Two parts
currency: EUR
zone: Europe/Berlin
energy: {periods: {all: {price_per_kwh: 0.10}}}
capacity: {name: basic, basis: contracted_capacity, price_per_kw: 20}
"""


def refused(**config: Any) -> str:  # noqa: ANN401  plain values
    with pytest.raises(AppSettingsError) as caught:
        TariffApp(AppSettings(GroupId("g1"), config))
    return str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = refused(
        tariffs=[FLAT, "id: broken"],
        tarifs=[],
        final_after_days=99,
        vee={"spikes": 3},
        registers={"import": "nonsense"},
        meters={"m1": {"tarif": "flat"}, "not ok": {}},
    )
    for part in (
        "tarifs is unknown; known: default, final_after_days",
        "tariffs[1]",
        "final_after_days is 99, which is not 0 to 28",
        "vee: spikes is unknown",
        "registers: 'nonsense' is not an OBIS code",
        "meters.m1: Object contains unknown field `tarif`",
        "Meter id 'not ok' is not usable",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("config", "part"),
    [
        ({"default": "gone"}, "default tariff 'gone' is not among the tariffs flat, two-rate"),
        ({}, "nobody would be billed"),
        ({"meters": {"m1": {"tariff": "gone"}}}, "meter m1 has tariff 'gone'"),
        (
            {"meters": {"m1": {"tariff": [{"id": "flat", "from": "2026-01-01"}]}}},
            "meter m1: the first tariff has no `from`",
        ),
        (
            {"meters": {"m1": {"tariff": "two-part"}}},
            "meter m1 has two-part tariff two-part and no contracted_capacity given",
        ),
        (
            {"meters": {"m1": {"tariff": "flat", "prepaid": True}}},
            "meter m1 is prepaid, but tariff flat has no prepayment",
        ),
        (
            {
                "meters": {
                    "m1": {"tariff": [{"id": "flat"}, {"id": "abroad", "from": "2026-02-01"}]}
                }
            },
            "its tariffs differ in zone, first day of the month or currency",
        ),
    ],
)
def test_a_contradiction_is_told(config: dict[str, Any], part: str) -> None:
    abroad = FLAT.replace("Europe/Berlin", "Europe/London").replace("id: flat", "id: abroad")
    if "two-part" in part:
        config = {**config, "tariffs": [TWO_PART]}
    assert part in refused(
        **{"tariffs": [FLAT, TWO_RATE, abroad][: 3 if "zone" in part else 2], **config}
    )


def test_registers_of_the_site_are_the_ones_the_app_asks_for() -> None:
    config = {"tariffs": [FLAT], "default": "flat", "registers": {"import": "1-0:15.8.0"}}
    app = TariffApp(AppSettings(GroupId("g1"), config))
    assert str(app.info.registers[0]) == "1-0:15.8.0*255"
    assert TariffApp.info.name == "tariff"
