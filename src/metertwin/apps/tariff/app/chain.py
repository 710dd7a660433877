"""Rating several months one after the other, whatever tariff each of them has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from metertwin.apps.tariff.app.errors import BillingRequestError, NotBilledError
from metertwin.apps.tariff.app.settings import BillingSettings
from metertwin.apps.tariff.app.state import State
from metertwin.apps.tariff.app.usage import Usage
from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.energy import RealTimePrice
from metertwin.apps.tariff.rating import Carry, Dynamics, PriceSeries, Rated, UsageBatch, rate
from metertwin.apps.tariff.schedule import billing_month_edges_us, billing_month_of, next_month
from metertwin.apps.tariff.tariff import Tariff
from metertwin.core.ids import MeterId

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class ChainMonth:
    """One month of a chain: where its bills are.

    Attributes:
        month: Its first day.
        tariff: By which it was rated.
        rated: What rating found.
        month_index: Of the month in `rated`.
        first_index: Its first interval in the chain's usage.
        end_index: First interval behind it.
    """

    month: date
    tariff: Tariff
    rated: Rated
    month_index: int
    first_index: int
    end_index: int

    def bill(self, row: int) -> Bill:
        """Return a meter's bill."""
        return self.rated.bill(row, self.month_index)

    @property
    def is_final(self) -> bool:
        """Whether the whole month is rated."""
        return self.rated.is_final(self.month_index)

    def carry_after(self) -> Carry:
        """Return what the month hands on; raises RatingError where it is not final."""
        return self.rated.carry_after(self.month_index)


def rate_chain(
    state: State, usage: Usage, tariffs: Sequence[tuple[date, Tariff]], carry: Carry
) -> list[ChainMonth]:
    """Rate months one after the other.

    Args:
        state: Has prices and events.
        usage: From the first month's start on; may end within a month.
        tariffs: Month and tariff of each, ascending, without a hole.
        carry: What the month before the first handed on.
    """
    chain: list[ChainMonth] = []
    batch = usage.batch
    for tariff, group in groupby(tariffs, key=lambda each: each[1]):
        months = [month for month, _ in group]
        edges_us = billing_month_edges_us(tariff, months[0], len(months)).tolist()
        places = [
            min((edge_us - batch.start_us) // batch.period_us, batch.interval_count)
            for edge_us in edges_us
        ]
        if places[0] >= batch.interval_count:
            break
        part = usage.columns(places[0], places[-1])
        rated = rate(tariff, part, carry=carry, dynamics=dynamics_of(state, tariff, part))
        spans = zip(months, places[:-1], places[1:], strict=True)
        for index, (month, first, end) in enumerate(spans):
            if first < end:
                chain.append(ChainMonth(month, tariff, rated, index, first, end))
        if chain[-1].is_final:
            carry = chain[-1].carry_after()
    return chain


def dynamics_of(state: State, tariff: Tariff, batch: UsageBatch) -> Dynamics:
    """Return prices and events of a tariff, prices over the batch only."""
    events = tuple(state.events.get(tariff.id, ())) if tariff.critical_peak is not None else ()
    prices = state.prices.get(tariff.id)
    if prices is None or not isinstance(tariff.energy, RealTimePrice):
        return Dynamics(None, events)
    step_us = prices.period_s * _US_PER_S
    first = max((batch.start_us - prices.start_us) // step_us, 0)
    last = max(-(-(batch.end_us - prices.start_us) // step_us), first + 1)
    part = tuple(prices.prices_per_kwh[first:last])
    series = PriceSeries(prices.start_us + first * step_us, prices.period_s, part)
    return Dynamics(series, events)


def tariffs_of_months(
    settings: BillingSettings, meter: MeterId, first: date, last: date
) -> list[tuple[date, Tariff]]:
    """Return month and tariff of a meter's months from `first` to `last`."""
    months, month = [], first
    while month <= last:
        months.append((month, settings.tariff_on(meter, month)))
        month = next_month(month)
    return months


def tariffs_back_to(
    settings: BillingSettings, meter: MeterId, first: date, last: date
) -> list[tuple[date, Tariff]]:
    """Return month and tariff of a meter's months up to `last`, from `first` on or where it begins.

    Raises:
        NotBilledError: The meter has no tariff in the last month.
    """
    months = [(last, settings.tariff_on(meter, last))]
    while months[0][0] > first:
        before = month_before(months[0][0])
        try:
            months.insert(0, (before, settings.tariff_on(meter, before)))
        except NotBilledError:
            break
    return months


def month_at(tariff: Tariff, moment: datetime) -> date:
    """Return the billing month a moment lies in."""
    return billing_month_of(tariff, moment.astimezone(ZoneInfo(tariff.zone)).date())


def edges_us_of(tariff: Tariff, month: date) -> tuple[int, int]:
    """Return start and end of a billing month, microseconds since 1970 UTC."""
    start_us, end_us = billing_month_edges_us(tariff, month, 1).tolist()
    return start_us, end_us


def month_before(month: date) -> date:
    """Return the same day, 1 to 28, of the month before."""
    if month.month == 1:
        return month.replace(year=month.year - 1, month=12)
    return month.replace(month=month.month - 1)


def read_month(text: str, tariff: Tariff) -> date:
    """Read `YYYY-MM` as the billing month that begins in it; raises BillingRequestError."""
    try:
        first = date.fromisoformat(f"{text:7.7}-01")
    except ValueError:
        first = None
    if first is None or len(text) != 7:
        raise BillingRequestError(
            f"Month {text[:20]} is none; write YYYY-MM, for example 2026-03.", month=text[:20]
        )
    return first.replace(day=tariff.month_start_day)
