"""Files of URDB rates: their shapes, and that no file ends in a surprise."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metertwin.apps.tariff.documents import TariffDocumentError, parse_tariff, tariff_yaml
from metertwin.apps.tariff.documents.urdb import import_urdb, read_urdb
from metertwin.apps.tariff.documents.urdb.fields import ATTRIBUTES, FREE_TEXTS
from metertwin.apps.tariff.energy import TierRule

RATE = {"name": "LP1", "energyratestructure": [[{"rate": 0.1, "unit": "kWh"}]]}


def test_one_rate_items_and_json_within_json_are_the_same() -> None:
    bare = json.dumps(RATE)
    items = json.dumps({"items": [RATE]})
    assert read_urdb(bare, "a") == read_urdb(items, "a") == read_urdb(json.dumps(items), "a")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "This is no JSON"),
        ("[]", "This holds no rate"),
        ("{}", "This holds no rate"),
        ('{"items": [1]}', "This holds no rate"),
        (
            '{"errors": ["bad key"]}',
            (
                "This is no rate: it has 'errors', and no field that prices anything, such as "
                "energyratestructure."
            ),
        ),
        (
            '{"items": [{"label": "5a", "name": "LP1"}]}',
            "it has 'label', 'name', and no field that prices anything",
        ),
        ('{"a": 1, "a": 2}', "the key 'a' stands in one object twice"),
        ('{"a": NaN}', "NaN"),
        ("[" * 100_000, "This is no JSON"),
    ],
)
def test_files_that_hold_no_rate(text: str, sentence: str) -> None:
    with pytest.raises(TariffDocumentError, match=r"^bad\.json") as raised:
        read_urdb(text, "bad.json")
    assert sentence in str(raised.value)


ODD_FIELDS = """energyratestructure energyweekdayschedule energyweekendschedule
    fueladjustmentsmonthly flatdemandstructure flatdemandmonths dgrules
    demandratestructure demandweekdayschedule demandwindow lookbackMonths startdate lookbackPercent
    lookbackRange demandratchetpercentage mincharge fixedchargeunits coincidentratestructure
    fixedchargefirstmeter"""
FIELDS = st.sampled_from([*ODD_FIELDS.split(), *ATTRIBUTES, *FREE_TEXTS])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=5) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["max", "rate", "adj", "sell", "unit"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(FIELDS, VALUES, max_size=6), st.sampled_from([None, *TierRule]))
def test_any_rate_is_imported_or_ends_in_the_documented_error(
    fields: dict[str, object], rule: TierRule | None
) -> None:
    rate: dict[str, object] = {"energyratestructure": [[{"rate": Decimal("0.1")}]], **fields}
    try:
        result = import_urdb(rate, tier_rule=rule, zone="America/Chicago", where="fuzz")
    except TariffDocumentError:
        return
    assert parse_tariff(tariff_yaml(result.tariff), "again") == result.tariff


@settings(max_examples=200, deadline=None)
@given(st.text() | st.lists(st.sampled_from('{}[]",:0159eE.-ait "'), max_size=40).map("".join))
def test_any_text_is_rates_or_the_documented_error(text: str) -> None:
    try:
        rates = read_urdb(text, "fuzz")
    except TariffDocumentError:
        return
    assert rates


def test_many_keys_in_one_object_take_time_in_proportion() -> None:
    text = json.dumps({"mincharge": 0} | {f"key{number}": 0 for number in range(199_999)})
    # Comparing each key with each other would be 4 x 10^10 comparisons, many minutes.
    (rate,) = read_urdb(text, "wide.json")
    assert len(rate) == 200_000
