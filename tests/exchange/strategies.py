"""Usage of any shape that a file can tell."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st

from metertwin.core.ids import MeterId
from metertwin.core.reading import Register
from metertwin.exchange.usage_file import UNITS, IntervalEnergies, UsageFile, UsageSeries

UPDATED_AT = datetime(2026, 11, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Zurich",
    "America/New_York",
    "Australia/Sydney",
    "Asia/Shanghai",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Europe/Dublin",
]
METERS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True).map(MeterId)
TITLES = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)


@st.composite
def energies(draw: st.DrawFn, gain_max: int = (1 << 47) - 1) -> IntervalEnergies:
    """Return intervals of several lengths, with and without gaps."""
    count = draw(st.integers(0, 12))
    length_s = draw(
        st.lists(st.sampled_from([60, 900, 1800, 3600]), min_size=count, max_size=count)
    )
    gap_s = draw(st.lists(st.sampled_from([0, 0, 0, 900, 86_400]), min_size=count, max_size=count))
    first_s = draw(st.integers(0, 4_000_000)) * 900
    start_s = first_s + np.cumsum([0, *(a + b for a, b in zip(length_s, gap_s, strict=True))])
    gain = draw(st.lists(st.integers(0, gain_max), min_size=count, max_size=count))
    quality = draw(st.lists(st.integers(0, 255), min_size=count, max_size=count))
    origin = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    return IntervalEnergies(
        np.array(start_s[:count], np.int64) * 1_000_000,
        np.array(length_s, np.int64),
        np.array(gain, np.int64),
        np.array(quality, np.uint8),
        np.array(origin, np.uint8),
    )


@st.composite
def usage_files(draw: st.DrawFn) -> UsageFile:
    """Return files of up to four series, one per meter and register, with at least one."""
    keys = draw(
        st.lists(
            st.tuples(METERS, st.sampled_from(list(UNITS))), unique=True, min_size=1, max_size=4
        )
    )
    series = []
    for meter, obis in keys:
        scaler = draw(st.sampled_from([-3, -2, -1, 0, 1, 2, 3]))
        intervals = draw(energies())
        lengths, counts = np.unique(intervals.length_s, return_counts=True)
        period_s = int(lengths[counts.argmax()]) if len(lengths) else 900
        register = Register(obis, UNITS[obis], scaler, period_s)
        series.append(UsageSeries(meter, register, draw(TITLES), intervals))
    return UsageFile(series=series, zone=ZoneInfo(draw(st.sampled_from(ZONES))))


def assert_same_series(expected: UsageSeries, actual: UsageSeries) -> None:
    """Compare all but quality and origin."""
    assert actual.meter == expected.meter
    assert actual.register == expected.register
    assert actual.title == expected.title
    assert actual.intervals.start_us.tolist() == expected.intervals.start_us.tolist()
    assert actual.intervals.length_s.tolist() == expected.intervals.length_s.tolist()
    assert actual.intervals.gain.tolist() == expected.intervals.gain.tolist()
