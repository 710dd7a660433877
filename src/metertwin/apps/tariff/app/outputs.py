"""Bills as outputs and findings: what the recorder keeps and the meter's events say."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from metertwin.apps.app import Finding, Output
from metertwin.apps.tariff.app.answers import Revision
from metertwin.apps.tariff.bill import Bill, BillChange
from metertwin.core.ids import MeterId

_DOUBTS_MAX = 3


def bill_output(bill: Bill, revision: Revision, notes: list[str]) -> Output:
    """Return an issue of a bill: its fields, `change` to the issue before, `notes`."""
    value = {
        **_plain(bill),
        "revision": revision.revision,
        "change": None if revision.change is None else _plain(revision.change),
        "notes": notes,
    }
    return Output(bill.meter, "bill", bill.start, value, revision.revision)


def changed_finding(bill: Bill, before: Bill, change: BillChange, now: datetime) -> Finding:
    """Return that an issued bill changed, by how much and why."""
    detail = (
        f"{bill.month:%B %Y}: {bill.total} {bill.currency} instead of {before.total}. "
        f"{' '.join(change.reasons)}"
    )
    return Finding(bill.meter, "bill_changed", now, detail.strip())


def doubtful_finding(bill: Bill, doubts: Sequence[str], now: datetime) -> Finding:
    """Return that a bill rests on measured energies that are hardly true."""
    left = len(doubts) - _DOUBTS_MAX
    more = f" And {left} more of the kind." if left > 0 else ""
    detail = (
        f"{bill.month:%B %Y} is billed with what is hardly true. {' '.join(doubts[:_DOUBTS_MAX])}"
        f"{more} If it is wrong, edit_intervals puts in what is right."
    )
    return Finding(bill.meter, "bill_doubtful", now, detail)


def together(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding of each meter, name and moment: more would be taken for the same."""
    details: dict[tuple[MeterId, str, datetime], list[str]] = {}
    for found in findings:
        details.setdefault((found.meter, found.name, found.at), []).append(found.detail)
    return [Finding(*key, " ".join(told)) for key, told in details.items()]


def _plain(thing: Bill | BillChange) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(thing, builtin_types=(Decimal, datetime))
    return plain
