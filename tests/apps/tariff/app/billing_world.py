"""A small host in memory: meters' energies as they come, an app, and what it said."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from metertwin.apps.app import Answer, AppSettings, Asked, HistoryWanted, Outcome
from metertwin.apps.tariff.app.app import TariffApp
from metertwin.apps.view import FreshIntervals, GroupView, RegisterColumn
from metertwin.core.batch import Int64s
from metertwin.core.clock import from_us, to_us
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit

IMPORT, EXPORT, REACTIVE = (Obis.parse(text) for text in ("1-0:1.8.0", "1-0:2.8.0", "1-0:3.8.0"))
PERIOD_S = 3600
PERIOD_US = PERIOD_S * 1_000_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

FLAT = """
id: flat
version: 1
name: One price
currency: EUR
zone: Europe/Berlin
energy: {periods: {all: {price_per_kwh: 0.30, sell_per_kwh: 0.08}}}
export: {metering: net_billing}
fixed: [{name: basic charge, amount: 5, per: month}]
"""
TWO_RATE = """
id: two-rate
version: 1
name: Day and night
currency: EUR
zone: Europe/Berlin
energy:
  calendar:
    days:
      any: {00:00-06:00: night, 06:00-22:00: day, 22:00-24:00: night}
    seasons:
      - {name: all year, from: 1 January, weekdays: any, weekend: any}
  periods:
    day: {price_per_kwh: 0.40}
    night: {price_per_kwh: 0.20}
