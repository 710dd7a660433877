"""Texts of a document as values: exact numbers, dates, names, choices."""

import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from metertwin.core.documents.nodes import DIGITS_MAX
from metertwin.core.documents.place import Place, suggestion

Choice = TypeVar("Choice", bound=StrEnum)

_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")

Bounds = tuple[Decimal | None, Decimal | None]
ANY: Bounds = (None, None)


def read_decimal(place: Place, unit: str = "", bounds: Bounds = ANY) -> Decimal:
    """Read a decimal exactly as it is written.

    Args:
        place: Where it stands.
        unit: Its unit with a blank before it; empty where it has none.
        bounds: Its least and greatest value.
    """
    text = place.text(f"a number{unit}")
    if not _DECIMAL.fullmatch(text) or len(text) > DIGITS_MAX:
        hint = " with a point, as in 0.25" if "," in text else " and nothing else, as in 0.25"
        raise place.wrong(
            f"{shown(text)}{unit} is no number; write digits{hint}, "
            f"{DIGITS_MAX} characters at most."
        )
    return _in_range(place, Decimal(text), unit, bounds)


def read_integer(place: Place, unit: str = "", bounds: Bounds = ANY) -> int:
    """Read a whole number; see `read_decimal`."""
    text = place.text(f"a whole number{unit}")
    if not _INTEGER.fullmatch(text):
        raise place.wrong(f"{shown(text)}{unit} is no whole number.")
    return int(_in_range(place, Decimal(text), unit, bounds))


def _in_range(place: Place, value: Decimal, unit: str, bounds: Bounds) -> Decimal:
    least, greatest = bounds
    if (least is not None and value < least) or (greatest is not None and value > greatest):
        told = f"{least} to {greatest}" if greatest is not None else f"{least} or more"
        raise place.wrong(f"{value}{unit} is out of range; give {told}.")
    return value


def read_boolean(place: Place) -> bool:
    """Read true or false."""
    text = place.text("true or false")
    if text not in {"true", "false"}:
        raise place.wrong(f"{shown(text)} is neither true nor false.")
    return text == "true"


def read_choice(place: Place, choices: type[Choice]) -> Choice:
    """Read a member of an enum by its value."""
    known = [choice.value for choice in choices]
    text = place.text(f"one of {', '.join(known)}")
    if text not in known:
        raise place.wrong(f"{shown(text)} is not known{suggestion(text, known)}.")
    return choices(text)


def read_name(place: Place) -> str:
    """Read a text that is not empty."""
    text = place.text("a name")
    if not text:
        raise place.wrong("The name is empty.")
    return text


def read_date(place: Place) -> date:
    """Read a date, year-month-day."""
    text = place.text("a date such as 2026-01-01")
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise place.wrong(f"{shown(text)} is no date; write year-month-day, as in 2026-01-01.")


def shown(text: str) -> str:
    """Return a text as a message quotes it, shortened."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
