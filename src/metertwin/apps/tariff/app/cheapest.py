"""The request `cheapest_hours`: when to run something."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.app import Answer, Asked, History
from metertwin.apps.tariff.app.answers import CheapestHours, PricedSpan
from metertwin.apps.tariff.app.arguments import CheapestArguments
from metertwin.apps.tariff.app.desk import Desk, row_of
from metertwin.apps.tariff.app.errors import BillingRequestError, NoPriceError
from metertwin.apps.tariff.app.prices import PriceAhead, prices_ahead
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us, to_us
from metertwin.core.local_time import local_label

_STEP_US = 15 * 60_000_000
_STEPS_PER_HOUR = 4
_HOURS_MAX = 7 * 24


@dataclass(frozen=True, slots=True)
class _Choice:
    """Steps to run in, and the sum of their prices."""

    steps: list[int]
    price: Decimal


def answer_cheapest(desk: Desk, view: GroupView, asked: Asked, history: History) -> Answer:
    """Answer `cheapest_hours`."""
    arguments = asked.arguments
    assert isinstance(arguments, CheapestArguments)
    _check(arguments)
    months = desk.open_months(view, row_of(view, asked), history)
    tariff, blocks = months.tariff, months.blocks()
    first_us = -(-to_us(view.now) // _STEP_US) * _STEP_US
    starts_us = first_us + np.arange(arguments.within_h * _STEPS_PER_HOUR) * _STEP_US
    ahead = prices_ahead(tariff, desk.state, starts_us.astype(np.int64), blocks)
    choices = _choices(ahead, arguments)
    cheapest = min(choices, key=lambda each: (each.price, each.steps[0]))
    dearest = max(choice.price for choice in choices)
    now = min(choices, key=lambda each: each.steps)
    count = arguments.hours * _STEPS_PER_HOUR
    savings = [_mean(whole - cheapest.price, count) for whole in (now.price, dearest)]
    load_w = arguments.load_w
    kwh = None if load_w is None else load_w * arguments.hours / 1000
    amounts = [
        None if kwh is None else tariff.rounding.rounded(kwh * price)
        for price in (_mean(cheapest.price, count), *savings)
    ]
    zone = ZoneInfo(tariff.zone)
    return Answer(
        CheapestHours(
            basis=months.basis(view.now, _notes(months.credit_kwh())),
            spans=_spans(ahead, cheapest.steps, zone),
            price_per_kwh=_mean(cheapest.price, count),
            cost_amount=amounts[0],
            saving_now_per_kwh=savings[0],
            saving_now_amount=amounts[1],
            saving_dearest_per_kwh=savings[1],
            saving_dearest_amount=amounts[2],
            known_until=from_us(int(ahead.starts_us[-1]) + _STEP_US),
            tier=max(blocks.values(), default=0),
        )
    )


def _check(arguments: CheapestArguments) -> None:
    if not 1 <= arguments.hours <= arguments.within_h <= _HOURS_MAX:
        raise BillingRequestError(
            f"{arguments.hours} h within {arguments.within_h} h cannot be looked for; give 1 h or "
            f"more, within at most {_HOURS_MAX} h."
        )
    load_w = arguments.load_w
    if load_w is not None and not (load_w.is_finite() and 0 <= load_w <= 10**9):
        raise BillingRequestError(f"A load of {load_w} W is none; give 0 W or more.")


def _choices(ahead: PriceAhead, arguments: CheapestArguments) -> list[_Choice]:
    prices, count = ahead.prices_per_kwh, arguments.hours * _STEPS_PER_HOUR
    if len(prices) < count:
        until = from_us(int(ahead.starts_us[-1]) + _STEP_US)
        raise NoPriceError(
            f"Prices are known until {until.isoformat()} only, less than {arguments.hours} h ahead."
        )
    if arguments.contiguous:
        sums = [Decimal(0)]
        for price in prices:
            sums.append(sums[-1] + price)
        return [
            _Choice(list(range(at, at + count)), sums[at + count] - sums[at])
            for at in range(len(prices) - count + 1)
        ]
    return _whole_hours(ahead, arguments)


def _whole_hours(ahead: PriceAhead, arguments: CheapestArguments) -> list[_Choice]:
    """Return the cheapest, the first and the dearest choice of whole clock hours."""
    first = int(-ahead.starts_us[0] // _STEP_US % _STEPS_PER_HOUR)
    hours = [
        _Choice(list(range(at, at + _STEPS_PER_HOUR)), sum(part, Decimal(0)))
        for at in range(first, len(ahead.prices_per_kwh) - _STEPS_PER_HOUR + 1, _STEPS_PER_HOUR)
        for part in [ahead.prices_per_kwh[at : at + _STEPS_PER_HOUR]]
    ]
    if len(hours) < arguments.hours:
        raise NoPriceError(
            f"{arguments.hours} whole hours are wanted, {len(hours)} lie in the time looked at."
        )
    by_price = sorted(hours, key=lambda hour: (hour.price, hour.steps[0]))
    chosen = (by_price[: arguments.hours], hours[: arguments.hours], by_price[-arguments.hours :])
    return [
        _Choice(
            sorted(step for hour in each for step in hour.steps),
            sum((hour.price for hour in each), Decimal(0)),
        )
        for each in chosen
    ]


def _spans(ahead: PriceAhead, steps: list[int], zone: ZoneInfo) -> list[PricedSpan]:
    """Return the steps as spans without a break and of one period each."""
    breaks = [
        at + 1
        for at, (one, other) in enumerate(pairwise(steps))
        if other != one + 1 or ahead.periods[one] != ahead.periods[other]
    ]
    spans = []
    for first, end in pairwise([0, *breaks, len(steps)]):
        part = steps[first:end]
        start_us = int(ahead.starts_us[part[0]])
        price = sum((ahead.prices_per_kwh[step] for step in part), Decimal(0))
        spans.append(
            PricedSpan(
                start=from_us(start_us),
                end=from_us(int(ahead.starts_us[part[-1]]) + _STEP_US),
                local_start=local_label(start_us, zone),
                price_per_kwh=_mean(price, len(part)),
                period=ahead.periods[part[0]],
            )
        )
    return spans


def _mean(whole: Decimal, count: int) -> Decimal:
    return (whole / count).quantize(Decimal("0.000001")).normalize() + Decimal(0)


def _notes(credit_kwh: Decimal) -> list[str]:
    told = ["Prices are those of a kilowatt-hour more, levies and taxes included."]
    if credit_kwh:
        told.append(f"{credit_kwh} kWh of credit are left, which cost nothing when they are used.")
    return told
