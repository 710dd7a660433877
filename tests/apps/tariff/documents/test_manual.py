"""docs/tariffs.md says what the code reads, no more and no less."""

import re
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from metertwin.apps.tariff.calendar import Calendar
from metertwin.apps.tariff.documents import parse_tariff
from metertwin.apps.tariff.documents.calendars import CALENDAR_KEYS, SEASON_KEYS
from metertwin.apps.tariff.documents.charges import (
    DEMAND_BLOCK_KEYS,
    DEMAND_PERIOD_KEYS,
    ENERGY_BLOCK_KEYS,
    ENERGY_PERIOD_KEYS,
)
from metertwin.apps.tariff.documents.records import REAL_TIME_KEY, keys_of
from metertwin.apps.tariff.documents.urdb import fields as urdb_fields
from metertwin.apps.tariff.energy import Tier
from metertwin.apps.tariff.tariff import Tariff

MANUAL = (Path(__file__).parents[4] / "docs" / "tariffs.md").read_text()
FORM, URDB = MANUAL.split("## Rates of OpenEI's database")
SOURCES = Path(urdb_fields.__file__).parent


def model_of(kind: type, found: set[type]) -> set[type]:
    """Add all dataclasses and enums that a dataclass is made of."""
    if kind in found:
        return found
    found.add(kind)
    hints = get_type_hints(kind) if is_dataclass(kind) else {}

    def add(hint: Any) -> None:  # noqa: ANN401  a type of any form
        if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, StrEnum)):
            model_of(hint, found)
        for part in get_args(hint):
            add(part)

    for hint in hints.values():
        add(hint)
    return found


MODEL = model_of(Tariff, set())
HELD_OTHERWISE = model_of(Calendar, set())


def first_cells(text: str) -> set[str]:
    """Return the names in code marks in the first column of tables."""
    cells = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_key_stands_in_a_table_and_no_other() -> None:
    kinds = [k for k in MODEL - HELD_OTHERWISE if is_dataclass(k) and "Tier" not in k.__name__]
    assert len(kinds) > 12
    keys = {key for kind in kinds for key in keys_of(kind)}
    keys |= {*CALENDAR_KEYS, *SEASON_KEYS, REAL_TIME_KEY}
    keys |= {*ENERGY_PERIOD_KEYS, *ENERGY_BLOCK_KEYS, *DEMAND_PERIOD_KEYS, *DEMAND_BLOCK_KEYS}
    schemes = FORM.index("| `metering` | what happens |"), FORM.index("### Other charges")
    tables = FORM[: schemes[0]] + FORM[schemes[1] :]
    assert first_cells(tables) == keys


def test_a_blocks_fields_are_its_keys() -> None:
    assert {item.name for item in fields(Tier)} == set(ENERGY_BLOCK_KEYS)


def test_every_choice_is_named() -> None:
    choices = {choice.value for kind in MODEL if issubclass(kind, StrEnum) for choice in kind}
    assert len(choices) > 30
    assert [choice for choice in sorted(choices) if f"`{choice}`" not in FORM] == []


def test_the_documents_in_the_manual_can_be_applied() -> None:
    documents = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)
    assert [parse_tariff(text, "docs/tariffs.md").id for text in documents] == ["day-night"]


def test_every_field_of_urdb_that_the_import_knows_stands_in_its_table_and_no_other() -> None:
    code = "".join(path.read_text() for path in SOURCES.glob("*.py"))
    taken = set(re.findall(r'rate\.(?:read|number|text|take|lacks)\(\s*"(\w+)"', code))
    taken |= set(re.findall(r'"((?:coincident|demandratchet)\w+)"', code))
    known = {*urdb_fields.INFORMATIONAL, *urdb_fields.FREE_TEXTS, *urdb_fields.ATTRIBUTES}
    assert len(taken) > 25
    assert first_cells(URDB) == taken | known == urdb_fields.BILLED | known
