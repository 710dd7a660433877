"""The months not issued yet, up to the newest interval, and what the running one will come to.

Months that are over are rated whole, as they will be issued. Of the running month there may be no
interval yet: in its first hour, or while the meter is silent. It has no bill then, and `silence`
says why; all else is answered nevertheless.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from metertwin.apps.app import History, HistoryWanted
from metertwin.apps.tariff.app.answers import Basis, BillSoFar
from metertwin.apps.tariff.app.carries import joined
from metertwin.apps.tariff.app.chain import (
    ChainMonth,
    dynamics_of,
    edges_us_of,
    month_at,
    month_before,
    rate_chain,
    tariffs_of_months,
)
from metertwin.apps.tariff.app.errors import NoUsageError
from metertwin.apps.tariff.app.notes import basis_of, basis_of_tariff, began_note, counted_from
from metertwin.apps.tariff.app.prices import current_blocks
from metertwin.apps.tariff.app.usage import DAY_US, Span, Usage, UsageReader, source_of
from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.energy import EnergyCharge, TierScope
from metertwin.apps.tariff.rating import UsageBatch, rate
from metertwin.apps.tariff.schedule import next_month
from metertwin.apps.tariff.tariff import Tariff
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import MeterId

_WEEK_US = 7 * DAY_US


@dataclass(frozen=True, slots=True, eq=False)
class OpenMonths:
    """A meter's months since the last issued one.

    Attributes:
        month: The running one.
        tariff: Its tariff.
        usage: Of all of them, so far; None where there is no interval.
        chain: Rated, ascending; the last one is the running month, if an interval of it came.
        bill: The running month's, so far; None where no interval of it came.
        bill_before: The month's before it; None where that is not at hand.
        since: First month counted, issued ones included.
        skipped: Months between that were not issued.
        newest_us: End of the newest interval known, microseconds since 1970 UTC; -1: none is.
        silence: Why the running month has no bill; empty where it has one.
        projected_total: Total of the running month at its end; None where it cannot be said.
        projected_how: How it was projected, or why not.
    """

    month: date
    tariff: Tariff
    usage: Usage | None
    chain: list[ChainMonth]
    bill: Bill | None
    bill_before: Bill | None
    since: date
    skipped: list[date]
    newest_us: int
    silence: str
    projected_total: Decimal | None
    projected_how: str

    def notes(self, chained: ChainMonth) -> list[str]:
        """Return what the bill of a month rests on besides its intervals."""
        assert self.usage is not None  # else there is no month
        return [
            *began_note(self.usage, 0, chained),
            *counted_from(chained.tariff, chained.month, self.since, self.skipped),
            *self.usage.sentences(0, chained.first_index, chained.end_index),
        ]

    def basis(self, now: datetime, notes: list[str]) -> Basis:
        """Return what an answer about the running month rests on."""
        if self.bill is None:
            return basis_of_tariff(self.tariff, self.newest_us, now, [self.silence, *notes])
        return basis_of(self.bill, self.newest_us, now, notes)

    def blocks(self) -> dict[str, int]:
        """Return the block each period's energy stands in now, from 1; 0: no blocks."""
        charge, bill = self.tariff.energy, self.bill
        is_yearly = isinstance(charge, EnergyCharge) and charge.tier_scope is TierScope.YEAR
        if bill is None and is_yearly and self.month.month != self.tariff.year_start_month:
            bill = self.bill_before
        return current_blocks(bill, self.tariff)

    def credit_kwh(self) -> Decimal:
        """Return the net-metering credit that is left."""
        bill = self.bill or self.bill_before
        return Decimal(0) if bill is None else bill.credit_kwh


def open_start(reader: UsageReader, view: GroupView, meter: MeterId) -> tuple[date, date]:
    """Return the first month not issued and the running one; raises NotBilledError."""
    today = reader.settings.tariff_on(meter, view.now.date())
    running = month_at(today, view.now)
    account = reader.state.accounts.get(meter)
    if account is None or account.last_month is None:
        first = running if account is None else account.first_month or running
    else:
        first = next_month(account.last_month)
    return min(first, running), running


def so_far_wanted(reader: UsageReader, view: GroupView, meter: MeterId) -> HistoryWanted | None:
    """Return the history that the open months need; None where the window reaches."""
    first, _ = open_start(reader, view, meter)
    start_us, _ = edges_us_of(reader.settings.tariff_on(meter, first), first)
    if start_us >= view.intervals.first_us:
        return None
    end_us = to_us(view.now) // 3_600_000_000 * 3_600_000_000
    registers = reader.settings.registers.all()
    return HistoryWanted(registers, from_us(start_us), from_us(end_us), [meter])


