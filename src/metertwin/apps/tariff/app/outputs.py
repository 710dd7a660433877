"""Bills as outputs and findings: what the recorder keeps and the meter's events say."""

from datetime import datetime
from decimal import Decimal

import msgspec

from metertwin.apps.app import Finding, Output
from metertwin.apps.tariff.app.answers import Revision
from metertwin.apps.tariff.bill import Bill, BillChange


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


def _plain(thing: Bill | BillChange) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(thing, builtin_types=(Decimal, datetime))
    return plain