fixed: [{name: basic charge, amount: 5, per: month}]
"""


def at(text: str) -> datetime:
    """Return a UTC time."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class World:
    """Energies by register, row and start; -1 where nothing came yet."""

    meters: Sequence[MeterId]
    start: datetime
    days: int
    window_days: int = 72
    counts: dict[Obis, np.ndarray] = field(default_factory=dict)
    now_us: int = 0

    def __post_init__(self) -> None:
        self.start_us = to_us(self.start)
        shape = (len(self.meters), self.days * 24)
        self.counts = {obis: np.full(shape, -1, np.int64) for obis in (IMPORT, EXPORT, REACTIVE)}
        self.now_us = self.start_us

    @property
    def first_us(self) -> int:
        return max(self.start_us, self.now_us // DAY_US * DAY_US - self.window_days * DAY_US)

    def table(self, obis: Obis, start_us: int, end_us: int, rows: Int64s) -> IntervalTable:
        if start_us < self.first_us:
            raise NotFoundError(f"{from_us(start_us)} is before {from_us(self.first_us)}")
        return self.any_table(obis, start_us, end_us, rows)

    def any_table(self, obis: Obis, start_us: int, end_us: int, rows: Int64s) -> IntervalTable:
        count = (end_us - start_us) // PERIOD_US
        counts = np.full((len(rows), count), -1, np.int64)
        first = (start_us - self.start_us) // PERIOD_US
        have = slice(max(first, 0), min(first + count, self.days * 24))
        if have.stop > have.start:
            counts[:, have.start - first : have.stop - first] = self.counts[obis][rows][:, have]
        zeros = np.zeros(counts.shape, np.uint8)
        unit = Unit.VAR_HOUR if obis == REACTIVE else Unit.WATT_HOUR
        return IntervalTable(
            [self.meters[row] for row in rows.tolist()],
            Register(obis, unit, 0, PERIOD_S),
            start_us,
            np.where(counts < 0, 0, counts),
            counts >= 0,
            zeros,
            zeros,
            KnownSpans.none(),
        )

    def column(self, _obis: Obis) -> RegisterColumn:
        count = len(self.meters)
        return RegisterColumn(np.full(count, np.nan), np.full(count, -1), np.zeros(count, np.uint8))

    def row_of(self, meter: MeterId) -> int | None:
        return self.meters.index(meter) if meter in self.meters else None


@dataclass
class Host:
    """Drives an app as a host does: batches first, then the time, each hour."""

    app: TariffApp
    world: World
    said: Outcome = field(default_factory=lambda: Outcome([], [], []))

    def view(self, fresh: FreshIntervals | None = None) -> GroupView:
        return GroupView(
            group=GroupId("g1"),
            now=from_us(self.world.now_us),
            meters=self.world.meters,
            intervals=self.world,
            fresh=fresh or FreshIntervals.none(),
            registers=self.world,
            random=np.random.default_rng(1),
        )

    def tell(self, told: Iterable[tuple[int, int, int]], obis: Obis = IMPORT) -> None:
        """Give one batch: row, start in microseconds and counts of each interval."""
        rows, starts, changed = [], [], []
        for row, start_us, count in told:
            place = (row, (start_us - self.world.start_us) // PERIOD_US)
            before = int(self.world.counts[obis][place])
            self.world.counts[obis][place] = count
            if before != count:
                rows.append(row)
                starts.append(start_us)
                changed.append(before >= 0)
        fresh = FreshIntervals(
            np.array(rows, np.int64), np.array(starts, np.int64), np.array(changed, bool)
        )
        self.hear(self.app.on_intervals(self.view(fresh)))

    def wake(self) -> None:
        self.hear(self.app.on_time(self.view()))

    def run_until(
        self, end: datetime, load_wh: Sequence[int], skipped: frozenset[int] = frozenset()
    ) -> None:
        """Let time pass hour by hour; each meter draws its load but in the hours skipped."""
        while self.world.now_us < to_us(end):
            start_us = self.world.now_us
            self.world.now_us += PERIOD_US
            if start_us not in skipped:
                self.tell([(row, start_us, wh) for row, wh in enumerate(load_wh)])
            self.wake()

    def jump(self, end: datetime, load_wh: Sequence[int]) -> None:
        """Let time pass at once: everything comes in one batch."""
        starts = range(self.world.now_us, to_us(end), PERIOD_US)
        self.world.now_us = to_us(end)
        self.tell([(row, s, wh) for s in starts for row, wh in enumerate(load_wh)])
        self.wake()

    def hear(self, outcome: Outcome) -> None:
        self.said.outputs.extend(outcome.outputs)  # type: ignore[attr-defined]
        self.said.findings.extend(outcome.findings)  # type: ignore[attr-defined]

    def ask(self, name: str, meter: str | None = None, **arguments: Any) -> Any:  # noqa: ANN401  of every request
        """Ask as a host does: arguments converted, history fetched where it is wanted."""
        kind = self.app.info.requests[name]
        assert kind.is_of_group == (meter is None)
        asked = Asked(
            name,
            None if meter is None else MeterId(meter),
            msgspec.convert(arguments, kind.arguments),
        )
        wanted = self.app.history_wanted(self.view(), asked)
        answer: Answer = self.app.answer(self.view(), asked, self.fetch(wanted))
        self.hear(answer.outcome)
        msgspec.msgpack.encode(answer.value)  # it can be sent
        return answer.value

    def fetch(self, wanted: HistoryWanted | None) -> Mapping[Obis, IntervalTable]:
        if wanted is None:
            return {}
        rows = np.array([self.world.meters.index(meter) for meter in wanted.meters])
        span = (to_us(wanted.start), to_us(wanted.end))
        return {obis: self.world.any_table(obis, *span, rows) for obis in wanted.registers}

    def bills(self) -> list[tuple[str, str, int, str]]:
        """Return meter, month, revision and total of each bill put out."""
        return [
            (str(o.meter), str(o.value["month"]), o.revision, str(o.value["total"]))
            for o in self.said.outputs
        ]

    def findings(self) -> list[tuple[str, str]]:
        return [(found.name, found.detail) for found in self.said.findings]


def host_of(start: str, days: int, meters: Sequence[str] = ("m1",), **config: Any) -> Host:  # noqa: ANN401  plain values
    """Return a host over an empty world from a UTC midnight on."""
    terms = config.pop("terms", {})
    config = {"tariffs": [FLAT, TWO_RATE], "default": "flat", "meters": terms, **config}
    config.setdefault("vee", {"flat_hours": None})  # these meters draw the same all day
    world = World([MeterId(meter) for meter in meters], at(start), days)
    return Host(TariffApp(AppSettings(GroupId("g1"), config)), world)
