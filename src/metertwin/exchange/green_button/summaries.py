"""Bills in a Green Button file: UsageSummary, and ElectricPowerUsageSummary as older files say."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from metertwin.core.ids import MeterId
from metertwin.exchange.bill_summary import NOTE_LONGEST, BillSummary, SummaryLine
from metertwin.exchange.currencies import CURRENCIES
from metertwin.exchange.green_button.codes import UOM_SYMBOLS, WATT_HOURS
from metertwin.exchange.green_button.document import Entry, Node, resources
from metertwin.exchange.green_button.numbers import LENGTH_MAX_S, Checked

_NAMES = ("UsageSummary", "ElectricPowerUsageSummary")
_UNITS = frozenset({"Wh", "W", "VA", "varh"})


def bills_of(
    entries: list[Entry],
    meter_of: Callable[[Entry], MeterId | None],
    problems: list[str],
    notes: list[str],
) -> Iterator[BillSummary]:
    """Yield the bills of a feed.

    Args:
        entries: The feed.
        meter_of: Returns the usage point that an entry belongs to.
        problems: Where problems go.
        notes: Where oddities go.
    """
    for entry, node in resources(entries, *_NAMES):
        meter = meter_of(entry)
        if meter is None:
            problems.append(f"the {node.name} at line {entry.line_number} belongs to no UsagePoint")
            continue
        bill = _bill(entry, node, meter, problems, notes)
        if bill is not None:
            yield bill


def _bill(
    entry: Entry, node: Node, meter: MeterId, problems: list[str], notes: list[str]
) -> BillSummary | None:
    where = f"the {node.name} at line {entry.line_number}"
    checked = Checked(node, where, problems)
    start = checked.moment("billingPeriod", "start")
    length_s = checked.integer("billingPeriod", "duration", limit=LENGTH_MAX_S)
    at = checked.moment("statusTimeStamp")
    if start is None or length_s is None or length_s <= 0:
        notes.append(f"Left out {where}: it has no billing period.")
        return None
    code = checked.integer("currency")
    if code is not None and code not in CURRENCIES:
        notes.append(f"Currency {code} of {where} is not of ISO 4217; its amounts have none.")
    consumption = checked.measured("overallConsumptionLastPeriod")
    end = start + timedelta(seconds=length_s)
    return BillSummary(
        meter=meter,
        start=start,
        end=end,
        at=at or end,
        currency=CURRENCIES.get(code or 0, ""),
        last_total=checked.amount("billLastPeriod"),
        so_far_total=checked.amount("billToDate"),
        additional_total=checked.amount("costAdditionalLastPeriod"),
        import_wh=consumption[0] if consumption and consumption[1] == WATT_HOURS else None,
        tariff=node.text_at("tariffProfile"),
        lines=[
            line
            for number, item in enumerate(node.all("costAdditionalDetailLastPeriod"), 1)
            if (line := _line(item, f"line {number} of {where}", problems)) is not None
        ],
    )


def _line(node: Node, where: str, problems: list[str]) -> SummaryLine | None:
    checked = Checked(node, where, problems)
    amount = checked.amount("amount")
    if amount is None:
        problems.append(f"{where} has no amount")
        return None
    measured = checked.measured("measurement")
    unit = UOM_SYMBOLS.get(measured[1], "") if measured else ""
    is_known = unit in _UNITS
    return SummaryLine(
        note=node.text_at("note")[:NOTE_LONGEST] or "without a note",
        amount=amount,
        item_kind=checked.integer("itemKind", limit=10) or 0,
        value=measured[0] if measured and is_known else None,
        unit=unit if is_known else "",
    )
