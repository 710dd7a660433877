"""Documents and the model's dataclasses: a key for each field, by the field's name and type.

What the model gains, the document gains. Only charges with a calendar are written otherwise than
they are held; `charges` and `calendars` say how.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from metertwin.apps.tariff.demand import DemandCharge
from metertwin.apps.tariff.documents.charges import (
    check_tier_rule,
    periods_to_plain,
    read_demand_period,
    read_energy_period,
    read_periods,
)
from metertwin.apps.tariff.documents.scalars import (
    read_currency,
    read_decimal,
    read_integer,
    read_month,
    read_months,
    read_zone,
)
from metertwin.apps.tariff.energy import EnergyCharge, RealTimePrice
from metertwin.apps.tariff.rating.checks import part_problems
from metertwin.core.documents.place import Place
from metertwin.core.documents.scalars import read_boolean, read_choice, read_date, read_name
from metertwin.core.errors import InvalidInputError

Record = TypeVar("Record")

_BY_NAME = {
    "id": read_name,
    "currency": read_currency,
    "zone": read_zone,
    "true_up_month": read_month,
    "year_start_month": read_month,
    "from_months": read_months,
    "in_months": read_months,
}
_HELD_OTHERWISE = ("calendar", "tiers")
REAL_TIME_KEY = "real_time"


def keys_of(kind: type) -> list[str]:
    """Return the keys of a dataclass in a document."""
    names = [item.name for item in fields(kind)]
    if kind not in {EnergyCharge, DemandCharge}:
        return names
    return ["calendar", "periods", *(name for name in names if name not in _HELD_OTHERWISE)]


def read_record(place: Place, kind: type[Record]) -> Record:
    """Read a dataclass from a mapping."""
    by_name = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    hints = get_type_hints(kind)
    required = [name for name, item in by_name.items() if _is_required(item)]
    if kind in {EnergyCharge, DemandCharge}:
        required = [name for name in required if name not in _HELD_OTHERWISE] + ["periods"]
    parts = place.fields(keys_of(kind), required)
    values: dict[str, Any] = {}
    if kind is EnergyCharge:
        with place.part():
            values["calendar"], values["tiers"] = read_periods(place, read_energy_period)
            check_tier_rule(place, values["tiers"], is_named="tier_rule" in parts)
    if kind is DemandCharge:
        with place.part():
            values["calendar"], values["tiers"] = read_periods(place, read_demand_period)
    for name, part in parts.items():
        if name in by_name and name not in _HELD_OTHERWISE:
            with place.part():
                values[name] = _read(part, hints[name], name)
    place.finish()
    try:
        record = kind(**values)
    except InvalidInputError as error:
        raise place.wrong(str(error)) from error
    for name, problem in part_problems(record):
        parts[name].wrong(f"{problem[0].upper()}{problem[1:]}.")
        place.has_failed = True
    place.finish()
    return record


def _is_required(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _read(place: Place, hint: Any, name: str) -> Any:  # noqa: ANN401  whatever the hint says
    if name in _BY_NAME:
        return _BY_NAME[name](place)
    if get_origin(hint) in {Union, UnionType}:
        choices = [choice for choice in get_args(hint) if choice is not NoneType]
        if RealTimePrice in choices:
            return _read_energy(place)
        return _read(place, choices[0], name)
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        return tuple(place.each(name, lambda part: _read(part, item, name)))
    if get_origin(hint) is frozenset:
        item = get_args(hint)[0]
        return frozenset(place.each(name, lambda part: _read(part, item, name)))
    if is_dataclass(hint):
        return read_record(place, hint)  # type: ignore[arg-type]  # a type, not an instance
    if issubclass(hint, StrEnum):
        return read_choice(place, hint)
    readers: dict[type, Callable[[], object]] = {
        str: lambda: place.text("a text"),
        bool: lambda: read_boolean(place),
        int: lambda: read_integer(place, name),
        Decimal: lambda: read_decimal(place, name),
        date: lambda: read_date(place),
    }
    return readers[hint]()


def _read_energy(place: Place) -> EnergyCharge | RealTimePrice:
    parts = place.entries("keys of the energy charge")
    if REAL_TIME_KEY not in parts:
        return read_record(place, EnergyCharge)
    parts = place.fields((REAL_TIME_KEY,))
    place.finish()
    if not parts[REAL_TIME_KEY].node.content:
        return RealTimePrice()
    return read_record(parts[REAL_TIME_KEY], RealTimePrice)


def record_to_plain(record: object) -> dict[str, object]:
    """Return a dataclass as the mapping `read_record` reads; defaults are left out."""
    if isinstance(record, RealTimePrice):
        return {REAL_TIME_KEY: _fields_to_plain(record)}
    if isinstance(record, EnergyCharge | DemandCharge):
        return {**_fields_to_plain(record), **periods_to_plain(record.calendar, record.tiers)}
    return _fields_to_plain(record)


def _fields_to_plain(record: Any) -> dict[str, object]:  # noqa: ANN401  any dataclass
    plain: dict[str, object] = {}
    for item in fields(record):
        value = getattr(record, item.name)
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        is_held_otherwise = hasattr(record, "tiers") and item.name in _HELD_OTHERWISE
        if not is_held_otherwise and value != default:
            plain[item.name] = _to_plain(value)
    return plain


def _to_plain(value: object) -> object:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, frozenset):
        return sorted(map(_to_plain, value))  # type: ignore[type-var]  # numbers or texts
    if isinstance(value, tuple):
        return [_to_plain(item) for item in value]
    return record_to_plain(value) if is_dataclass(value) else value
