"""Reading usage from CSV: ours without loss, others' as far as their columns are clear."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.core.errors import InvalidInputError
from metertwin.core.ids import MeterId, meter_id
from metertwin.core.obis import Obis
from metertwin.core.reading import Origin, Quality, Register
from metertwin.exchange.comma_separated.lengths import lengths_s
from metertwin.exchange.comma_separated.sheet import Sheet, sheet_of
from metertwin.exchange.comma_separated.starts import START_COLUMNS, StartError, Starts, resolved_us
from metertwin.exchange.ordering import in_order
from metertwin.exchange.usage_file import (
    EXPORT,
    IMPORT,
    REACTIVE_EXPORT,
    REACTIVE_IMPORT,
    UNITS,
    IntervalEnergies,
    UsageFile,
    UsageFileError,
    UsageSeries,
    usual_length_s,
)

_KNOWN = {
    **START_COLUMNS,
    "meter": "meter",
    "meter_id": "meter",
    "usage_point": "meter",
    "interval_s": "length",
    "duration_s": "length",
    "direction": "direction",
    "energy_kwh": "kWh",
    "kwh": "kWh",
    "usage_kwh": "kWh",
    "consumption_kwh": "kWh",
    "import_kwh": "kWh",
    "energy_kvarh": "kvarh",
    "quality": "quality",
    "origin": "origin",
}
_NEEDED = (("start_utc", "start"), ("kWh", "kvarh"))
_REGISTERS = {
    ("import", "kWh"): IMPORT,
    ("export", "kWh"): EXPORT,
    ("import", "kvarh"): REACTIVE_IMPORT,
    ("export", "kvarh"): REACTIVE_EXPORT,
}
_NUMBER = re.compile(r"(\d{1,15})(?:[.,](\d{1,12}))?", re.ASCII)
_LENGTH = re.compile(r"[1-9]\d{0,7}", re.ASCII)
_GAIN_MAX = 1 << 47
_PROBLEMS_MAX = 1000
_QUALITIES = {"good": 0} | {flag.name.lower(): flag.value for flag in Quality if flag.name}
_ORIGINS = {origin.name.lower(): origin.value for origin in Origin}


@dataclass(slots=True)
class _Rows:
    """Rows of one meter and register, in the order of the file.

    Where a wall clock shows a start twice, `start_us` has the first moment, `second_us` by row the
    other.
    """

    start_us: list[int] = field(default_factory=list)
    second_us: dict[int, int] = field(default_factory=dict)
    length_s: list[int] = field(default_factory=list)
    energies: list[tuple[str, str]] = field(default_factory=list)  # digits before, behind the point
    quality: list[int] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)

    def add(
        self,
        starts_us: tuple[int, int],
        length_s: int,
        energy: tuple[str, str],
        quality: int,
        origin: int,
    ) -> None:
        """Append a row."""
        first_us, second_us = starts_us
        if second_us != first_us:
            self.second_us[len(self.start_us)] = second_us
        self.start_us.append(first_us)
        self.length_s.append(length_s)
        self.energies.append(energy)
        self.quality.append(quality)
        self.origin.append(origin)


class _CellError(Exception):
    """A cell that cannot be read, and why."""


def read_usage_csv(
    octets: bytes, where: str = "The file", zone: ZoneInfo | None = None
) -> UsageFile:
    """Return the usage in a CSV file.

    Separated by comma, semicolon or tab; with the latter two, numbers may have a decimal comma.
    Needed are a start and an energy; direction is import, quality good, origin measured and the
    meter `meter` where there is no such column; lengths are the usual distance of the starts, or
    local days where all starts are midnights. Rows may stand in any order.

    Args:
        octets: The file.
        where: What to call it in errors.
        zone: Zone of starts that have no offset. Of the hour that occurs twice, rows oldest first
            or newest first say which is meant.

    Raises:
        UsageFileError: It cannot be read; the first 20 problems with their lines in one message.
    """
    sheet = sheet_of(octets, _KNOWN, _NEEDED, where)
    problems: list[str] = []
    notes: list[str] = []
    if sheet.left_out:
        notes.append(f"Left out the columns {', '.join(sheet.left_out[:20])}.")
    by_key = _rows(sheet, Starts(zone), problems)
    if not by_key and not problems:
        problems.append("there is no row with an energy in it")
    if problems:  # what rows that could not be read leave behind would only look wrong, too
        raise UsageFileError.listing(where, problems)
    series = []
    for key, rows in by_key.items():
        try:
            series.append(_series(key, rows, zone, problems, notes))
        except StartError as error:
            problems.append(str(error))
    if problems:
        raise UsageFileError.listing(where, problems)
    return UsageFile(series=series, notes=notes, zone=zone)


def _rows(sheet: Sheet, starts: Starts, problems: list[str]) -> dict[tuple[MeterId, Obis], _Rows]:
    by_key: dict[tuple[MeterId, Obis], _Rows] = {}
    for line, cells in sheet.rows(problems):
        try:
            length_s = _length_s(cells.get("length", ""))
            quality = _quality(cells.get("quality", ""))
            origin = _named(_ORIGINS, cells.get("origin") or "measured", "origin")
            starts_us = starts.of_row(cells)
            for key, energy in _energies(cells, sheet.separator):
                rows = by_key.get(key) or _Rows()
                rows.add(starts_us, length_s, energy, quality, origin)
                by_key[key] = rows
        except (_CellError, InvalidInputError) as error:
            problems.append(f"line {line}: {error}")
            if len(problems) >= _PROBLEMS_MAX:
                break
    return by_key


def _energies(
    cells: dict[str, str], separator: str
) -> Iterator[tuple[tuple[MeterId, Obis], tuple[str, str]]]:
    meter = meter_id(cells.get("meter") or "meter")
    direction = (cells.get("direction") or "import").lower()
    told = [(unit, cells[unit]) for unit in ("kWh", "kvarh") if cells.get(unit)]
    if not told:
        raise _CellError("no energy is given")
    for unit, text in told:
        obis = _REGISTERS.get((direction, unit))
        if obis is None:
            raise _CellError(f"direction {direction[:20]!r} is neither import nor export")
        match = _NUMBER.fullmatch(text)
        if match is None or ("," in text and separator == ","):
            raise _CellError(f"energy {text[:30]!r} is not a number of 0 or more such as 0.25")
        yield (meter, obis), (match[1], match[2] or "")


def _length_s(text: str) -> int:
    if text and not _LENGTH.fullmatch(text):
        raise _CellError(f"interval length {text[:20]!r} is not in whole seconds above 0")
    return int(text or 0)


def _quality(text: str) -> int:
    bits = 0
    for name in text.split("|") if text else []:
        bits |= _named(_QUALITIES, name.strip(), "quality")
    return bits


def _named(known: dict[str, int], name: str, what: str) -> int:
    if name.lower() not in known:
        raise _CellError(f"{what} {name[:20]!r} is not known; known are {', '.join(known)}")
    return known[name.lower()]


def _series(
    key: tuple[MeterId, Obis],
    rows: _Rows,
    zone: ZoneInfo | None,
    problems: list[str],
    notes: list[str],
) -> UsageSeries:
    meter, obis = key
    where = f"the {'export' if obis in {EXPORT, REACTIVE_EXPORT} else 'import'} of {meter}"
    digits = max(len(behind) for _, behind in rows.energies)
    gains = [int(before + behind.ljust(digits, "0")) for before, behind in rows.energies]
    if max(gains) >= _GAIN_MAX:
        problems.append(f"{where} reaches {max(gains)} x 10^-{digits} kWh, beyond 47 bits")
        gains = [0] * len(gains)
    start_us = np.array(resolved_us(rows.start_us, rows.second_us, where), np.int64)
    length_s = np.array(rows.length_s, np.int64)
    intervals = IntervalEnergies(
        start_us,
        lengths_s((start_us, length_s), where, zone, problems, notes),
        np.array(gains, np.int64),
        np.array(rows.quality, np.uint8),
        np.array(rows.origin, np.uint8),
    )
    ordered = in_order(intervals, where, problems, notes)
    register = Register(obis, UNITS[obis], 3 - digits, usual_length_s(ordered.length_s))
    return UsageSeries(meter, register, "", ordered)
