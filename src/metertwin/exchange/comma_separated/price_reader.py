"""Reading a series of prices from CSV, such as a market's: complete, in one step, in one unit."""

import re
from collections.abc import Mapping
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.tariff.rating import PriceSeries
from metertwin.core.clock import from_us
from metertwin.exchange.comma_separated.sheet import Sheet, sheet_of
from metertwin.exchange.comma_separated.starts import START_COLUMNS, StartError, Starts, resolved_us
from metertwin.exchange.usage_file import US_PER_S, UsageFileError, usual_length_s

_PER_KWH, _PER_MWH = "price_per_kwh", "price_per_mwh"
_NUMBER = re.compile(r"[+-]?\d{1,12}([.,]\d{1,12})?", re.ASCII)
_PROBLEMS_MAX = 1000


class _PriceError(Exception):
    """A price that cannot be read, and why."""


def read_prices_csv(
    octets: bytes, currency: str, where: str = "The file", zone: ZoneInfo | None = None
) -> tuple[PriceSeries, list[str]]:
    """Return the prices in a CSV file, exactly as they are written, and notes on what is not.

    A row is a start and a price from then on until the next one. Rows stand in any order.

    Args:
        octets: The file, separated as usage is.
        currency: Of the prices: columns that name another unit are not understood.
        where: What to call the file in errors.
        zone: Zone of starts that have no offset, as for `read_usage_csv`.

    Raises:
        UsageFileError: It cannot be read, prices are missing or not all of one length; the first
            20 problems in one message.
    """
    needed = (("start_utc", "start"), (_PER_KWH, _PER_MWH))
    sheet = sheet_of(octets, _columns(currency), needed, where)
    if {_PER_KWH, _PER_MWH} <= set(sheet.columns):
        raise UsageFileError(f"{where} has prices per kWh and per MWh; keep one of them.")
    problems: list[str] = []
    price_of = _prices_by_start(sheet, Starts(zone), problems)
    if not problems:
        _check_steps(price_of, problems)
    if problems:
        raise UsageFileError.listing(where, problems)
    notes = []
    if sheet.left_out:
        notes.append(f"Left out the columns {', '.join(sheet.left_out[:20])} of {where}.")
    starts_us = sorted(price_of)
    step_s = (starts_us[1] - starts_us[0]) // US_PER_S
    prices = tuple(price_of[start_us] for start_us in starts_us)
    return PriceSeries(starts_us[0], step_s, prices), notes


def _columns(currency: str) -> Mapping[str, str]:
    known = dict(START_COLUMNS)
    for unit, name in (("kwh", _PER_KWH), ("mwh", _PER_MWH)):
        money = currency.lower()
        spelt = (name, f"price_{unit}", f"price_{money}_{unit}", f"{money}_per_{unit}")
        known |= dict.fromkeys((*spelt, f"{money}_{unit}"), name)
    return known


def _prices_by_start(sheet: Sheet, starts: Starts, problems: list[str]) -> dict[int, Decimal]:
    first_us: list[int] = []
    second_us: dict[int, int] = {}
    prices: list[Decimal] = []
    for line, cells in sheet.rows(problems):
        try:
            start_us, other_us = starts.of_row(cells)
            price = _price_per_kwh(cells, sheet.separator)
        except (StartError, _PriceError) as error:
            problems.append(f"line {line}: {error}")
        else:
            if other_us != start_us:
                second_us[len(first_us)] = other_us
            first_us.append(start_us)
            prices.append(price)
        if len(problems) >= _PROBLEMS_MAX:
            break
    return {} if problems else _by_start(first_us, second_us, prices, problems)


def _by_start(
    first_us: list[int], second_us: dict[int, int], prices: list[Decimal], problems: list[str]
) -> dict[int, Decimal]:
    try:
        starts_us = resolved_us(first_us, second_us, "the prices")
    except StartError as error:
        problems.append(str(error))
        return {}
    price_of: dict[int, Decimal] = {}
    for start_us, price in zip(starts_us, prices, strict=True):
        if price_of.setdefault(start_us, price) != price:
            problems.append(
                f"from {from_us(start_us).isoformat()} on there are two prices per kWh, "
                f"{price_of[start_us]} and {price}"
            )
    return price_of


def _price_per_kwh(cells: dict[str, str], separator: str) -> Decimal:
    name = _PER_KWH if _PER_KWH in cells else _PER_MWH
    text = cells[name]
    if not _NUMBER.fullmatch(text) or ("," in text and separator == ","):
        raise _PriceError(f"price {text[:30]!r} is not a number such as 0.0825 or -1.5")
    price = Decimal(text.replace(",", "."))
    return price if name == _PER_KWH else price.scaleb(-3)


def _check_steps(price_of: dict[int, Decimal], problems: list[str]) -> None:
    """Refuse gaps and other steps: a price holds until the next one, and none is made up."""
    starts_us = np.array(sorted(price_of), np.int64)
    steps_s = (starts_us[1:] - starts_us[:-1]) // US_PER_S
    step_s = usual_length_s(steps_s)
    if step_s == 0:
        problems.append("there are fewer than two prices, which do not say how long one holds")
    for at in np.flatnonzero(steps_s != step_s).tolist():
        first, following = (from_us(int(starts_us[row])).isoformat() for row in (at, at + 1))
        end = from_us(int(starts_us[at]) + step_s * US_PER_S).isoformat()
        problems.append(
            f"no price is given from {end} to {following}"
            if steps_s[at] > step_s
            else f"prices from {first} and {following} are {steps_s[at]} s apart, most are "
            f"{step_s} s; give all in steps of one length"
        )
