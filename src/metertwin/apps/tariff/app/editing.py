"""Edits of intervals: put in, taken back, listed; months issued before are rated again at once."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.apps.app import Answer, Asked, History, Outcome
from metertwin.apps.tariff.app.answers import EditListed, EditsMade
from metertwin.apps.tariff.app.arguments import EditArguments, EditedInterval, WithdrawArguments
from metertwin.apps.tariff.app.chain import edges_us_of, month_at
from metertwin.apps.tariff.app.desk import Desk, row_of
from metertwin.apps.tariff.app.errors import (
    BillingRequestError,
    ClosedMonthError,
    UnknownEditError,
)
from metertwin.apps.tariff.app.run import BillingRun
from metertwin.apps.view import GroupView
from metertwin.core.clock import from_us, to_us
from metertwin.core.ids import MeterId
from metertwin.core.obis import Obis
from metertwin.core.vee import Edit, edit_from_plain, edit_to_plain, validate_estimate_edit

_US_PER_S = 1_000_000
_UTC = ZoneInfo("UTC")


def answer_edit(desk: Desk, view: GroupView, asked: Asked, _history: History) -> Answer:
    """Answer `edit_intervals`: all of the edits, or none of them."""
    arguments, row = asked.arguments, row_of(view, asked)
    assert isinstance(arguments, EditArguments)
    if not arguments.edits:
        raise BillingRequestError("There is no edit in the request; give at least one.")
    meter = view.meters[row]
    edits = [_edit(desk, view, meter, arguments, each) for each in arguments.edits]
    for edit in edits:
        _check(desk, view, row, edit)
    ids = []
    for edit in edits:
        desk.state.edit_count += 1
        ids.append(f"e{desk.state.edit_count:06}")
        desk.state.edits.setdefault(meter, {})[ids[-1]] = edit_to_plain(edit)
    return _rated_again(desk, view, row, ids)


def answer_withdraw(desk: Desk, view: GroupView, asked: Asked, _history: History) -> Answer:
    """Answer `withdraw_edit`: the edit stays on record and counts no more."""
    arguments, row = asked.arguments, row_of(view, asked)
    assert isinstance(arguments, WithdrawArguments)
    meter = view.meters[row]
    plain = desk.state.edits.get(meter, {}).get(arguments.id)
    if plain is None or plain["withdrawn_at"]:
        what = "no edit" if plain is None else "no edit that still counts"
        raise UnknownEditError(
            f"Meter {meter} has {what} {arguments.id}; the request `edits` lists them.",
            meter=meter,
            id=arguments.id,
        )
    edit = edit_from_plain(plain)
    _check(desk, view, row, edit)
    withdrawn = edit.withdrawn(by=arguments.by, at=view.now, reason=arguments.reason)
    desk.state.edits[meter] |= {arguments.id: edit_to_plain(withdrawn)}
    return _rated_again(desk, view, row, [arguments.id])


def answer_edits(desk: Desk, view: GroupView, asked: Asked, _history: History) -> Answer:
    """Answer `edits`: all on record, withdrawn ones too."""
    meter = view.meters[row_of(view, asked)]
    plains = dict(desk.state.edits.get(meter, {}))
    return Answer([_listed(name, plain) for name, plain in sorted(plains.items())])


def _listed(name: str, plain: Mapping[str, str | int]) -> EditListed:
    edit = edit_from_plain(plain)
    return EditListed(
        id=name,
        register=str(edit.obis),
        interval_start=edit.interval_start,
        length_s=edit.length_s,
        value=edit.value,
        by=edit.by,
        at=edit.at,
        reason=edit.reason,
        withdrawn_by=edit.withdrawn_by,
        withdrawn_at=edit.withdrawn_at,
        withdrawn_reason=edit.withdrawn_reason,
    )


def _edit(
    desk: Desk, view: GroupView, meter: MeterId, said: EditArguments, each: EditedInterval
) -> Edit:
    registers = desk.settings.registers
    obis = Obis.parse(each.register) if each.register else registers.imports
    if obis not in registers.all():
        known = ", ".join(map(str, registers.all()))
        raise BillingRequestError(f"Register {obis} is not billed; billed are {known}.")
    return Edit(
        meter=meter,
        obis=obis,
        interval_start=each.interval_start,
        length_s=each.length_s,
        value=Decimal(each.value),
        by=said.by,
        at=view.now,
        reason=said.reason,
    )


def _check(desk: Desk, view: GroupView, row: int, edit: Edit) -> None:
    """Refuse what does not fit the intervals, the month or the window."""
    tariff = desk.settings.tariff_on(edit.meter, view.now.date())
    month = month_at(tariff, edit.interval_start)
    start_us, end_us = edges_us_of(tariff, month)
    first_us, stop_us = to_us(edit.interval_start), to_us(edit.interval_start)
    stop_us += edit.length_s * _US_PER_S
    if stop_us > end_us:
        raise BillingRequestError(
            f"The edit from {edit.interval_start.isoformat()} of {edit.length_s} s reaches over "
            f"the end of the billing month at {from_us(end_us).isoformat()}; cut it there."
        )
    if stop_us > to_us(view.now):
        raise BillingRequestError(
            f"The edit from {edit.interval_start.isoformat()} of {edit.length_s} s reaches into "
            f"the future; it is {view.now.isoformat()}."
        )
    if start_us < view.intervals.first_us:
        raise ClosedMonthError(
            f"{month:%B %Y} is closed: intervals are at hand from "
            f"{from_us(view.intervals.first_us).isoformat()} on, and only whole months of them are "
            "rated again.",
            month=month.isoformat(),
        )
    day_us = 86_400 * _US_PER_S
    around = (first_us // day_us * day_us, -(-stop_us // day_us) * day_us)
    around = (max(around[0], view.intervals.first_us), around[1])
    table = view.intervals.table(edit.obis, *around, np.array([row], np.int64))
    validate_estimate_edit(table, desk.settings.rules, [edit], zone=_UTC)


def _rated_again(desk: Desk, view: GroupView, row: int, ids: list[str]) -> Answer:
    meter = view.meters[row]
    account = desk.state.accounts.get(meter)
    plains = [desk.state.edits[meter][name] for name in ids]
    starts_us = [to_us(datetime.fromisoformat(str(plain["interval_start"]))) for plain in plains]
    for month, issued in desk.state.issued_of(meter):
        is_inside = any(issued.span_us[0] <= at_us < issued.span_us[1] for at_us in starts_us)
        if account is not None and is_inside:
            account.late.setdefault(month.isoformat(), set())
    desk.forget_rated([meter])
    run = BillingRun(desk.reader, view)
    run.run([row])
    desk.forget_rated([meter])
    return Answer(EditsMade(ids, run.changes), Outcome(run.outputs, run.findings))
