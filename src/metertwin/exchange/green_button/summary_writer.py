"""Bills as Green Button's UsageSummary, elements in the schema's order."""

from datetime import datetime
from decimal import Decimal
from xml.sax.saxutils import escape

from metertwin.core.clock import to_us
from metertwin.exchange.bill_summary import BillSummary, SummaryLine
from metertwin.exchange.currencies import CURRENCY_CODES
from metertwin.exchange.green_button.codes import (
    ELECTRICITY,
    ITEM_KIND_INFORMATION,
    MULTIPLIERS,
    UOM_CODES,
    WATT_HOURS,
)
from metertwin.exchange.green_button.numbers import AMOUNT_DIGITS, INT48_MAX
from metertwin.exchange.green_button.text import ESPI, checked_text
from metertwin.exchange.usage_file import US_PER_S, UsageFileError


def summary(bill: BillSummary) -> str:
    """Return a bill as UsageSummary.

    Raises:
        UsageFileError: An amount is finer than a hundred-thousandth of the currency or beyond 47
            bits, a time is not on a whole second, or a text has characters that XML has not.
    """
    problems = [*checked_text(bill.tariff, "the tariff's name")]
    for line in bill.lines:
        problems += checked_text(line.note, "the note of a line")
    if problems:
        raise UsageFileError.listing(f"The bill of {bill.meter}", problems)
    start_s, end_s = _seconds(bill.start), _seconds(bill.end)
    currency = CURRENCY_CODES.get(bill.currency)
    parts = [
        f"<UsageSummary {ESPI}>\n",
        f"<billingPeriod><duration>{end_s - start_s}</duration>",
        f"<start>{start_s}</start></billingPeriod>\n",
        _amount("billLastPeriod", bill.last_total),
        _amount("billToDate", bill.so_far_total),
        _amount("costAdditionalLastPeriod", bill.additional_total),
        *(_line(line) for line in bill.lines),
        "" if currency is None else f"<currency>{currency}</currency>\n",
        _measured("overallConsumptionLastPeriod", bill.import_wh, WATT_HOURS),
        f"<statusTimeStamp>{_seconds(bill.at)}</statusTimeStamp>\n",
        f"<commodity>{ELECTRICITY}</commodity>\n",
        f"<tariffProfile>{escape(bill.tariff)}</tariffProfile>\n" if bill.tariff else "",
        "</UsageSummary>\n",
    ]
    return "".join(parts)


def _line(line: SummaryLine) -> str:
    return (
        f"<costAdditionalDetailLastPeriod>\n{_amount('amount', line.amount)}"
        f"<note>{escape(line.note)}</note>\n"
        f"{_measured('measurement', line.value, UOM_CODES.get(line.unit, 0))}"
        f"<itemKind>{line.item_kind or ITEM_KIND_INFORMATION}</itemKind>\n"
        "</costAdditionalDetailLastPeriod>\n"
    )


def _amount(name: str, amount: Decimal | None) -> str:
    if amount is None:
        return ""
    return f"<{name}>{_whole(amount.scaleb(AMOUNT_DIGITS), f'{name} {amount}')}</{name}>\n"


def _measured(name: str, value: Decimal | None, uom: int) -> str:
    if value is None:
        return ""
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    multiplier = max(each for each in MULTIPLIERS if each <= max(min(exponent, 12), -12))
    return (
        f"<{name}><powerOfTenMultiplier>{multiplier}</powerOfTenMultiplier><uom>{uom}</uom>"
        f"<value>{_whole(value.scaleb(-multiplier), f'{name} {value}')}</value></{name}>\n"
    )


def _whole(number: Decimal, what: str) -> int:
    whole = int(number)
    if whole != number or abs(whole) > INT48_MAX:
        raise UsageFileError(
            f"{what} cannot be said in Green Button, which counts hundred-thousandths of the "
            "currency, and units in powers of ten, in 47 bits."
        )
    return whole


def _seconds(moment: datetime) -> int:
    us = to_us(moment)
    if us % US_PER_S or us < 0:
        raise UsageFileError(f"{moment.isoformat()} is not on a whole second since 1970.")
    return us // US_PER_S
