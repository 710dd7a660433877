"""Usage files on disk: which form one has, reading it, writing it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from metertwin.apps.tariff.rating import PriceSeries
from metertwin.core.clock import from_us
from metertwin.core.errors import NotFoundError, UnavailableError
from metertwin.exchange.comma_separated import read_prices_csv, read_usage_csv, usage_csv
from metertwin.exchange.green_button import green_button, read_green_button
from metertwin.exchange.usage_file import UsageFile

_BEFORE_XML = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"


class UsageForm(StrEnum):
    """Forms of a usage file."""

    GREENBUTTON = "greenbutton"
    CSV = "csv"


class UsagePathError(NotFoundError):
    """The usage file cannot be opened."""

    code = "cli.usage_file"


class UsageOutputError(UnavailableError):
    """The usage file cannot be written."""

    code = "cli.usage_output"


def zone_named(name: str | None) -> ZoneInfo | None:
    """Return the zone a person named; None for None.

    Raises:
        typer.BadParameter: There is no such zone.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(
            f"{name!r} is not a time zone; write its IANA name, for example Europe/Zurich."
        ) from None


def read_usage(path: Path, zone: ZoneInfo | None) -> UsageFile:
    """Return what a file tells, be it Green Button or CSV.

    Args:
        path: The file.
        zone: Zone of times without offset, and of days and months; None: the file's own.

    Raises:
        UsagePathError: It cannot be opened.
        UsageFileError: It cannot be read.
    """
    octets = _octets_of(path)
    if octets.lstrip(_BEFORE_XML)[:1] != b"<":
        return read_usage_csv(octets, str(path), zone)
    file = read_green_button(octets, str(path))
    return UsageFile(file.series, file.bills, file.others, file.notes, zone or file.zone)


def read_prices(
    path: Path, currency: str, zone: ZoneInfo | None
) -> tuple[PriceSeries, Sequence[str]]:
    """Return the prices of a CSV file, and notes on what was left out.

    Args:
        path: The file.
        currency: Of the prices.
        zone: Zone of times without offset.

    Raises:
        UsagePathError: It cannot be opened.
        UsageFileError: It cannot be read, or prices are missing.
    """
    return read_prices_csv(_octets_of(path), currency, str(path), zone)


def _octets_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsagePathError(f"{path} cannot be read: {error.strerror}.", path=str(path)) from None


def usage_octets(file: UsageFile, form: UsageForm) -> bytes:
    """Return a file's usage in a form; what it says of its age is the end of the newest interval.

    Raises:
        UsageFileError: It cannot be said in this form.
    """
    if form is UsageForm.CSV:
        return usage_csv(file)
    ends_us = [int(each.intervals.end_us[-1]) for each in file.series if len(each.intervals)]
    moments = [from_us(max(ends_us))] if ends_us else []
    moments += [bill.at for bill in file.bills]
    return green_button(file, max(moments, default=datetime(1970, 1, 1, tzinfo=UTC)))


def write_usage(path: Path, octets: bytes) -> None:
    """Write a file and say so.

    Raises:
        UsageOutputError: It cannot be written.
    """
    try:
        path.write_bytes(octets)
    except OSError as error:
        raise UsageOutputError(
            f"{path} cannot be written: {error.strerror}.", path=str(path)
        ) from error
    typer.echo(f"Wrote {len(octets):,} bytes to {path}.", err=True)
