"""The months not issued yet, up to the newest interval, and what the running one will come to."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import numpy as np

from metertwin.apps.app import History, HistoryWanted
from metertwin.apps.tariff.app.answers import BillSoFar
from metertwin.apps.tariff.app.carries import joined
from metertwin.apps.tariff.app.chain import (
    ChainMonth,
    dynamics_of,
    edges_us_of,
    month_at,
    rate_chain,
    tariffs_of_months,
)
from metertwin.apps.tariff.app.errors import NoUsageError
from metertwin.apps.tariff.app.notes import basis_of, began_note, counted_from
from metertwin.apps.tariff.app.usage import DAY_US, Span, Usage, UsageReader, source_of
from metertwin.apps.tariff.bill import Bill
from metertwin.apps.tariff.rating import UsageBatch, rate
from metertwin.apps.tariff.schedule import next_month
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import MeterTwinError
from metertwin.core.ids import MeterId

_WEEK_US = 7 * DAY_US


@dataclass(frozen=True, slots=True, eq=False)
class OpenMonths:
    """A meter's months since the last issued one.

    Attributes:
        usage: Of all of them, so far.
        chain: Rated, ascending; the last one is the running month.
        bill: The running month's, so far.
        since: First month counted, issued ones included.
        carry: What the last issued month handed on.
        projected_total: Total of the running month at its end; None where it cannot be said.
        projected_how: How it was projected, or why not.
    """

    usage: Usage
    chain: list[ChainMonth]
    bill: Bill
    since: date
    carry: dict[str, Decimal]
    projected_total: Decimal | None
    projected_how: str

    @property
    def running(self) -> ChainMonth:
        """The running month."""
        return self.chain[-1]

    @property
    def newest_us(self) -> int:
        """End of the newest interval known, microseconds since 1970 UTC."""
        return int(self.usage.newest_us[0])

    def notes(self) -> list[str]:
        """Return what the bill so far rests on besides its intervals."""
        running = self.running
        return [
            *began_note(self.usage, 0, running),
            *counted_from(running.tariff, running.month, self.since),
            *self.usage.sentences(0, running.first_index, running.end_index),
        ]


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
        NoUsageError: No interval of the running month came yet.
    """
    meter = view.meters[row]
    first, running = open_start(reader, view, meter)
    tariffs = tariffs_of_months(reader.settings, meter, first, running)
    account = reader.state.accounts.get(meter)
    carry = {} if account is None else account.carry
    start_us, _ = edges_us_of(tariffs[0][1], first)
    running_us, end_us = edges_us_of(tariffs[-1][1], running)
    span = Span(np.array([row]), start_us, end_us, to_us(view.now), is_so_far=True)
    source = source_of(view, history)
    usage = reader.read(source, view.meters, span, [tariff for _, tariff in tariffs])
    newest_us = -1 if usage is None else int(usage.newest_us[0])
    if usage is None or newest_us <= running_us:
        told = (
            "none is known" if newest_us < 0 else f"the newest ends {from_us(newest_us):%F %R} UTC"
        )
        raise NoUsageError(
            f"No interval of {running:%B %Y} came from meter {meter} yet; {told}.", meter=meter
        )
    chain = rate_chain(reader.state, usage, tariffs, joined([carry]))
    issued = [month for month, _ in reader.state.issued_of(meter)]
    projected, how = _projection(reader, usage, chain, carry)
    since = min([first, *issued])
    return OpenMonths(usage, chain, chain[-1].bill(0), since, carry, projected, how)


def bill_so_far(months: OpenMonths, view: GroupView) -> BillSoFar:
    """Return the answer."""
    bill = months.bill
    basis = basis_of(bill, months.newest_us, view.now, months.notes())
    return BillSoFar(basis, bill, months.projected_total, months.projected_how)


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
    )
