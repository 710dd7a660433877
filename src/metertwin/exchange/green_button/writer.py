"""Writing Green Button files: one Atom feed, an interval block per local day.

Addresses follow ESPI's pattern below `RetailCustomer/1/UsagePoint/<meter>`; ids are derived from
them by UUID 5, so the same usage gives the same file to the byte.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid5
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

import numpy as np

from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us
from metertwin.core.ids import MeterId
from metertwin.core.local_time import local_day_edges_us
from metertwin.exchange.currencies import CURRENCY_CODES
from metertwin.exchange.green_button.codes import (
    DELTA_DATA,
    ELECTRICITY,
    ENERGY,
    MULTIPLIERS,
    NORMAL,
    UOM_AND_FLOW,
    codes_of,
)
from metertwin.exchange.green_button.daylight import local_time_of
from metertwin.exchange.green_button.numbers import INT48_MAX
from metertwin.exchange.green_button.summary_writer import summary
from metertwin.exchange.green_button.text import ESPI, checked_text
from metertwin.exchange.usage_file import (
    US_PER_S,
    IntervalEnergies,
    UsageFile,
    UsageFileError,
    UsageSeries,
)

_IDS = UUID("8a3f7d1e-52c6-5e0b-9a64-2f1d0c7b9e35")
_ROOT = "/espi/1_1/resource"
_ZONE = f"{_ROOT}/LocalTimeParameters/01"
_DAY_US = 86_400 * US_PER_S


def green_button(file: UsageFile, updated_at: datetime) -> bytes:
    """Return the whole Green Button file; `green_button_chunks` gives it piece by piece."""
    return "".join(green_button_chunks(file, updated_at)).encode()


def green_button_chunks(file: UsageFile, updated_at: datetime) -> Iterator[str]:
    """Yield a Green Button file in pieces, about one per local day.

    Args:
        file: What to write; `others` and `notes` are not written. Without a zone, days are UTC's.
        updated_at: What the feed says of its age, UTC.

    Raises:
        UsageFileError: Something cannot be said in Green Button: a gain beyond 47 bits, intervals
            outside 1970 to 2200 or not of whole seconds, two series of one meter and register, a
            currency without an ISO 4217 number, characters that XML does not have. Raised before
            the first piece.
    """
    writing = _Writing(file, updated_at)
    return writing.chunks()


class _Writing:
    """One file being written; checks at once what could go wrong later."""

    def __init__(self, file: UsageFile, updated_at: datetime) -> None:
        self._file = file
        self._zone = file.zone or ZoneInfo("UTC")
        self._updated = updated_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._series = [_fitted(each) for each in file.series]
        self._currency = {bill.meter: bill.currency for bill in file.bills if bill.currency}
        problems = [problem for each in self._series for problem in _series_problems(each)]
        keys = [(each.meter, each.register.obis) for each in self._series]
        problems += [
            f"{meter} has several series of {obis}"
            for meter, obis in sorted({key for key in keys if keys.count(key) > 1})
        ]
        problems += [
            f"currency {bill.currency} of {bill.meter} has no number in ISO 4217"
            for bill in file.bills
            if bill.currency and bill.currency not in CURRENCY_CODES
        ]
        if problems:
            raise UsageFileError.listing("This usage cannot be a Green Button file", problems)
        self._summaries = [summary(bill) for bill in file.bills]

    def chunks(self) -> Iterator[str]:
        """Yield the file."""
        yield (
            '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
            f"<id>urn:uuid:{uuid5(_IDS, 'feed')}</id>\n<title>Green Button Usage Feed</title>\n"
            f"<updated>{self._updated}</updated>\n"
            f'<link rel="self" href="{_ROOT}/Subscription/1"/>\n'
        )
        yield self._local_time()
        for meter in _meters(self._file):
            yield self._usage_point(meter)
            for series in self._series:
                if series.meter == meter:
                    yield from self._readings(series)
            for number, (bill, text) in enumerate(
                zip(self._file.bills, self._summaries, strict=True), 1
            ):
                if bill.meter == meter:
                    own = f"{_point(meter)}/UsageSummary/{number}"
                    yield self._entry(own, "Usage Summary", text)
        yield "</feed>\n"

    def _entry(self, own: str, title: str, content: str, related: Sequence[str] = ()) -> str:
        links = "".join(f'<link rel="related" href={quoteattr(each)}/>\n' for each in related)
        return (
            f"<entry>\n<id>urn:uuid:{uuid5(_IDS, own)}</id>\n"
            f'<link rel="self" href="{own}"/>\n<link rel="up" href="{own.rpartition("/")[0]}"/>\n'
            f"{links}<title>{escape(title)}</title>\n<content>\n{content}</content>\n"
            f"<published>{self._updated}</published>\n<updated>{self._updated}</updated>\n"
            "</entry>\n"
        )

    def _local_time(self) -> str:
        moments = [us for each in self._series for us in _ends_us(each.intervals)]
        years = [from_us(us).astimezone(self._zone).year for us in moments]
        years = years or [bill.start.year for bill in self._file.bills] or [2020]
        told = local_time_of(self._zone, min(years), max(years))
        content = (
            f"<LocalTimeParameters {ESPI}>\n<dstEndRule>{told.dst_end_code:08X}</dstEndRule>\n"
            f"<dstOffset>{told.dst_offset_s}</dstOffset>\n"
            f"<dstStartRule>{told.dst_start_code:08X}</dstStartRule>\n"
            f"<tzOffset>{told.tz_offset_s}</tzOffset>\n</LocalTimeParameters>\n"
        )
        return self._entry(_ZONE, str(self._zone), content)

    def _usage_point(self, meter: MeterId) -> str:
        own = _point(meter)
        content = (
            f"<UsagePoint {ESPI}>\n<ServiceCategory><kind>0</kind></ServiceCategory>\n"
            "</UsagePoint>\n"
        )
        related = [f"{own}/MeterReading", f"{own}/UsageSummary", _ZONE]
        return self._entry(own, str(meter), content, related)

    def _readings(self, series: UsageSeries) -> Iterator[str]:
        uom, flow = UOM_AND_FLOW[series.register.obis]
        own = f"{_point(series.meter)}/MeterReading/{uom}-{flow}"
        kind = f"{_ROOT}/ReadingType/{series.meter}-{uom}-{flow}"
        reading = f"<MeterReading {ESPI}/>\n"
        yield self._entry(own, series.title, reading, [f"{own}/IntervalBlock", kind])
        yield self._entry(kind, "Type of Meter Reading Data", self._reading_type(series))
        for first, end in _days(series.intervals, self._zone):
            block = series.intervals.take(np.arange(first, end))
            start_s = int(block.start_us[0]) // US_PER_S
            yield self._entry(f"{own}/IntervalBlock/{start_s}", "", _block(block))

    def _reading_type(self, series: UsageSeries) -> str:
        uom, flow = UOM_AND_FLOW[series.register.obis]
        letters = self._currency.get(series.meter)
        currency = f"<currency>{CURRENCY_CODES[letters]}</currency>\n" if letters else ""
        length = series.register.period_s
        interval = f"<intervalLength>{length}</intervalLength>\n" if length else ""
        return (
            f"<ReadingType {ESPI}>\n<accumulationBehaviour>{DELTA_DATA}</accumulationBehaviour>\n"
            f"<commodity>{ELECTRICITY}</commodity>\n{currency}"
            f"<dataQualifier>{NORMAL}</dataQualifier>\n<defaultQuality>0</defaultQuality>\n"
            f"<flowDirection>{flow}</flowDirection>\n{interval}<kind>{ENERGY}</kind>\n"
            f"<powerOfTenMultiplier>{series.register.scaler}</powerOfTenMultiplier>\n"
            f"<timeAttribute>0</timeAttribute>\n<uom>{uom}</uom>\n</ReadingType>\n"
        )


def _point(meter: MeterId) -> str:
    return f"{_ROOT}/RetailCustomer/1/UsagePoint/{meter}"


def _meters(file: UsageFile) -> list[MeterId]:
    """Return the meters of a file, each once, in the order in which they first occur."""
    return list(
        dict.fromkeys([each.meter for each in file.series] + [bill.meter for bill in file.bills])
    )


def _ends_us(intervals: IntervalEnergies) -> list[int]:
    return [int(intervals.start_us[at]) for at in (0, -1)] if len(intervals) else []


def _block(block: IntervalEnergies) -> str:
    start_s = int(block.start_us[0]) // US_PER_S
    end_s = int(block.end_us[-1]) // US_PER_S
    marks = {
        (quality, origin): "".join(
            f"<ReadingQuality><quality>{code.value}</quality></ReadingQuality>"
            for code in codes_of(quality, origin)
        )
        for quality, origin in set(zip(block.quality.tolist(), block.origin.tolist(), strict=True))
    }
    rows = zip(
        (block.start_us // US_PER_S).tolist(),
        block.length_s.tolist(),
        block.gain.tolist(),
        zip(block.quality.tolist(), block.origin.tolist(), strict=True),
        strict=True,
    )
    readings = "".join(
        f"<IntervalReading>{marks[mark]}<timePeriod><duration>{length}</duration>"
        f"<start>{start}</start></timePeriod><value>{value}</value></IntervalReading>\n"
        for start, length, value, mark in rows
    )
    return (
        f"<IntervalBlock {ESPI}>\n<interval><duration>{end_s - start_s}</duration>"
        f"<start>{start_s}</start></interval>\n{readings}</IntervalBlock>\n"
    )


def _days(intervals: IntervalEnergies, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Yield first row and end row of each local day that has intervals."""
    if not len(intervals):
        return
    first, last = (from_us(us).astimezone(zone).date() for us in _ends_us(intervals))
    edges: Int64s = local_day_edges_us(first, (last - first + timedelta(days=1)).days, zone)
    rows = np.unique(np.searchsorted(intervals.start_us, edges))
    yield from pairwise(rows.tolist())


