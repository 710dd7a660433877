"""The bills of a meter's months, from its twin, for a file that leaves."""

import asyncio
from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec

from metertwin.api.asking import ask_meter
from metertwin.api.context import ApiContext
from metertwin.apps.tariff.bill import Bill
from metertwin.bus.messages import Request
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import MeterId

_DEADLINE_S = 30.0


class _Answer(msgspec.Struct, frozen=True):
    bill: Bill


async def bills_of(
    context: ApiContext, meter: MeterId, start: datetime, end: datetime, zone: ZoneInfo
) -> list[Bill]:
    """Return the bill of each month that lies in [start, end) in part, oldest first.

    Months of which the twin has no energies have no bill.

    Raises:
        MeterTwinError: What the twin answered, for example that no tariff app is at work.
    """
    months = list(_months(start.astimezone(zone).date(), end.astimezone(zone).date()))
    found = await asyncio.gather(*(_bill(context, meter, month) for month in months))
    return [bill for bill in found if bill is not None and bill.start < end]


async def _bill(context: ApiContext, meter: MeterId, month: str) -> Bill | None:
    try:
        request = Request("bill", {"month": month})
        return (await ask_meter(context, meter, request, _Answer, _DEADLINE_S)).bill
    except NotFoundError as error:
        if error.code == "not_found.usage":
            return None
        raise


def _months(first: date, last: date) -> Iterator[str]:
    month = first.replace(day=1)
    while month <= last:
        yield month.isoformat()[:7]
        month = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
