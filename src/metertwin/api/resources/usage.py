"""A meter's usage as a file for its customer: Green Button or CSV."""

import asyncio
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from metertwin.api.asking import ask_group
from metertwin.api.bills import bills_of
from metertwin.api.context import ApiContext
from metertwin.api.ranges import asked_range
from metertwin.api.resources.documentation import answers
from metertwin.api.resources.parameters import EndQuery, MeterPath, StartQuery
from metertwin.bus.intervals import unpack_table
from metertwin.bus.messages import Request
from metertwin.bus.subjects import Kind
from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import InvalidInputError, NotFoundError
from metertwin.core.ids import meter_id
from metertwin.core.obis import Obis
from metertwin.exchange.bill_summary import BillSummary
from metertwin.exchange.comma_separated import usage_csv
from metertwin.exchange.green_button import green_button
from metertwin.exchange.usage_file import EXPORT, IMPORT, UsageFile, UsageSeries

_DEADLINE_S = 30.0
_GRID_US = 3_600_000_000  # capture periods divide the hour: a range of hours is on any grid
_TITLES = {IMPORT: "Energy drawn", EXPORT: "Energy fed in"}


class UsageFormat(StrEnum):
    """Forms of a usage file."""

    GREENBUTTON = "greenbutton"
    CSV = "csv"


_MEDIA_TYPES = {UsageFormat.GREENBUTTON: "application/atom+xml", UsageFormat.CSV: "text/csv"}
_ENDINGS = {UsageFormat.GREENBUTTON: "xml", UsageFormat.CSV: "csv"}


class BillsFormError(InvalidInputError):
    """Bills are asked for in a form that has none."""

    code = "input.bills_form"


class ZoneError(InvalidInputError):
    """A time zone is not known."""

    code = "input.zone"


@get(
    "/v1/twins/{meter:str}/usage",
    summary="Export a meter's usage",
    tags=["history"],
    media_type="application/atom+xml",
    responses=answers(200, bytes, "A Green Button feed, or CSV."),
)
async def export_usage(
    context: NamedDependency[ApiContext],
    meter: MeterPath,
    *,
    start: StartQuery = None,
    end: EndQuery = None,
    format: Annotated[  # noqa: A002 - the query's own word, and the one its errors name
        UsageFormat, QueryParameter(description="greenbutton or csv.")
    ] = UsageFormat.GREENBUTTON,
    zone: Annotated[
        str, QueryParameter(max_length=60, description="Zone of local days, its IANA name.")
    ] = "UTC",
    bills: Annotated[
        bool, QueryParameter(description="Whether a Green Button file has the months' bills.")
    ] = False,
) -> Response[bytes]:
    """Return the energies drawn and fed in per capture period, as a file.

    The range is widened to whole hours where it is not given. Intervals that are not known are
    left out; a run of which only the total is known is one longer interval.
    """
    whose, local = meter_id(meter), _zone(zone)
    _check_form(format, bills=bills)
    group = await context.directory.group_of(whose)
    asked = _on_hours(asked_range(context, start, end), start, end)

    async def one(obis: Obis) -> UsageSeries | None:
        arguments: dict[str, Any] = {**asked, "obis": str(obis), "meters": [whose]}
        try:
            octets = await ask_group(
                context,
                group,
                Request("intervals", arguments),
                bytes,
                _DEADLINE_S,
                kind=Kind.HISTORY,
            )
        except NotFoundError:
            if obis == IMPORT:
                raise
            return None  # a meter that feeds nothing in need not have the register
        return UsageSeries.of_table(unpack_table(octets), 0, _TITLES[obis])

    told = [await one(obis) for obis in (IMPORT, EXPORT)]
    series = [each for each in told if each is not None]
    now = context.clock.now().replace(microsecond=0)  # as Green Button tells times
    months = await bills_of(context, whose, asked["start"], asked["end"], local) if bills else []
    summaries = [BillSummary.of(bill, now) for bill in months]
    file = UsageFile(series=series, bills=summaries, zone=local)
    content = await asyncio.to_thread(
        lambda: usage_csv(file) if format is UsageFormat.CSV else green_button(file, now)
    )
    name = f"usage-{whose}.{_ENDINGS[format]}"
    return Response(
        content,
        media_type=_MEDIA_TYPES[format],
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def _check_form(form: UsageFormat, *, bills: bool) -> None:
    if bills and form is UsageFormat.CSV:
        raise BillsFormError(
            "bills is for format greenbutton; a CSV file of usage has none. Leave one of the two "
            "out."
        )


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ZoneError(
            f"zone is {name!r}, which is no time zone; write its IANA name, for example "
            "Europe/Zurich.",
            zone=name,
        ) from None


def _on_hours(
    asked: dict[str, datetime], start: str | None, end: str | None
) -> dict[str, datetime]:
    """Return the range with a default end at the last full hour, a default start at an hour."""
    last = asked["end"] if end is not None else from_us(to_us(asked["end"]) // _GRID_US * _GRID_US)
    first = asked["start"]
    if start is None:
        first = from_us(to_us(last - timedelta(hours=24)) // _GRID_US * _GRID_US)
    return {"start": first, "end": last}