def _fitted(series: UsageSeries) -> UsageSeries:
    """Return the series with a multiplier ESPI has: the next lower one where its own has none."""
    register = series.register
    fitting = [each for each in MULTIPLIERS if each <= register.scaler]
    if not fitting or fitting[-1] == register.scaler:
        return series
    factor = 10 ** (register.scaler - fitting[-1])
    intervals = series.intervals
    scaled = intervals.gain.astype(object) * factor
    gain = np.clip(scaled, -INT48_MAX - 1, INT48_MAX + 1).astype(np.int64)
    return UsageSeries(
        series.meter,
        register._replace(scaler=fitting[-1]),
        series.title,
        IntervalEnergies(
            intervals.start_us, intervals.length_s, gain, intervals.quality, intervals.origin
        ),
    )


def _series_problems(series: UsageSeries) -> Iterator[str]:
    where = f"{series.register.obis} of {series.meter}"
    intervals = series.intervals
    if series.register.obis not in UOM_AND_FLOW:
        yield f"{where} is no register that ESPI's codes tell"
    if series.register.scaler not in MULTIPLIERS:
        yield f"{where} has scaler {series.register.scaler}; ESPI's go from -12 to 12"
    if (np.abs(intervals.gain) > INT48_MAX).any():
        yield f"{where} has a gain beyond 47 bits"
    if (intervals.gain < 0).any():
        yield f"{where} has a negative gain"
    if (intervals.start_us % US_PER_S).any() or not _is_within(intervals):
        yield f"{where} has intervals outside 1970 to 2200 or not on whole seconds"
    if (intervals.start_us[1:] < intervals.end_us[:-1]).any():
        yield f"{where} has intervals that overlap or are not ascending"
    yield from checked_text(series.title, f"the title of {where}")


def _is_within(intervals: IntervalEnergies) -> bool:
    is_within = (intervals.start_us >= 0) & (intervals.end_us <= 7_258_118_400 * US_PER_S)
    return bool((is_within & (intervals.length_s > 0)).all())
