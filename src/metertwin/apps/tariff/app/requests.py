"""The app's requests: what each takes, what it does, who answers it."""

from collections.abc import Callable
from dataclasses import dataclass

from metertwin.apps.app import Answer, Asked, History, HistoryWanted, RequestEffect, RequestKind
from metertwin.apps.tariff.app import arguments as takes
from metertwin.apps.tariff.app.bills import (
    answer_bill,
    answer_bills,
    answer_so_far,
    bill_history,
    bills_history,
    so_far_history,
)
from metertwin.apps.tariff.app.breakdown import answer_breakdown, breakdown_history
from metertwin.apps.tariff.app.calls import answer_event, answer_prices
from metertwin.apps.tariff.app.cheapest import answer_cheapest
from metertwin.apps.tariff.app.desk import Desk
from metertwin.apps.tariff.app.editing import answer_edit, answer_edits, answer_withdraw
from metertwin.apps.tariff.app.offers import answer_tariff, answer_tariffs
from metertwin.apps.tariff.app.prepaid import answer_balance, answer_top_up
from metertwin.apps.tariff.app.what_if import answer_what_if, what_if_history
from metertwin.apps.view import GroupView


def _nothing_wanted(_desk: Desk, _view: GroupView, _asked: Asked) -> HistoryWanted | None:
    return None


@dataclass(frozen=True, slots=True)
class Handler:
    """Who answers a request, and what history that takes."""

    kind: RequestKind
    answer: Callable[[Desk, GroupView, Asked, History], Answer]
    wanted: Callable[[Desk, GroupView, Asked], HistoryWanted | None] = _nothing_wanted


def _reads(arguments: type, summary: str) -> RequestKind:
    return RequestKind(arguments, summary)


def _changes(arguments: type, summary: str) -> RequestKind:
    return RequestKind(arguments, summary, RequestEffect.CHANGES)


def _of_group(kind: RequestKind) -> RequestKind:
    return RequestKind(kind.arguments, kind.summary, kind.effect, is_of_group=True)


HANDLERS = {
    "bill_so_far": Handler(
        _reads(takes.NoArguments, "The running month's bill so far, and what it will come to."),
        answer_so_far,
        so_far_history,
    ),
    "bill": Handler(
        _reads(takes.BillArguments, "A month's bill, as issued or rated now, and what changed."),
        answer_bill,
        bill_history,
    ),
    "bills": Handler(
        _of_group(_reads(takes.BillsArguments, "A month's bills of the whole group.")),
        answer_bills,
        bills_history,
    ),
    "what_if_tariff": Handler(
        _reads(takes.WhatIfArguments, "What my own energy would cost under other tariffs."),
        answer_what_if,
        what_if_history,
    ),
    "cheapest_hours": Handler(
        _reads(takes.CheapestArguments, "When to run something, what it costs and saves."),
        answer_cheapest,
        so_far_history,
    ),
    "usage_breakdown": Handler(
        _reads(takes.BreakdownArguments, "Energy and cost by day, hour, period or weekday."),
        answer_breakdown,
        breakdown_history,
    ),
    "tariff": Handler(
        _reads(takes.NoArguments, "The tariff in force, the present period and the next."),
        answer_tariff,
        so_far_history,
    ),
    "tariffs": Handler(
        _of_group(_reads(takes.NoArguments, "The tariffs there are, and how many meters have.")),
        answer_tariffs,
    ),
    "edit_intervals": Handler(
        _changes(takes.EditArguments, "Put energies in place of others; who and why is kept."),
        answer_edit,
    ),
    "withdraw_edit": Handler(
        _changes(takes.WithdrawArguments, "Take an edit back; it stays on record."),
        answer_withdraw,
    ),
    "edits": Handler(
        _reads(takes.NoArguments, "All edits on record, withdrawn ones too."),
        answer_edits,
    ),
    "top_up": Handler(
        _changes(takes.TopUpArguments, "Pay into a prepaid account; an id counts once."),
        answer_top_up,  # no history: a payment does not wait for the recorder
    ),
    "balance": Handler(
        _reads(takes.NoArguments, "What is left of a prepaid account, and for how long."),
        answer_balance,
        so_far_history,
    ),
    "set_prices": Handler(
        _of_group(_changes(takes.PricesArguments, "Set real-time prices of a tariff.")),
        answer_prices,
    ),
    "call_event": Handler(
        _of_group(_changes(takes.EventArguments, "Call a critical peak before it begins.")),
        answer_event,
    ),
}
KINDS = {name: handler.kind for name, handler in HANDLERS.items()}
