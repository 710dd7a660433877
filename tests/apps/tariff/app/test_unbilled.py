"""Meters that are not billed by default, such as a transformer's."""

import pytest
from tests.apps.tariff.app.billing_world import FLAT

from metertwin.apps.app import AppSettingsError
from metertwin.apps.tariff.app.settings import read_settings
from metertwin.core.ids import MeterId


def test_a_pattern_leaves_meters_out_unless_they_are_named() -> None:
    settings = read_settings(
        {"tariffs": [FLAT], "default": "flat", "unbilled": ["t*"], "meters": {"t7": {}}}
    )
    is_billed = {name: settings.terms(MeterId(name)) is not None for name in ("m1", "t1", "t7")}
    assert is_billed == {"m1": True, "t1": False, "t7": True}


def test_patterns_are_a_list_of_texts() -> None:
    with pytest.raises(AppSettingsError, match="unbilled: Expected `array`, got `str`"):
        read_settings({"tariffs": [FLAT], "default": "flat", "unbilled": "t*"})
