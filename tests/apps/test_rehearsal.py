"""Rehearsals: an app over history sees its own time only, and differences are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.apps.app import (
    Answer,
    AppInfo,
    AppSettings,
    Asked,
    Finding,
    History,
    HistoryWanted,
    Outcome,
    Output,
)
from metertwin.apps.rehearsal.difference import difference
from metertwin.apps.rehearsal.past import PastIntervals
from metertwin.apps.rehearsal.run import AppFailedError, Rehearsal, RehearsalError, rehearse
from metertwin.apps.view import GroupView
from metertwin.core.clock import to_us
from metertwin.core.errors import NotFoundError
from metertwin.core.ids import GroupId, MeterId
from metertwin.core.interval_table import IntervalTable, KnownSpans
from metertwin.core.obis import Obis
from metertwin.core.reading import Register
from metertwin.core.units import Unit

IMPORT = Obis.parse("1-0:1.8.0")
EXPORT = Obis.parse("1-0:2.8.0")
MIDNIGHT = datetime(2026, 3, 29, tzinfo=UTC)
START_US = to_us(MIDNIGHT)
HOUR_US = 3_600_000_000
SETTINGS = AppSettings(GroupId("g1"), seed=7)


def table(gain: list[list[int]], obis: Obis = IMPORT, *, start_us: int = START_US) -> IntervalTable:
    counts = np.array(gain, np.int64)
    flags = np.zeros(counts.shape, np.uint8)
    return IntervalTable(
        [MeterId(f"m{row}") for row in range(len(gain))],
        Register(obis, Unit.WATT_HOUR, 0, 3600),
        start_us,
        np.where(counts < 0, 0, counts),
        counts >= 0,  # a negative number stands for an unknown interval
        flags,
        flags,
        KnownSpans.none(),
    )


@dataclass
class Adder:
    """Puts out each meter's energy of everything in its window so far, at each step."""

    window_days: int = 30
    seen_until: list[datetime] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)

    @property
    def info(self) -> AppInfo:
        return AppInfo("adder", "1", registers=(IMPORT,), window_days=self.window_days, wakes=True)

    def on_intervals(self, view: GroupView) -> Outcome:
        self.seen_until.append(view.now)
        self.chances.append(float(view.random.random()))
        rows = np.arange(len(view.meters))
        end_us = to_us(view.now) + 5 * HOUR_US  # asks for the future as well
        known = view.intervals.table(IMPORT, view.intervals.first_us, end_us, rows)
        assert not known.is_known[:, -5:].any()
        return Outcome(
            [
                Output(meter, "sum", view.now, {"wh": int(wh)})
                for meter, wh in zip(view.meters, known.gain.sum(axis=1), strict=True)
            ]
        )

    def on_time(self, view: GroupView) -> Outcome:
        late = [m for row, m in enumerate(view.meters) if row not in view.fresh.row]
        return Outcome(findings=[Finding(meter, "silent", view.now, "") for meter in late])

    def history_wanted(self, _view: GroupView, _asked: Asked) -> HistoryWanted | None:
        return None

    def answer(self, _view: GroupView, _asked: Asked, _history: History) -> Answer:
        return Answer(None)

    def save(self) -> bytes:
        return b""

    def restore(self, octets: bytes) -> None:
        assert octets == b""


def run(app: Adder, history: Mapping[Obis, IntervalTable], step_s: int = 3600) -> Rehearsal:
    *_, (_, said) = rehearse(app, SETTINGS, history, step_s=step_s)
    return said


def test_an_app_sees_each_interval_when_it_had_passed_and_never_the_future() -> None:
    app = Adder()
    said = run(app, {IMPORT: table([[1, 2, 4], [10, -1, 40]])})
    assert app.seen_until == [MIDNIGHT + timedelta(hours=h) for h in (1, 2, 3)]
    assert [(each.meter, each.value["wh"]) for each in said.outputs] == [
        ("m0", 1),
        ("m1", 10),
        ("m0", 3),
        ("m1", 10),
        ("m0", 7),
        ("m1", 50),
    ]
    assert [(each.meter, each.at.hour) for each in said.findings] == [("m1", 2)]