def open_months(reader: UsageReader, view: GroupView, row: int, history: History) -> OpenMonths:
    """Rate the months of a meter that are not issued, the running one so far.

    Raises:
        NotBilledError: The meter has no tariff.
        RatingError: The intervals do not suit the tariff.
    """
    meter = view.meters[row]
    first, running = open_start(reader, view, meter)
    tariffs = tariffs_of_months(reader.settings, meter, first, running)
    account = reader.state.accounts.get(meter)
    carry = {} if account is None else account.carry
    start_us, _ = edges_us_of(tariffs[0][1], first)
    running_us, end_us = edges_us_of(tariffs[-1][1], running)
    span = Span(np.array([row]), start_us, end_us, to_us(view.now))
    span = replace(span, is_so_far=True, whole_until_us=running_us)
    source = source_of(view, history)
    usage = reader.read(source, view.meters, span, [tariff for _, tariff in tariffs])
    chain: list[ChainMonth] = []
    if usage is not None:
        chain = rate_chain(reader.state, usage, tariffs, joined([carry]))
    newest_us = -1 if usage is None else int(usage.newest_us[0])
    is_silent = not chain or chain[-1].month != running
    silence = _silence(meter, running, newest_us) if is_silent else ""
    projected, how = None, silence
    if usage is not None and not is_silent:
        projected, how = _projection(reader, usage, chain, carry)
    return OpenMonths(
        month=running,
        tariff=tariffs[-1][1],
        usage=usage,
        chain=chain,
        bill=None if is_silent else chain[-1].bill(0),
        bill_before=_bill_before(reader, meter, running, chain),
        since=reader.state.since(meter) or first,
        skipped=[] if account is None else list(account.skipped),
        newest_us=newest_us,
        silence=silence,
        projected_total=projected,
        projected_how=how,
    )


def _silence(meter: MeterId, running: date, newest_us: int) -> str:
    newest = f"; the newest ends {from_us(newest_us):%F %R} UTC" if newest_us >= 0 else ""
    return f"No interval of {running:%B %Y} came from meter {meter} yet{newest}."


def _bill_before(
    reader: UsageReader, meter: MeterId, running: date, chain: list[ChainMonth]
) -> Bill | None:
    before = month_before(running)
    for chained in chain:
        if chained.month == before:
            return chained.bill(0)
    issued = reader.state.issued(before, meter)
    return None if issued is None else issued.unpacked()


def bill_so_far(months: OpenMonths, view: GroupView, meter: MeterId) -> BillSoFar:
    """Return the answer; raises NoUsageError where no interval of the running month came yet."""
    if months.bill is None:
        raise NoUsageError(months.silence, meter=meter)
    basis = months.basis(view.now, months.notes(months.chain[-1]))
    return BillSoFar(basis, months.bill, months.projected_total, months.projected_how)


def _projection(
    reader: UsageReader, usage: Usage, chain: list[ChainMonth], carry: dict[str, Decimal]
) -> tuple[Decimal | None, str]:
    """Return the running month's total at its end, and what its rest was taken to be."""
    running = chain[-1]
    if running.is_final:
        return running.rated.totals(running.month_index)[0], "The month is complete."
    _, end_us = edges_us_of(running.tariff, running.month)
    batch = usage.columns(running.first_index, running.end_index)
    count = (end_us - batch.end_us) // batch.period_us
    pattern, how = _pattern(usage, batch)
    handed_on = joined([carry]) if len(chain) == 1 else chain[-2].carry_after()
    whole = _extended(batch, pattern, count)
    dynamics = dynamics_of(reader.state, running.tariff, whole)
    try:
        rated = rate(running.tariff, whole, carry=handed_on, dynamics=dynamics)
    except MeterTwinError as error:
        return None, f"No projection: {error}"
    return rated.totals(0)[0], how


def _pattern(usage: Usage, batch: UsageBatch) -> tuple[int, str]:
    """Return how many of the last intervals stand for those to come."""
    seen_us = batch.end_us - max(int(usage.first_us[0]), batch.start_us)
    if seen_us >= _WEEK_US:
        return (
            _WEEK_US // batch.period_us,
            "The rest of the month is taken to be like the last 7 days.",
        )
    if seen_us >= DAY_US:
        days = seen_us // DAY_US
        told = "the last day" if days == 1 else f"the last {days} days"
        return (
            days * DAY_US // batch.period_us,
            f"The rest of the month is taken to be like {told}.",
        )
    count = max(seen_us // batch.period_us, 1)
    return count, "The rest of the month is taken to be like the few hours known of it."


def _extended(batch: UsageBatch, pattern_count: int, count: int) -> UsageBatch:
    """Return the batch with `count` intervals more, repeating its last ones."""
    at = np.concatenate(
        [
            np.arange(batch.interval_count),
            batch.interval_count - pattern_count + np.arange(count) % pattern_count,
        ]
    )
    exports, reactive = batch.export_counts, batch.import_varh_counts
    return replace(
        batch,
        import_counts=batch.import_counts[:, at],
        export_counts=None if exports is None else exports[:, at],
        import_varh_counts=None if reactive is None else reactive[:, at],
        is_estimated=None,
        is_missing=None,
        is_import_estimated=None,
        is_export_estimated=None,
    )
