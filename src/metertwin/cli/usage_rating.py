"""Bills for a usage file: its energies validated, gaps estimated, rated with a tariff."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.energy import RealTimePrice
from metertwin.apps.tariff.rating import (
    Contract,
    Dynamics,
    PriceSeries,
    UsageBatch,
    check_intervals,
    rate,
)
from metertwin.apps.tariff.schedule import billing_month_edges_us, billing_month_of
from metertwin.apps.tariff.tariff import Tariff
from metertwin.core.clock import from_us
from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis
from metertwin.core.vee import VeeResult, VeeRules, validate_estimate_edit
from metertwin.exchange.tables import interval_table
from metertwin.exchange.usage_file import (
    EXPORT,
    IMPORT,
    REACTIVE_IMPORT,
    US_PER_S,
    UsageFile,
    UsageSeries,
)


class UsageRatingError(InvalidInputError):
    """A usage file does not have what a bill needs."""

    code = "cli.usage_rating"


@dataclass(frozen=True, slots=True)
class RatedFile:
    """Bills of one meter of a file.

    Attributes:
        bills: A bill per billing month, the last perhaps so far.
        notes: What was left out, validated or estimated, one sentence each.
    """

    bills: Sequence[Bill]
    notes: Sequence[str]


def rated_file(
    file: UsageFile,
    tariff: Tariff,
    contract: Contract,
    meter: MeterId | None = None,
    prices: PriceSeries | None = None,
) -> RatedFile:
    """Return the bills of one meter for all billing months that begin within the file.

    Months come one after the other, so that credits and ladders go from one to the next.

    Args:
        file: The usage.
        tariff: Its prices and rules.
        contract: What the customer agreed on, for tariffs that ask.
        meter: Whose; None: the only one in the file.
        prices: For tariffs with a real-time price.

    Raises:
        UsageRatingError: The meter is none or unclear, no billing month begins in the file, or
            prices are given and not asked for, or the other way round.
        UsageFileError: The intervals are not on a grid.
        RatingError: The tariff cannot be applied to them, such as prices by the hour to daily
            totals.
    """
    _check_prices(tariff, prices)
    whose = _meter(file, meter)
    imports = _series(file, whose, IMPORT)
    if imports is None:
        raise UsageRatingError(f"The file has no energy drawn by {whose}; a bill needs it.")
    start_us, notes = _first_month_us(imports, tariff)
    end_us = int(imports.intervals.end_us[-1])
    zone = ZoneInfo(tariff.zone)
    results: list[VeeResult | None] = []
    for series in (imports, _series(file, whose, EXPORT), _series(file, whose, REACTIVE_IMPORT)):
        if series is None:
            results.append(None)
            continue
        _check_usual_intervals(tariff, series, prices, start_us)
        table = interval_table(series, start_us, end_us)
        results.append(validate_estimate_edit(table, VeeRules(), zone=zone))
    for result in results:
        if result is not None:
            notes += result.explained(0)
    drawn, fed_in, reactive = (None if each is None else each.table for each in results)
    assert drawn is not None
    usage = UsageBatch.of(drawn, fed_in, reactive, [contract])
    rated = rate(tariff, usage, dynamics=Dynamics(prices))
    notes += _validity_notes(tariff, rated.months)
    if tariff.critical_peak is not None:
        notes.append(f"Critical peaks of {tariff.id} are not billed: their events are not known.")
    return RatedFile([rated.bill(0, index) for index in range(len(rated.months))], notes)


def _check_prices(tariff: Tariff, prices: PriceSeries | None) -> None:
    is_asked = isinstance(tariff.energy, RealTimePrice)
    if is_asked and prices is None:
        raise UsageRatingError(
            f"Tariff {tariff.id} has a real-time price; give the series with --prices, a CSV with "
            "columns start and price_per_kwh or price_per_mwh."
        )
    if prices is not None and not is_asked:
        raise UsageRatingError(f"Tariff {tariff.id} has no real-time price; leave --prices out.")


def _meter(file: UsageFile, meter: MeterId | None) -> MeterId:
    meters = list(dict.fromkeys(series.meter for series in file.series))
    if meter is None and len(meters) == 1:
        return meters[0]
    if meter is None or meter not in meters:
        raise UsageRatingError(
            f"The file has the meters {', '.join(meters[:20]) or 'none'}; name one of them with "
            "--meter.",
            meters=meters[:20],
        )
    return meter


def _series(file: UsageFile, meter: MeterId, obis: Obis) -> UsageSeries | None:
    """Return the series with the shortest intervals: peaks and periods need them."""
    found = [
        series
        for series in file.series
        if series.meter == meter and series.register.obis == obis and len(series.intervals)
    ]
    return min(found, key=lambda each: each.register.period_s, default=None)


def _check_usual_intervals(
    tariff: Tariff, series: UsageSeries, prices: PriceSeries | None, start_us: int
) -> None:
    """Refuse a series that is too coarse for the tariff's hours, prices or windows of power.

    The table may be on a finer grid, on which such intervals would be rated as if their energy was
    known there. Only the usual ones are asked: longer ones between them are totals, which are
    shared as estimates are.
    """
    intervals, period_s = series.intervals, series.register.period_s
    usual = intervals.take((intervals.length_s == period_s) & (intervals.start_us >= start_us))
    if not len(usual):
        return
    check_intervals(tariff, (usual.start_us, usual.end_us), period_s)
    if prices is not None:
        step_us = prices.period_s * US_PER_S
        firsts = (usual.start_us - prices.start_us) // step_us
        if (firsts != (usual.end_us - 1 - prices.start_us) // step_us).any():
            raise UsageRatingError(
                f"Prices hold {prices.period_s} s each, and the file has intervals of {period_s} s "
                "within which they change: how much was used at which price is not known. Give "
                f"usage in intervals of {prices.period_s} s, or of a length that divides them."
            )
    windows_s = [charge.window_s for charge in (*tariff.demand, tariff.capacity) if charge]
    for window_s in windows_s:
        if window_s % period_s:
            raise UsageRatingError(
                f"Demand is averaged over {window_s} s, and the file has intervals of {period_s} "
                "s; give usage in intervals of a length that divides the window."
            )


def _first_month_us(imports: UsageSeries, tariff: Tariff) -> tuple[int, list[str]]:
    """Return when the first billing month begins that the file has from its start."""
    first_us = int(imports.intervals.start_us[0])
    zone = ZoneInfo(tariff.zone)
    month = billing_month_of(tariff, from_us(first_us).astimezone(zone).date())
    edges_us = billing_month_edges_us(tariff, month, 1).tolist()
    if edges_us[0] == first_us:
        return first_us, []
    start_us = edges_us[1]
    begun = from_us(first_us).astimezone(zone)
    if start_us >= int(imports.intervals.end_us[-1]):
        raise UsageRatingError(
            f"No billing month of {tariff.id} begins in the file: it has "
            f"{begun:%Y-%m-%d %H:%M} to "
            f"{from_us(int(imports.intervals.end_us[-1])).astimezone(zone):%Y-%m-%d %H:%M} in "
            f"{tariff.zone}; a bill needs a month from its first interval on."
        )
    note = (
        f"Left out what was used before {from_us(start_us).astimezone(zone):%Y-%m-%d}: the file "
        f"begins on {begun:%Y-%m-%d %H:%M}, within a billing month."
    )
    return start_us, [note]


def _validity_notes(tariff: Tariff, months: Sequence[date]) -> list[str]:
    first, last = tariff.valid_from, tariff.valid_until
    is_outside = (first is not None and months[0] < first) or (
        last is not None and months[-1] > last
    )
    if not is_outside:
        return []
    note = (
        f"{tariff.id} version {tariff.version} is valid from {first or 'ever'} until "
        f"{last or 'further notice'}; months outside are billed as if it were."
    )
    return [note]


def bill_of_month(rated: RatedFile, month: date) -> Bill:
    """Return the bill of a month.

    Raises:
        UsageRatingError: The file has no such billing month from its start on.
    """
    for bill in rated.bills:
        if (bill.month.year, bill.month.month) == (month.year, month.month):
            return bill
    months = ", ".join(f"{bill.month:%Y-%m}" for bill in rated.bills)
    raise UsageRatingError(f"Month {month:%Y-%m} is not in the file; billed are {months}.")
