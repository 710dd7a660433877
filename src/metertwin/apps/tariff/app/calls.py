"""Real-time prices set and critical peaks called by the utility, for a whole group."""

from datetime import datetime
from decimal import Decimal

from metertwin.apps.app import Answer, Asked, History
from metertwin.apps.tariff.app.answers import EventCalled, PricesSet
from metertwin.apps.tariff.app.arguments import EventArguments, PricesArguments
from metertwin.apps.tariff.app.chain import month_at
from metertwin.apps.tariff.app.desk import Desk
from metertwin.apps.tariff.app.errors import BillingRequestError, NoPriceError
from metertwin.apps.tariff.app.state import Prices
from metertwin.apps.tariff.app.usage import DAY_US
from metertwin.apps.tariff.energy import CriticalPeak, RealTimePrice
from metertwin.apps.tariff.tariff import Tariff
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us, to_us

_US_PER_S = 1_000_000
_KEPT_DAYS = 130
_PRICES_MAX = 20_000


def answer_prices(desk: Desk, view: GroupView, asked: Asked, _history: History) -> Answer:
    """Answer `set_prices`: new prices follow the known ones or replace some of them."""
    arguments = asked.arguments
    assert isinstance(arguments, PricesArguments)
    tariff = desk.settings.version_on(arguments.tariff, view.now.date())
    if not isinstance(tariff.energy, RealTimePrice):
        raise BillingRequestError(f"Tariff {tariff.id} has no real-time price to be set.")
    known = desk.state.prices.get(tariff.id)
    prices = _merged(known, _checked(arguments))
    oldest_us = to_us(view.now) - _KEPT_DAYS * DAY_US
    prices = _without_old(prices, oldest_us)
    desk.state.prices[tariff.id] = prices
    start_us = to_us(arguments.start)
    end_us = start_us + len(arguments.prices_per_kwh) * arguments.period_s * _US_PER_S
    _touch(desk, view, tariff.id, (start_us, end_us))
    return Answer(PricesSet(tariff.id, from_us(prices.start_us), from_us(prices.end_us)))


def answer_event(desk: Desk, view: GroupView, asked: Asked, _history: History) -> Answer:
    """Answer `call_event`: a critical peak must be called before it begins, within the limits."""
    arguments = asked.arguments
    assert isinstance(arguments, EventArguments)
    tariff = desk.settings.version_on(arguments.tariff, view.now.date())
    span = (to_us(arguments.start), to_us(arguments.end))
    events = desk.state.events.get(tariff.id, [])
    is_new = span not in events
    if is_new:
        _check_event(tariff, arguments, events, view.now)
        events = sorted([*events, span])
        desk.state.events[tariff.id] = events
        _touch(desk, view, tariff.id, span)
    year = _billing_year(tariff, arguments.start)
    count = sum(_billing_year(tariff, from_us(start_us)) == year for start_us, _ in events)
    return Answer(EventCalled(tariff.id, arguments.start, arguments.end, count, is_new))


def _checked(arguments: PricesArguments) -> Prices:
    start_us, period_s = to_us(arguments.start), arguments.period_s
    prices = arguments.prices_per_kwh
    is_sound = all(price.is_finite() and abs(price.adjusted()) <= 9 for price in prices)
    if not 1 <= len(prices) <= _PRICES_MAX or not is_sound:
        raise BillingRequestError(
            f"{len(prices)} prices cannot be set; give 1 to {_PRICES_MAX} finite numbers."
        )
    if not 60 <= period_s <= 86_400 or start_us % (period_s * _US_PER_S):
        raise BillingRequestError(
            f"Prices of {period_s} s from {arguments.start.isoformat()} on are off the grid; a "
            "price holds 60 to 86400 s and the first begins at a multiple of that since 1970 UTC."
        )
    return Prices(start_us, period_s, prices)


def _merged(known: Prices | None, new: Prices) -> Prices:
    if known is None:
        return new
    if known.period_s != new.period_s or not known.start_us <= new.start_us <= known.end_us:
        raise NoPriceError(
            f"Prices known hold {known.period_s} s each, from "
            f"{from_us(known.start_us).isoformat()} to {from_us(known.end_us).isoformat()}; new "
            "ones follow without a gap, in the same rhythm, or replace some of them."
        )
    first = (new.start_us - known.start_us) // (known.period_s * _US_PER_S)
    behind: list[Decimal] = known.prices_per_kwh[first + len(new.prices_per_kwh) :]
    merged = [*known.prices_per_kwh[:first], *new.prices_per_kwh, *behind]
    return Prices(known.start_us, known.period_s, merged)


def _without_old(prices: Prices, oldest_us: int) -> Prices:
    old_count = (oldest_us - prices.start_us) // (prices.period_s * _US_PER_S)
    if old_count <= 0:
        return prices
    start_us = prices.start_us + old_count * prices.period_s * _US_PER_S
    return Prices(start_us, prices.period_s, prices.prices_per_kwh[old_count:])


def _check_event(
    tariff: Tariff, event: EventArguments, known: list[tuple[int, int]], now: datetime
) -> None:
    terms, start_us, end_us = tariff.critical_peak, to_us(event.start), to_us(event.end)
    if terms is None:
        raise BillingRequestError(f"Tariff {tariff.id} has no critical-peak price.")
    if not now <= event.start < event.end:
        raise BillingRequestError(
            f"A critical peak from {event.start.isoformat()} to {event.end.isoformat()} cannot be "
            f"called at {now.isoformat()}; call it before it begins, and let it end later."
        )
    if any(start_us < other_end and other_start < end_us for other_start, other_end in known):
        raise BillingRequestError("The critical peak overlaps one that was called before.")
    _check_limits(tariff, terms, event, known)


def _check_limits(
    tariff: Tariff, terms: CriticalPeak, event: EventArguments, known: list[tuple[int, int]]
) -> None:
    hours = Decimal((event.end - event.start).total_seconds()) / 3600
    if terms.hours_per_event_max is not None and hours > terms.hours_per_event_max:
        raise BillingRequestError(
            f"The critical peak lasts {hours.normalize():f} h; tariff {tariff.id} allows "
            f"{terms.hours_per_event_max} h."
        )
    year = _billing_year(tariff, event.start)
    count = sum(_billing_year(tariff, from_us(start_us)) == year for start_us, _ in known)
    if terms.events_per_year_max is not None and count >= terms.events_per_year_max:
        raise BillingRequestError(
            f"{count} critical peaks were called in this billing year; tariff {tariff.id} allows "
            f"{terms.events_per_year_max}."
        )


def _billing_year(tariff: Tariff, moment: datetime) -> int:
    month = month_at(tariff, moment)
    return month.year - (month.month < tariff.year_start_month)


def _touch(desk: Desk, view: GroupView, tariff: str, span: tuple[int, int]) -> None:
    """Have issued months of the tariff rated again where prices or events of them changed."""
    for month, bills in sorted(desk.state.months.items()):
        for meter, issued in bills.items():
            is_inside = issued.span_us[0] < span[1] and span[0] < issued.span_us[1]
            if is_inside and desk.settings.tariff_on(meter, month).id == tariff:
                desk.state.accounts[meter].late.setdefault(month.isoformat(), set())
    desk.forget_rated(view.meters)
