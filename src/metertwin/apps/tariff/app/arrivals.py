"""Taking note of intervals that came: cheap at every batch, looked at once an hour."""

import numpy as np

from metertwin.apps.tariff.app.desk import Desk
from metertwin.apps.tariff.app.state import Account, Issued
from metertwin.apps.view import GroupView
from metertwin.core.batch import Int64s
from metertwin.core.clock import to_us
from metertwin.core.interval_table import Flags

_US_PER_S = 1_000_000


def take_note(desk: Desk, view: GroupView) -> None:
    """Take note of fresh intervals: which meters have any, and which months they change."""
    fresh = view.fresh
    order = np.argsort(fresh.row, kind="stable")
    rows, firsts = np.unique(fresh.row[order], return_index=True)
    ends = np.append(firsts, len(order))[1:].tolist()
    now_us = to_us(view.now)
    for row, first, end in zip(rows.tolist(), firsts.tolist(), ends, strict=True):
        meter = view.meters[row]
        if desk.settings.terms(meter) is None:
            continue
        account = desk.state.accounts.setdefault(meter, Account(seen_us=now_us))
        account.is_touched = True
        if account.last_month is not None:
            at = order[first:end]
            for month, issued in desk.state.issued_of(meter):
                came = _changing(issued, fresh.start_us[at], fresh.is_changed[at])
                if len(came):
                    account.late.setdefault(month.isoformat(), set()).update(came.tolist())
    desk.forget_rated(view.meters[row] for row in rows.tolist())


def _changing(issued: Issued, starts_us: Int64s, is_changed: Flags) -> Int64s:
    """Return which intervals lie in an issued month and say something new of it.

    An interval that no meter had told when the month was rated is new however often it comes; any
    other one only with another energy.
    """
    start_us, end_us = issued.span_us
    inside = (starts_us >= start_us) & (starts_us < end_us)
    if not inside.any():
        return starts_us[:0]
    was_unknown = np.zeros(len(starts_us), bool)
    for first_us, count in issued.unmeasured_us:
        was_unknown |= (starts_us >= first_us) & (starts_us < first_us + count * issued.period_us)
    # What came before the meter's first interval begins its bill earlier.
    return starts_us[inside & (is_changed | was_unknown | (starts_us < issued.first_us))]
