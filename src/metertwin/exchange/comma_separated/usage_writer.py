"""Usage as CSV: a row per interval, energies as exact decimals."""

from collections.abc import Iterator
from itertools import repeat
from zoneinfo import ZoneInfo

from metertwin.core.clock import from_us
from metertwin.core.reading import Origin, Quality
from metertwin.core.units import Unit, scaled
from metertwin.exchange.usage_file import (
    EXPORT,
    IMPORT,
    REACTIVE_EXPORT,
    REACTIVE_IMPORT,
    UsageFile,
    UsageSeries,
)

DIRECTIONS = {
    IMPORT: "import",
    EXPORT: "export",
    REACTIVE_IMPORT: "import",
    REACTIVE_EXPORT: "export",
}
_HEADER = (
    "meter,interval_start,interval_start_utc,interval_s,direction,energy_kwh,energy_kvarh,"
    "quality,origin\n"
)
_KILO = 3


def usage_csv(file: UsageFile) -> bytes:
    """Return the whole file; `usage_csv_chunks` gives it series by series."""
    return "".join(usage_csv_chunks(file)).encode()


def usage_csv_chunks(file: UsageFile) -> Iterator[str]:
    """Yield usage as CSV: the header, then the intervals of each series.

    Starts are local with offset, and UTC; without a zone both are UTC. Titles, notes and bills are
    not told.
    """
    yield _HEADER
    for series in file.series:
        yield "".join(_rows(series, file.zone or ZoneInfo("UTC")))


def quality_text(quality: int) -> str:
    """Return `Quality` bits as names.

    Example:
        >>> quality_text(0), quality_text(18)
        ('good', 'clock_invalid|suspect')
    """
    names = [flag.name.lower() for flag in Quality if flag and quality & flag and flag.name]
    return "|".join(names) or "good"


def _rows(series: UsageSeries, zone: ZoneInfo) -> Iterator[str]:
    intervals = series.intervals
    exponent = series.register.scaler - _KILO
    is_reactive = series.register.unit is Unit.VAR_HOUR
    qualities = {bits: quality_text(bits) for bits in set(intervals.quality.tolist())}
    origins = {origin.value: origin.name.lower() for origin in Origin}
    columns = zip(
        intervals.start_us.tolist(),
        intervals.length_s.tolist(),
        intervals.gain.tolist(),
        intervals.quality.tolist(),
        intervals.origin.tolist(),
        repeat(DIRECTIONS[series.register.obis]),
        strict=False,
    )
    for start_us, length_s, gain, quality, origin, direction in columns:
        start = from_us(start_us)
        energy = f"{scaled(gain, exponent):f}"
        yield (
            f"{series.meter},{start.astimezone(zone).isoformat()},"
            f"{start.replace(tzinfo=None).isoformat()}Z,{length_s},{direction},"
            f"{',' + energy if is_reactive else energy + ','},{qualities[quality]},"
            f"{origins[origin]}\n"
        )
