"""The requests `bill_so_far`, `bill` and `bills`."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from metertwin.apps.app import Answer, Asked, History, HistoryWanted
from metertwin.apps.tariff.app.answers import GroupBills, MeterTotal, MonthBill
from metertwin.apps.tariff.app.arguments import BillArguments, BillsArguments
from metertwin.apps.tariff.app.chain import month_at, read_month
from metertwin.apps.tariff.app.desk import Desk, row_of
from metertwin.apps.tariff.app.errors import BillingRequestError, NotBilledError, NoUsageError
from metertwin.apps.tariff.app.notes import basis_of
from metertwin.apps.tariff.app.past import past_wanted, rate_past
from metertwin.apps.tariff.app.so_far import bill_so_far, open_start, so_far_wanted
from metertwin.apps.tariff.app.state import Issued
from metertwin.apps.tariff.bill import Bill
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us
from metertwin.core.errors import MeterTwinError, NotFoundError
from metertwin.core.ids import MeterId


def so_far_history(desk: Desk, view: GroupView, asked: Asked) -> HistoryWanted | None:
    """Return what the months not issued need."""
    return so_far_wanted(desk.reader, view, view.meters[row_of(view, asked)])


def answer_so_far(desk: Desk, view: GroupView, asked: Asked, history: History) -> Answer:
    """Answer `bill_so_far`."""
    row = row_of(view, asked)
    return Answer(bill_so_far(desk.open_months(view, row, history), view, view.meters[row]))


def bill_history(desk: Desk, view: GroupView, asked: Asked) -> HistoryWanted | None:
    """Return what a month's bill needs: nothing if it was issued."""
    row = row_of(view, asked)
    meter, month = view.meters[row], _month(desk, view, asked)
    if desk.state.issued(month, meter) is not None:
        return None
    if month >= open_start(desk.reader, view, meter)[0]:
        return so_far_wanted(desk.reader, view, meter)
    return past_wanted(desk, view, [row], month, month)


def answer_bill(desk: Desk, view: GroupView, asked: Asked, history: History) -> Answer:
    """Answer `bill`: as issued, or rated now."""
    row = row_of(view, asked)
    meter, month = view.meters[row], _month(desk, view, asked)
    issued = desk.state.issued(month, meter)
    if issued is not None:
        return Answer(_issued(issued, view))
    if month >= open_start(desk.reader, view, meter)[0]:
        months = desk.open_months(view, row, history)
        for chained in months.chain:
            if chained.month == month:
                bill = chained.bill(0)
                basis = basis_of(bill, months.newest_us, view.now, months.notes(chained))
                return Answer(MonthBill(basis, bill, is_issued=False))
        if month == months.month:
            raise NoUsageError(months.silence, meter=meter)
    for past in rate_past(desk, view, [row], month, history):
        if not past.is_told(0):
            raise _no_usage(meter, month, past.begins_us(0))
        bill = past.chained.bill(0)
        basis = basis_of(bill, int(past.usage.newest_us[0]), view.now, past.notes(0))
        return Answer(MonthBill(basis, bill, is_issued=False))
    raise _no_usage(meter, month, -1)


def bills_history(desk: Desk, view: GroupView, asked: Asked) -> HistoryWanted | None:
    """Return what the bills that were not issued need."""
    months, open_rows = {}, []
    for row in _rows(view, asked):
        meter = view.meters[row]
        try:
            month = _group_month(desk, view, asked, meter)
        except NotBilledError:
            continue  # the answer says so
        if desk.state.issued(month, meter) is None:
            open_rows.append(row)
            months[month] = row
    return past_wanted(desk, view, open_rows, min(months), max(months)) if months else None


