"""What changed between two bills of the same month."""

from collections.abc import Sequence
from decimal import Decimal

from metertwin.apps.tariff.bill import Bill, BillChange, BillLine, LineChange
from metertwin.apps.tariff.rating.usage import RatingError

_NOTHING = Decimal(0)


def compare(before: Bill, after: Bill, reasons: Sequence[str]) -> BillChange:
    """Return how a month's bill changed, line by line; equal lines are left out.

    Args:
        before: The bill as it was.
        after: The bill as it is now.
        reasons: Why, one sentence each.

    Raises:
        RatingError: The bills are of different meters, months or currencies.
    """
    subjects = [(bill.meter, bill.month, bill.currency) for bill in (before, after)]
    if subjects[0] != subjects[1]:
        told = [f"{meter} for {month} in {currency}" for meter, month, currency in subjects]
        raise RatingError(f"Bills of {told[0]} and of {told[1]} cannot be compared.")
    old, new = ({line.key: line for line in bill.lines} for bill in (before, after))
    keys = [*old, *(key for key in new if key not in old)]
    changes = [_change(old.get(key), new.get(key)) for key in keys]
    return BillChange(
        meter=after.meter,
        month=after.month,
        difference=after.total - before.total,
        reasons=list(reasons),
        lines=[c for c in changes if c.difference or _told(c.before) != _told(c.after)],
    )


def _change(before: BillLine | None, after: BillLine | None) -> LineChange:
    line = after or before
    assert line is not None  # the key is that of one of the two
    amounts = [_NOTHING if each is None else each.amount for each in (before, after)]
    return LineChange(line.name, line.period, line.tier, before, after, amounts[1] - amounts[0])


def _told(line: BillLine | None) -> tuple[Decimal | None, Decimal | None]:
    return (None, None) if line is None else (line.quantity, line.rate)
