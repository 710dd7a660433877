"""Reading Green Button files: which readings belong to which usage point, and what they are.

An entry belongs to the entry whose `related` addresses contain its `up` or `self` address, else to
the one whose own address its `up` address begins with.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from metertwin.core.ids import MeterId, meter_id
from metertwin.exchange.green_button.blocks import intervals_of
from metertwin.exchange.green_button.daylight import NO_RULE, LocalTime, zone_of
from metertwin.exchange.green_button.document import Entry, entries_of, resources
from metertwin.exchange.green_button.numbers import Checked
from metertwin.exchange.green_button.reading_type import ReadingType
from metertwin.exchange.green_button.summaries import bills_of
from metertwin.exchange.usage_file import (
    OtherSeries,
    UsageFile,
    UsageFileError,
    UsageSeries,
)

_YEAR = timedelta(days=365)


def read_green_button(octets: bytes, where: str = "The file") -> UsageFile:
    """Return what a Green Button file tells.

    Args:
        octets: The file, an Atom feed.
        where: What to call it in errors.

    Raises:
        UsageFileError: It is no such feed, is unsafe, or contradicts itself: numbers that are
            none, intervals that overlap, readings without a reading type. All problems found are
            in one message.
    """
    entries = entries_of(octets, where)
    feed = _Feed(entries)
    series = list(feed.series())
    bills = list(bills_of(entries, feed.meter_of, feed.problems, feed.notes))
    feed.tell_unknown()
    if not feed.points:
        feed.problems.append("there is no UsagePoint in it")
    if feed.problems:
        raise UsageFileError.listing(where, feed.problems)
    return UsageFile(
        series=[each for each in series if isinstance(each, UsageSeries)],
        bills=bills,
        others=[each for each in series if isinstance(each, OtherSeries)],
        notes=feed.notes,
        zone=feed.zone([each for each in series if isinstance(each, UsageSeries)]),
    )


class _Feed:
    """The entries of a feed and what they are to each other."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._by_own: dict[str, list[Entry]] = {}
        self._by_related: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.own:
                self._by_own.setdefault(entry.own, []).append(entry)
            for address in entry.related:
                self._by_related.setdefault(address, []).append(entry)
        self.points = self._named_points()

    def _named_points(self) -> dict[int, MeterId]:
        """Return the meter's id of each entry that is a usage point, by the entry's identity."""
        points = [entry for entry, _ in resources(self.entries, "UsagePoint")]
        names = [_token(entry.own.split("/")[-1]) for entry in points]
        result: dict[int, MeterId] = {}
        taken: set[str] = set()
        for number, (entry, name) in enumerate(zip(points, names, strict=True), 1):
            unique = name if name and names.count(name) == 1 else f"{name or 'point'}-{number}"
            while unique in taken:
                unique += "x"
            taken.add(unique)
            result[id(entry)] = meter_id(unique[:64])
        return result

    def _parent(self, entry: Entry, name: str) -> Entry | None:
        above = entry.up.rpartition("/")[0]
        for candidates in (
            self._by_related.get(entry.up, ()),
            self._by_related.get(entry.own, ()),
            self._by_own.get(above, ()),
            self._by_own.get(entry.up, ()),
        ):
            for candidate in candidates:
                if candidate is not entry and candidate.node(name) is not None:
                    return candidate
        return None

    def meter_of(self, entry: Entry) -> MeterId | None:
        """Return the usage point an entry belongs to; the only one there is in case of doubt."""
        point = entry if id(entry) in self.points else self._parent(entry, "UsagePoint")
        if point is None and len(self.points) == 1:
            return next(iter(self.points.values()))
        return None if point is None else self.points[id(point)]

    def series(self) -> Iterator[UsageSeries | OtherSeries]:
        """Yield a series per meter reading."""
        blocks: dict[int, list[Entry]] = {}
        readings = [entry for entry, _ in resources(self.entries, "MeterReading")]
        for entry in self.entries:
            if not entry.blocks:
                continue
            parent = self._parent(entry, "MeterReading")
            if parent is None and len(readings) == 1:
                parent = readings[0]
            if parent is None:
                self.problems.append(
                    f"the IntervalBlock at line {entry.line_number} belongs to no MeterReading"
                )
                continue
            blocks.setdefault(id(parent), []).append(entry)
        for reading in readings:
            yield from self._series_of(reading, blocks.get(id(reading), []))

    def _series_of(
        self, reading: Entry, entries: list[Entry]
    ) -> Iterator[UsageSeries | OtherSeries]:
        where = f"the MeterReading at line {reading.line_number}"
        meter = self.meter_of(reading)
        if meter is None:
            self.problems.append(f"{where} belongs to no UsagePoint")
            return
        kind = self._type_of(reading, where)
        blocks = [block for entry in entries for block in entry.blocks]
        count = sum(len(block.line_numbers) for block in blocks)
        if any(block.has_cost for block in blocks):
            self.notes.append(f"Left out the costs of the single readings of {where}.")
        reason = "it has no ReadingType" if kind is None else kind.unsupported()
        if kind is None or reason:
            yield OtherSeries(meter, reading.title, reason, count)
            return
        intervals = intervals_of(blocks, kind, where, self.problems, self.notes)
        if (intervals.gain < 0).any():
            reason = "it has negative energies, so it is net of what was fed in"
            yield OtherSeries(meter, reading.title, reason, count)
            return
        yield UsageSeries(meter, kind.register(intervals), reading.title, intervals)

    def _type_of(self, reading: Entry, where: str) -> ReadingType | None:
        types = [
            entry
            for address in reading.related
            for entry in self._by_own.get(address, ())
            if entry.node("ReadingType") is not None
        ]
        everything = [entry for entry, _ in resources(self.entries, "ReadingType")]
        if not types and len(everything) == 1:
            types = everything
            self.notes.append(f"Took the only ReadingType there is for {where}.")
        node = types[0].node("ReadingType") if types else None
        if node is None:
            return None
        checked = Checked(node, f"the ReadingType at line {types[0].line_number}", self.problems)
        kind = ReadingType.of(checked)
        if kind.flow_direction_code is None:
            self.notes.append(f"{_capital(where)} names no direction; taken as energy drawn.")
        return kind

    def tell_unknown(self) -> None:
        """Note what resources were left out."""
        names = sorted({name for entry in self.entries for name in entry.unknown})
        if names:
            self.notes.append(f"Left out: {', '.join(names[:20])}.")

    def zone(self, series: list[UsageSeries]) -> ZoneInfo | None:
        """Return the zone that the file's local time is of."""
        starts_us = [
            int(each.intervals.start_us[at])
            for each in series
            for at in (0, -1)
            if len(each.intervals)
        ]
        years = [datetime.fromtimestamp(start // 1_000_000, UTC).year for start in starts_us]
        for entry, node in resources(self.entries, "LocalTimeParameters", "TimeConfiguration"):
            checked = Checked(node, f"the {node.name} at line {entry.line_number}", [])
            offset_s = checked.integer("tzOffset", limit=86_400)
            if offset_s is None:
                continue
            local_time = LocalTime(
                offset_s,
                checked.integer("dstOffset", limit=86_400) or 0,
                _rule(node.text_at("dstStartRule")),
                _rule(node.text_at("dstEndRule")),
            )
            return zone_of(
                local_time, entry.title, min(years, default=2020), max(years, default=2020)
            )
        return None


def _rule(text: str) -> int:
    return int(text, 16) if re.fullmatch(r"[0-9A-Fa-f]{1,8}", text) else NO_RULE


def _token(text: str) -> str:
    """Return as much of a text as can be a meter's id."""
    return re.sub(r"[^A-Za-z0-9_-]", "", text).lstrip("_-")[:56]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