def answer_bills(desk: Desk, view: GroupView, asked: Asked, history: History) -> Answer:
    """Answer `bills`: issued ones as they are, all others rated in one pass for each tariff."""
    arguments = asked.arguments
    assert isinstance(arguments, BillsArguments)
    listed: dict[int, MeterTotal] = {}
    bills: dict[int, Bill] = {}
    unissued: dict[date, list[int]] = {}
    for row in _rows(view, asked):
        meter = view.meters[row]
        if desk.settings.terms(meter) is None:
            listed[row] = MeterTotal(meter, None, note="It has no tariff.")
            continue
        try:
            month = _group_month(desk, view, asked, meter)
        except NotBilledError as error:
            listed[row] = MeterTotal(meter, None, note=str(error))
            continue
        issued = desk.state.issued(month, meter)
        if issued is None:
            unissued.setdefault(month, []).append(row)
            listed[row] = MeterTotal(meter, None, note="There are no intervals of the month.")
        else:
            bills[row] = issued.unpacked()
            listed[row] = _total(bills[row], issued.revisions[-1].revision)
    newest_us = -1
    for month, rows in sorted(unissued.items()):
        for row, rated in _rated(desk, view, (rows, month), history):
            if isinstance(rated, MeterTwinError):
                listed[row] = MeterTotal(view.meters[row], None, note=str(rated))
                continue
            bills[row], row_newest_us = rated
            newest_us = max(newest_us, row_newest_us)
            listed[row] = _total(bills[row], None)
    totals: dict[str, Decimal] = {}
    for bill in bills.values():
        totals[bill.currency] = totals.get(bill.currency, Decimal(0)) + bill.total
    newest = None if newest_us < 0 else from_us(newest_us)
    return Answer(
        GroupBills(
            arguments.month,
            totals,
            [listed[row] for row in sorted(listed)],
            [bills[row] for row in sorted(bills)] if arguments.with_lines else [],
            newest,
            None if newest is None else (view.now - newest).total_seconds(),
        )
    )


def _rated(
    desk: Desk, view: GroupView, wanted: tuple[list[int], date], history: History
) -> Iterator[tuple[int, tuple[Bill, int] | MeterTwinError]]:
    """Yield row, bill and newest interval, or why a meter cannot be billed; the others are."""
    rows, month = wanted
    try:
        pasts = rate_past(desk, view, rows, month, history)
    except MeterTwinError as error:
        if len(rows) == 1:
            yield rows[0], error
            return
        half = len(rows) // 2
        yield from _rated(desk, view, (rows[:half], month), history)
        yield from _rated(desk, view, (rows[half:], month), history)
        return
    for past in pasts:
        for place, row in enumerate(past.rows):
            if past.is_told(place):
                yield row, (past.chained.bill(place), int(past.usage.newest_us[place]))


def _month(desk: Desk, view: GroupView, asked: Asked) -> date:
    assert isinstance(asked.arguments, BillArguments)
    assert asked.meter is not None
    return _checked_month(desk, view, asked.meter, asked.arguments.month)


def _group_month(desk: Desk, view: GroupView, asked: Asked, meter: MeterId) -> date:
    assert isinstance(asked.arguments, BillsArguments)
    return _checked_month(desk, view, meter, asked.arguments.month)


def _checked_month(desk: Desk, view: GroupView, meter: MeterId, text: str) -> date:
    tariff = desk.settings.tariff_on(meter, view.now.date())
    month = read_month(text, tariff)
    running = month_at(tariff, view.now)
    if month > running:
        raise BillingRequestError(
            f"Month {text} has not begun; the running billing month is {running:%Y-%m}.",
            month=text,
        )
    return month


def _rows(view: GroupView, asked: Asked) -> list[int]:
    assert isinstance(asked.arguments, BillsArguments)
    if asked.arguments.meters is None:
        return list(range(len(view.meters)))
    rows = {meter: view.registers.row_of(meter) for meter in asked.arguments.meters}
    if unknown := sorted(meter for meter, row in rows.items() if row is None):
        raise NotFoundError(f"The group has no meters {', '.join(unknown)}.", meters=unknown)
    return sorted(row for row in rows.values() if row is not None)


def _issued(issued: Issued, view: GroupView) -> MonthBill:
    bill = issued.unpacked()
    newest_us = -1 if bill.missing_count == bill.interval_count else issued.span_us[1]
    notes = [f"Issued {len(issued.revisions)} times."] if len(issued.revisions) > 1 else []
    basis = basis_of(bill, newest_us, view.now, notes)
    return MonthBill(basis, bill, is_issued=True, revisions=issued.revisions)


def _total(bill: Bill, revision: int | None) -> MeterTotal:
    return MeterTotal(
        bill.meter,
        bill.total,
        bill.import_kwh,
        bill.export_kwh,
        bill.tariff,
        bill.tariff_version,
        bill.currency,
        bill.estimated_count,
        bill.missing_count,
        revision,
    )


def _no_usage(meter: MeterId, month: date, first_us: int) -> NoUsageError:
    since = f"; its intervals begin on {from_us(first_us):%F %R} UTC" if first_us >= 0 else ""
    return NoUsageError(
        f"There are no intervals of {month:%B %Y} of meter {meter}{since}.",
        meter=meter,
        month=month.isoformat(),
    )
