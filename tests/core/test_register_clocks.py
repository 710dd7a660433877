"""Clocks that are set, that run ahead, and captures that only look like it.

Wh registers of eight digits and 15 kW, which is 3,750 Wh in a quarter of an hour.
"""

from collections.abc import Callable

from metertwin.core.reading import Quality
from metertwin.core.register_series import FindingKind, Gains, RegisterColumns, SeriesRules
from metertwin.core.registers import energy_gained

MakeColumns = Callable[..., RegisterColumns]


def rules_of(series_count: int = 1, *, period_s: int = 900) -> SeriesRules:
    return SeriesRules.uniform(
        series_count,
        modulus_count=100_000_000,
        scaler=0,
        maximal_power_w=15_000.0,
        period_s=period_s,
    )


def intervals_of(gains: Gains) -> list[tuple[int, int, int]]:
    """Return (start_s, length_s, gain) of each interval."""
    columns = gains.intervals
    return list(
        zip(
            (columns.start_us // 10**6).tolist(),
            (columns.length_us // 10**6).tolist(),
            columns.gain.tolist(),
            strict=True,
        )
    )


def kinds_of(gains: Gains) -> list[tuple[FindingKind, int, int]]:
    """Return (kind, integer before, integer after) of each finding."""
    return [(found.kind, found.before_integer, found.after_integer) for found in gains.findings]


def test_a_clock_set_back_keeps_the_true_order_and_the_energy(columns_of: MakeColumns) -> None:
    # The clock ran an hour ahead; before the fourth poll it was set right.
    rows = [
        (0, 1, 3600, 10, 1000),
        (0, 2, 4500, 910, 1100),
        (0, 3, 5400, 1810, 1200),
        (0, 4, 2700, 2710, 1300),
        (0, 5, 3600, 3610, 1400),
        (0, 6, 4500, 4510, 1500),
        (0, 7, 5400, 5410, 1600),
        (0, 8, 6300, 6310, 1700),
    ]
    gains = energy_gained(columns_of(rows), rules_of(period_s=0))
    assert [gain for _, _, gain in intervals_of(gains)] == [100] * 7
    # Across the change the gateway's clock gives the length: 2,710 - 1,810 s.
    assert intervals_of(gains)[2] == (5400, 900, 100)
    assert kinds_of(gains) == [(FindingKind.CLOCK_SHIFT, 1200, 1300)]
    ahead, adjusted = Quality.CLOCK_INVALID, Quality.CLOCK_ADJUSTED
    assert gains.intervals.quality.tolist() == [ahead, ahead, ahead | adjusted, 0, 0, 0, 0]


def test_a_late_capture_from_before_the_clock_was_set_back_finds_its_place(
    columns_of: MakeColumns,
) -> None:
    # The clock was right, then was set an hour back by mistake; 9,900 s came late.
    rows = [
        (0, 1, 9000, 9010, 1000),
        (0, 2, 10800, 10810, 1200),
        (0, 3, 8100, 11710, 1300),
        (0, 4, 9000, 12610, 1400),
        (0, 5, 9900, 12620, 1100),
    ]
    gains = energy_gained(columns_of(rows), rules_of())
    assert intervals_of(gains) == [
        (9000, 900, 100),
        (9900, 900, 100),
        (10800, 900, 100),
        (8100, 900, 100),
    ]
    assert kinds_of(gains) == [(FindingKind.CLOCK_SHIFT, 1200, 1300)]


def test_a_late_capture_without_consumption_is_no_clock_set_back(columns_of: MakeColumns) -> None:
    rows = [(0, 1, 0, 10, 500), (0, 2, 1800, 1810, 500), (0, 3, 900, 1820, 500)]
    gains = energy_gained(columns_of(rows), rules_of())
    assert intervals_of(gains) == [(0, 900, 0), (900, 900, 0)]
    assert gains.findings == []


def test_a_clock_set_back_shows_in_captures_read_together(columns_of: MakeColumns) -> None:
    # Two hours ahead and set right after the second capture; all read at 2,710 s.
    rows = [
        (0, 1, 7200, 2710, 1000),
        (0, 2, 8100, 2710, 1100),
        (0, 3, 1800, 2710, 1200),
        (0, 4, 2700, 2710, 1300),
    ]
    gains = energy_gained(columns_of(rows), rules_of())
    assert intervals_of(gains) == [(7200, 900, 100), (8100, 0, 100), (1800, 900, 100)]
    assert [kind for kind, _, _ in kinds_of(gains)] == [FindingKind.CLOCK_SHIFT]


def test_a_clock_set_back_across_a_gap_may_hide_more_than_one_period(
    columns_of: MakeColumns,
) -> None:
    # Right at 3,600 s, set an hour back; the next capture is two periods later. 5,000 Wh need
    # 1,200 s at 15 kW, and 6,000 s - 3,600 s may have passed.
    rows = [(0, 1, 2700, 6000, 100), (0, 2, 3600, 6000, 200), (0, 3, 1800, 6000, 5200)]
    gains = energy_gained(columns_of(rows), rules_of())
    assert [gain for _, _, gain in intervals_of(gains)] == [100, 5000]
    assert kinds_of(gains) == [(FindingKind.CLOCK_SHIFT, 200, 5200)]


def test_a_late_capture_finds_the_section_between_two_set_backs(columns_of: MakeColumns) -> None:
    # Set back by an hour before 1300 and again before 1500; 9,000 s of the middle came late, with
    # the integer its section began with: nothing was consumed in its first quarters.
    rows = [
        (0, 1, 9900, 9910, 1000),
        (0, 2, 10800, 10810, 1200),
        (0, 3, 8100, 11710, 1300),
        (0, 4, 9900, 13510, 1300),
        (0, 5, 10800, 14410, 1400),
        (0, 6, 8100, 15310, 1500),
        (0, 7, 9000, 16210, 1600),
        (0, 8, 9000, 16220, 1300),
    ]
    gains = energy_gained(columns_of(rows), rules_of())
    assert intervals_of(gains) == [
        (9900, 900, 200),
        (10800, 900, 100),
        (8100, 900, 0),
        (9000, 900, 0),
        (9900, 900, 100),
        (10800, 900, 100),
        (8100, 900, 100),
    ]
    assert kinds_of(gains) == [
        (FindingKind.CLOCK_SHIFT, 1200, 1300),
        (FindingKind.CLOCK_SHIFT, 1400, 1500),
    ]


def test_a_reset_after_a_clock_was_set_back_is_a_reset(columns_of: MakeColumns) -> None:
    rows = [
        (0, 1, 9900, 9910, 1000),
        (0, 2, 10800, 10810, 1200),
        (0, 3, 8100, 11710, 1300),
        (0, 4, 9000, 12610, 5),
        (0, 5, 9900, 13510, 25),
    ]
    gains = energy_gained(columns_of(rows), rules_of())
    assert [gain for _, _, gain in intervals_of(gains)] == [200, 100, 20]
    assert kinds_of(gains) == [
        (FindingKind.RESET, 1300, 5),
        (FindingKind.CLOCK_SHIFT, 1200, 1300),
    ]


def test_a_clock_moved_within_tolerance_makes_no_step_implausible(columns_of: MakeColumns) -> None:
    # The clock lost 59 s between polls 60 s apart: 1 s by its own time, 60 s by the gateway's.
    # 100 Wh need 24 s at 15 kW.
    rows = [(0, 1, 1000, 1000, 0), (0, 2, 1001, 1060, 100)]
    gains = energy_gained(columns_of(rows), rules_of(period_s=0))
    assert intervals_of(gains) == [(1000, 1, 100)]
    assert gains.findings == []


def test_clocks_set_back_at_several_meters_do_not_mix(columns_of: MakeColumns) -> None:
    rows = [
        (series, number, captured_at_s, received_at_s, 1000 * series + 10 * number)
        for series in (0, 1)
        for number, captured_at_s, received_at_s in [
            (1, 4500, 910),
            (2, 1800, 1810),
            (3, 2700, 2710),
        ]
    ]
    gains = energy_gained(columns_of(rows), rules_of(2, period_s=0))
    assert gains.intervals.series.tolist() == [0, 0, 1, 1]
    assert gains.intervals.gain.tolist() == [10, 10, 10, 10]
    assert [kind for kind, _, _ in kinds_of(gains)] == [FindingKind.CLOCK_SHIFT] * 2


def test_a_late_capture_from_before_a_reset_is_no_clock_set_back(columns_of: MakeColumns) -> None:
    rows = [
        (0, 1, 0, 10, 49_800),
        (0, 2, 1800, 1810, 20),
        (0, 3, 2700, 2710, 40),
        (0, 4, 900, 2720, 49_900),
    ]
    gains = energy_gained(columns_of(rows), rules_of())
    assert intervals_of(gains) == [(0, 900, 100), (1800, 900, 20)]
    assert kinds_of(gains) == [(FindingKind.RESET, 49_900, 20)]


def test_a_late_capture_from_before_a_rollover_is_no_clock_set_back(
    columns_of: MakeColumns,
) -> None:
    rows = [
        (0, 1, 0, 10, 99_999_800),
        (0, 2, 1800, 1810, 20),
        (0, 3, 2700, 2710, 40),
        (0, 4, 900, 2720, 99_999_900),
    ]
    gains = energy_gained(columns_of(rows), rules_of())
    assert [gain for _, _, gain in intervals_of(gains)] == [100, 120, 20]
    assert kinds_of(gains) == [(FindingKind.ROLLOVER, 99_999_900, 20)]


def test_a_clock_that_jumps_forward_is_found_on_polled_registers(columns_of: MakeColumns) -> None:
    # Behind by an hour, set right between the second and third poll.
    rows = [(0, 1, 0, 3600, 10), (0, 2, 900, 4500, 20), (0, 3, 5400, 5400, 30)]
    gains = energy_gained(columns_of(rows), rules_of(period_s=0))
    assert intervals_of(gains) == [(0, 900, 10), (900, 4500, 10)]
    assert kinds_of(gains) == [(FindingKind.CLOCK_SHIFT, 20, 30)]
    assert gains.intervals.quality.tolist() == [0, Quality.CLOCK_ADJUSTED]


def test_captures_read_late_together_are_no_clock_shift(columns_of: MakeColumns) -> None:
    rows = [(0, n, 900 * n, 90_000, 100 * n) for n in range(1, 6)]
    gains = energy_gained(columns_of(rows), rules_of())
    assert gains.findings == []
    assert gains.intervals.quality.tolist() == [0] * 4


def test_captures_from_the_future_are_marked(columns_of: MakeColumns) -> None:
    rows = [(0, 1, 900, 910, 10), (0, 2, 1800, 1739, 20), (0, 3, 2700, 2640, 30)]
    gains = energy_gained(columns_of(rows), rules_of())
    # 1,800 is 61 s ahead of 1,739, one more than tolerated; 2,700 is 60 s ahead of 2,640.
    assert gains.intervals.quality.tolist() == [Quality.CLOCK_INVALID | Quality.CLOCK_ADJUSTED] * 2
    assert [kind for kind, _, _ in kinds_of(gains)] == [FindingKind.CLOCK_SHIFT] * 2