def test_the_window_ends_as_it_does_in_a_twin_host() -> None:
    hours = 3 * 24
    said = run(Adder(window_days=1), {IMPORT: table([[1] * hours])})
    # Today and yesterday by UTC: at 01:00 of the third day 24 + 1, at each midnight 24.
    expected = [n if n < 48 else 24 + (n - 48) % 24 for n in range(1, hours + 1)]
    assert [each.value["wh"] for each in said.outputs] == expected
    past = PastIntervals({IMPORT: table([[1] * hours])}, 0)
    past.now_us = START_US + 30 * HOUR_US
    with pytest.raises(NotFoundError, match=r"no intervals of 1-0:1\.8\.0\*255 from 2026-03-29T00"):
        past.table(IMPORT, START_US, START_US + HOUR_US, np.array([0]))
    with pytest.raises(NotFoundError, match=r"it has 1-0:1\.8\.0\*255 from"):
        past.table(EXPORT, past.now_us, past.now_us, np.array([0]))


def test_the_same_history_gives_the_same_chances_and_outputs() -> None:
    first, second = Adder(), Adder()
    history = {IMPORT: table([[3, 1, 4, 1, 5]])}
    assert run(first, history) == run(second, history)
    assert first.chances == second.chances
    assert len(set(first.chances)) == 5


@given(
    st.lists(st.lists(st.integers(-1, 99), min_size=6, max_size=6), min_size=1, max_size=3),
    st.integers(1, 6),
)
def test_however_long_the_steps_the_last_output_is_the_same(
    gain: list[list[int]], step_hours: int
) -> None:
    said = run(Adder(), {IMPORT: table(gain)}, step_hours * 3600)
    newest = {each.meter: each.value["wh"] for each in said.outputs}
    assert list(newest.values()) == [sum(g for g in row if g >= 0) for row in gain]


def test_spans_are_seen_when_they_are_over_and_by_the_meter_they_are_of() -> None:
    whole = table([[1, -1, -1, 1], [1, -1, -1, 1]])
    spans = KnownSpans(np.array([1]), np.array([1]), np.array([2]), np.array([9]))
    whole = IntervalTable(
        whole.meters,
        whole.register,
        whole.start_us,
        whole.gain,
        whole.is_known,
        whole.quality,
        whole.origin,
        spans,
    )
    past = PastIntervals({IMPORT: whole}, 1)
    end_us = START_US + 4 * HOUR_US
    for hours, rows, expected in ((2, [1], []), (3, [1], [(0, 1, 2, 9)]), (3, [0], [])):
        past.now_us = START_US + hours * HOUR_US
        found = past.table(IMPORT, START_US, end_us, np.array(rows)).spans
        columns = (found.row, found.first_index, found.interval_count, found.gain)
        assert list(zip(*(each.tolist() for each in columns), strict=True)) == expected


def test_what_differs_is_told_and_what_is_equal_is_not() -> None:
    before = run(Adder(), {IMPORT: table([[1, 2], [5, 5]])})
    after = run(Adder(), {IMPORT: table([[1, 3], [5, -1]])})
    told = difference(before, after)
    assert [
        (each.before.meter, each.before.value, each.after.value) for each in told.changed_outputs
    ] == [("m0", {"wh": 3}, {"wh": 4}), ("m1", {"wh": 10}, {"wh": 5})]
    assert [each.meter for each in told.added.findings] == ["m1"]
    assert told.added.outputs == told.removed.outputs == []
    assert not told.is_empty
    assert difference(before, before).is_empty


def test_of_several_revisions_the_last_one_counts() -> None:
    first = Output(MeterId("m0"), "bill", MIDNIGHT, {"total": "1"})
    revised = Output(MeterId("m0"), "bill", MIDNIGHT, {"total": "2"}, revision=1)
    assert difference(Rehearsal([first, revised]), Rehearsal([revised])).is_empty
    told = difference(Rehearsal([first]), Rehearsal([revised]))
    assert [each.after.value["total"] for each in told.changed_outputs] == ["2"]


class Breaking(Adder):
    def on_time(self, view: GroupView) -> Outcome:
        raise ZeroDivisionError(f"at {view.now.hour}")


def test_an_app_that_breaks_is_told_with_its_moment() -> None:
    with pytest.raises(AppFailedError, match=r"App adder 1 failed at 2026-03-29T01:00.*at 1\. A"):
        run(Breaking(), {IMPORT: table([[1, 2]])})


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RehearsalError, match=r"works on 1-0:1\.8\.0\*255, the history has 1-0:2"):
        run(Adder(), {EXPORT: table([[1]], EXPORT)})
    with pytest.raises(RehearsalError, match="A step of 1800 s is no multiple of the period"):
        run(Adder(), {IMPORT: table([[1]])}, 1800)
