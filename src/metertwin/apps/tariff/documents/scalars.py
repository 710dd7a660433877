"""Texts of a tariff document as values: numbers with their unit, days of a year, zones."""

import re
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

from metertwin.apps.tariff.calendar import CalendarError, Holiday, MonthDay
from metertwin.core.documents import scalars
from metertwin.core.documents.place import Place, suggestion
from metertwin.core.documents.scalars import read_date, shown
from metertwin.core.money import MoneyError, checked_currency

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MONTH_DAY = re.compile(r"([0-9]{1,2})-([0-9]{1,2})")
_DAY_MONTH = re.compile(r"([0-9]{1,2})\.? ([A-Za-z]+)|([A-Za-z]+)(?: ([0-9]{1,2}))?")

# What a key's last word says of its number; the longest fitting one counts.
UNITS = {
    "_per_kwh": "money per kWh",
    "_per_kw": "money per kW (or kVA) and month",
    "_kwh": "kWh",
    "_kw": "kW",
    "_s": "s",
    "_ratio": "of 1",
    "_percent": "%",
    "_months": "months",
    "_factor": "times",
    "_digits": "digits",
}
# Least and greatest value of a key's number; prices may be negative and have none.
RANGES: dict[str, scalars.Bounds] = {
    "version": (Decimal(0), None),
    "digits": (Decimal(0), Decimal(6)),
    "month_start_day": (Decimal(1), Decimal(28)),
    "minimum_per_month": (Decimal(0), None),
    "minimum_per_year": (Decimal(0), None),
    "window_s": (Decimal(0), Decimal(86_400)),
    "minimum_kw": (Decimal(0), None),
    "share_ratio": (Decimal(0), Decimal(1)),
    "lookback_months": (Decimal(1), Decimal(12)),
    "from_ratio": (Decimal(0), Decimal(1)),
    "tolerance_ratio": (Decimal(0), None),
    "excess_factor": (Decimal(0), None),
    "events_per_year_max": (Decimal(0), None),
    "hours_per_event_max": (Decimal(0), None),
    "emergency_credit": (Decimal(0), None),
}


def unit_of(name: str) -> str:
    """Return the unit of a key's number with a blank before it; empty where it has none.

    Example:
        >>> unit_of("price_per_kwh"), unit_of("up_to_kwh"), unit_of("version")
        (' money per kWh', ' kWh', '')
    """
    fitting = [suffix for suffix in UNITS if f"_{name}".endswith(suffix)]
    return f" {UNITS[max(fitting, key=len)]}" if fitting else ""


def read_decimal(place: Place, name: str = "") -> Decimal:
    """Read a decimal exactly as it is written; `name` is its key, for unit and range."""
    return scalars.read_decimal(place, unit_of(name), RANGES.get(name, scalars.ANY))


def read_integer(place: Place, name: str = "") -> int:
    """Read a whole number; `name` is its key, for unit and range."""
    return scalars.read_integer(place, unit_of(name), RANGES.get(name, scalars.ANY))


def read_currency(place: Place) -> str:
    """Read a currency's three letters."""
    try:
        return checked_currency(place.text("a currency such as EUR"))
    except MoneyError as error:
        raise place.wrong(str(error)) from error


def read_zone(place: Place) -> str:
    """Read the IANA name of a time zone."""
    text = place.text("a time zone such as Europe/Berlin")
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        near = suggestion(text, sorted(available_timezones()))
        hint = near if near.startswith("; did") else "; write one such as Europe/Berlin"
        raise place.wrong(f"{shown(text)} is no time zone{hint}.") from error
    return text


def read_month(place: Place) -> int:
    """Read a month, by number or English name, as 1 to 12."""
    month = month_of(place.text("a month such as april or 4"))
    if month is None:
        raise place.wrong(f"{shown(place.text(''))} is no month; write april or 4.")
    return month


def read_months(place: Place) -> frozenset[int]:
    """Read a list of months, each by number or name."""
    return frozenset(place.each("months", read_month))


def read_month_day(place: Place) -> MonthDay:
    """Read a day of every year: `04-01` (month-day), `1 April`, `April 1` or `April`."""
    text = place.text("a day such as 04-01 or 1 April")
    month, day = _month_and_day(text)
    if month is None or day is None:
        raise place.wrong(f"{shown(text)} is no day; write month-day as in 04-01, or 1 April.")
    try:
        return MonthDay(month, day)
    except CalendarError as error:
        raise place.wrong(str(error)) from error


def read_holiday(place: Place) -> Holiday:
    """Read a holiday: a day of every year as `read_month_day` does, or the date of one year."""
    if _DATE.fullmatch(place.text("a day such as 12-25, 25 December or 2026-04-03")):
        day = read_date(place)
        return Holiday(day.month, day.day, day.year)
    every = read_month_day(place)
    return Holiday(every.month, every.day)


def month_of(text: str) -> int | None:
    """Return a month by number or name, of which three letters suffice; None if it is none.

    Example:
        >>> month_of("4"), month_of("April"), month_of("sept"), month_of("13"), month_of("ju")
        (4, 4, 9, None, None)
    """
    word = text.lower()
    if word.isascii() and word.isdigit() and len(word) <= 2:
        return int(word) if 1 <= int(word) <= 12 else None
    found = [number for number, name in enumerate(MONTHS, 1) if name.startswith(word)]
    return found[0] if len(word) >= 3 and found else None


def _month_and_day(text: str) -> tuple[int | None, int | None]:
    if numbers := _MONTH_DAY.fullmatch(text):
        return int(numbers[1]), int(numbers[2])
    if words := _DAY_MONTH.fullmatch(text):
        day_first, month_after, month_first, day_after = words.groups()
        return month_of(month_after or month_first), int(day_first or day_after or 1)
    return None, None
