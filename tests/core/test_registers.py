"""Register arithmetic, case by case, calculated by hand.

Unless a test says otherwise: Wh registers of eight digits, 15 kW, quarter-hour captures received
10 s after capture. 15 kW over 900 s is 15,000 x 900 / 3,600 = 3,750 Wh, the most a quarter gains.
"""

from collections.abc import Callable

import numpy as np
import pytest

from metertwin.core.reading import Origin, Quality
from metertwin.core.register_series import (
    FindingKind,
    Gains,
    GapKind,
    RegisterColumns,
    RegisterColumnsError,
    Replacement,
    SeriesRules,
)
from metertwin.core.registers import energy_gained

MakeColumns = Callable[..., RegisterColumns]
EIGHT_DIGITS = 100_000_000


def rules_of(
    series_count: int = 1,
    *,
    modulus_count: int = EIGHT_DIGITS,
    scaler: int = 0,
    maximal_power_w: float = 15_000.0,
    period_s: int = 900,
) -> SeriesRules:
    return SeriesRules.uniform(
        series_count,
        modulus_count=modulus_count,
        scaler=scaler,
        maximal_power_w=maximal_power_w,
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


def gaps_of(gains: Gains) -> list[tuple[int, int, GapKind]]:
    """Return (start_s, length_s, kind) of each gap."""
    return list(
        zip(
            (gains.gaps.start_us // 10**6).tolist(),
            (gains.gaps.length_us // 10**6).tolist(),
            [GapKind(kind) for kind in gains.gaps.kind.tolist()],
            strict=True,
        )
    )


def quarters(integers: list[int], first_sequence: int = 1) -> list[tuple[int, int, int, int, int]]:
    """Return captures at 0 s, 900 s, 1800 s ... of series 0."""
    return [
        (0, first_sequence + n, 900 * n, 900 * n + 10, integer)
        for n, integer in enumerate(integers)
    ]


def test_gains_are_the_differences(columns_of: MakeColumns) -> None:
    gains = energy_gained(columns_of(quarters([1000, 1250, 1250, 5000])), rules_of())
    # 1250 - 1000, 1250 - 1250, 5000 - 1250: exactly the 3,750 Wh a quarter can bring.
    assert intervals_of(gains) == [(0, 900, 250), (900, 900, 0), (1800, 900, 3750)]
    assert gains.findings == []
    assert gaps_of(gains) == []
    assert gains.intervals.received_at_us.tolist() == [910_000_000, 1_810_000_000, 2_710_000_000]


def test_a_register_that_goes_through_its_end_has_rolled_over(columns_of: MakeColumns) -> None:
    gains = energy_gained(columns_of(quarters([99_999_900, 150, 400])), rules_of())
    # 150 - 99,999,900 + 100,000,000 = 250.
    assert intervals_of(gains) == [(0, 900, 250), (900, 900, 250)]
    assert kinds_of(gains) == [(FindingKind.ROLLOVER, 99_999_900, 150)]
    assert gains.intervals.quality.tolist() == [0, 0]


def test_a_32_bit_register_rolls_over_at_its_own_end(columns_of: MakeColumns) -> None:
    gains = energy_gained(columns_of(quarters([2**32 - 1, 7])), rules_of(modulus_count=2**32))
    # 7 - 4,294,967,295 + 4,294,967,296 = 8.
    assert intervals_of(gains) == [(0, 900, 8)]


def test_a_fall_that_power_cannot_explain_is_a_reset_and_its_gain_unknown(
    columns_of: MakeColumns,
) -> None:
    gains = energy_gained(columns_of(quarters([50_000, 12, 100])), rules_of())
    # Rolling over would be 12 - 50,000 + 100,000,000 = 99,950,012 Wh in a quarter.
    assert intervals_of(gains) == [(900, 900, 88)]
    assert kinds_of(gains) == [(FindingKind.RESET, 50_000, 12)]
    assert gaps_of(gains) == [(0, 900, GapKind.RESET)]


def test_the_scaler_decides_between_rollover_and_reset(columns_of: MakeColumns) -> None:
    columns = columns_of(quarters([99_998_000, 3_000]))
    # The gain would be 5,000 counts: 5,000 Wh is more than 3,750, 5,000 x 0.1 Wh is not.
    assert kinds_of(energy_gained(columns, rules_of(scaler=0)))[0][0] is FindingKind.RESET
    assert kinds_of(energy_gained(columns, rules_of(scaler=-1)))[0][0] is FindingKind.ROLLOVER
    # In counts of 1,000 Wh a quarter brings 3.75, so even 5 would be too many.
    thousand_wh = columns_of(quarters([99_999_998, 3]))
    assert kinds_of(energy_gained(thousand_wh, rules_of(scaler=3)))[0][0] is FindingKind.RESET


def test_one_count_more_than_maximal_power_is_rounding_two_are_suspect(
    columns_of: MakeColumns,
) -> None:
    gains = energy_gained(columns_of(quarters([0, 3751, 7503])), rules_of())
    assert [gain for _, _, gain in intervals_of(gains)] == [3751, 3752]
    assert gains.intervals.quality.tolist() == [0, Quality.SUSPECT]
    assert kinds_of(gains) == [(FindingKind.IMPLAUSIBLE, 3751, 7503)]


def test_a_replaced_meter_has_no_gain_between_old_and_new(columns_of: MakeColumns) -> None:
    gains = energy_gained(
        columns_of(quarters([70_000, 70_100, 5, 105])), rules_of(), [Replacement(0, 1_000 * 10**6)]
    )
    assert intervals_of(gains) == [(0, 900, 100), (1800, 900, 100)]
    assert kinds_of(gains) == [(FindingKind.REPLACED, 70_100, 5)]
    assert gaps_of(gains) == [(900, 900, GapKind.REPLACED)]


def test_a_new_meter_that_starts_higher_is_no_gain_either(columns_of: MakeColumns) -> None:
    gains = energy_gained(
        columns_of(quarters([100, 200])), rules_of(), [Replacement(0, 900 * 10**6)]
    )
    assert intervals_of(gains) == []
    assert kinds_of(gains) == [(FindingKind.REPLACED, 100, 200)]


def test_a_late_reading_of_the_old_meter_goes_to_the_old_meter(columns_of: MakeColumns) -> None:
    rows = [
        (0, 1, 0, 10, 70_000),
        (0, 2, 1800, 1810, 5),
        (0, 3, 2700, 2710, 105),
        (0, 4, 900, 2720, 70_100),
    ]
    gains = energy_gained(columns_of(rows), rules_of(), [Replacement(0, 1_000 * 10**6)])
    assert intervals_of(gains) == [(0, 900, 100), (1800, 900, 100)]
    assert kinds_of(gains) == [(FindingKind.REPLACED, 70_100, 5)]


def test_missing_captures_leave_one_long_interval_and_a_gap(columns_of: MakeColumns) -> None:
    rows = [(0, 1, 0, 10, 1000), (0, 2, 900, 910, 1100), (0, 3, 3600, 3610, 1700)]
    gains = energy_gained(columns_of(rows), rules_of())
    # 600 Wh over three quarters; nobody knows how they were spread.
    assert intervals_of(gains) == [(0, 900, 100), (900, 2700, 600)]
    assert gaps_of(gains) == [(900, 2700, GapKind.MISSING)]


def test_a_late_capture_ends_the_gap(columns_of: MakeColumns) -> None:
    rows = [(0, 1, 0, 10, 1000), (0, 2, 1800, 1810, 1500), (0, 3, 900, 1820, 1100)]
    gains = energy_gained(columns_of(rows), rules_of())
    assert intervals_of(gains) == [(0, 900, 100), (900, 900, 400)]
    assert gaps_of(gains) == []
    assert gains.findings == []


def test_the_highest_number_wins_for_one_moment(columns_of: MakeColumns) -> None:
    rows = [*quarters([1000, 1900, 1200]), (0, 4, 900, 2000, 1100), (0, 5, 0, 2000, 1000)]
    gains = energy_gained(columns_of(rows), rules_of())
    # 1900 was wrong, 1100 came later; the second 1000 changes nothing and is not a correction.
    assert intervals_of(gains) == [(0, 900, 100), (900, 900, 100)]
    assert kinds_of(gains) == [(FindingKind.CORRECTED, 1900, 1100)]


def test_a_rollover_may_gain_what_maximal_power_brings_and_no_more(
    columns_of: MakeColumns,
) -> None:
    # 2,751 - 99,999,000 + 100,000,000 = 3,751: a quarter's 3,750 and the count cut off.
    rollover = energy_gained(columns_of(quarters([99_999_000, 2_751])), rules_of())
    assert intervals_of(rollover) == [(0, 900, 3751)]
    reset = energy_gained(columns_of(quarters([99_999_000, 2_752])), rules_of())
    assert intervals_of(reset) == []


def test_so_long_a_time_that_the_register_may_have_gone_round_is_ambiguous(
    columns_of: MakeColumns,
) -> None:
    # 10^4 counts of 1 Wh at 15 kW go round in 2,400 s; 100 Wh in an hour may be 10,100 Wh.
    rows = [(0, 1, 0, 10, 100), (0, 2, 3600, 3610, 200)]
    gains = energy_gained(columns_of(rows), rules_of(modulus_count=10_000, period_s=3600))
    assert intervals_of(gains) == [(0, 3600, 100)]
    assert gains.intervals.quality.tolist() == [Quality.SUSPECT]
    assert kinds_of(gains) == [(FindingKind.AMBIGUOUS, 100, 200)]


def test_an_integer_wider_than_the_register_is_left_out_and_named(columns_of: MakeColumns) -> None:
    gains = energy_gained(columns_of(quarters([100, EIGHT_DIGITS, 300, -1, 500])), rules_of())
    assert intervals_of(gains) == [(0, 1800, 200), (1800, 1800, 200)]
    assert kinds_of(gains) == [
        (FindingKind.OUT_OF_RANGE, EIGHT_DIGITS, EIGHT_DIGITS),
        (FindingKind.OUT_OF_RANGE, -1, -1),
    ]
    assert gaps_of(gains) == [(0, 1800, GapKind.MISSING), (1800, 1800, GapKind.MISSING)]


def test_doubts_spoil_both_intervals_marks_only_the_one_before(columns_of: MakeColumns) -> None:
    doubt, mark = Quality.DATA_INVALID, Quality.POWER_DOWN
    gains = energy_gained(
        columns_of(
            quarters([10, 20, 30, 40]),
            quality=[0, doubt | mark | Quality.DAYLIGHT_SAVING, 0, 0],
            origin=[Origin.MEASURED, Origin.MEASURED, Origin.SUBSTITUTED, Origin.ESTIMATED],
        ),
        rules_of(),
    )
    assert gains.intervals.quality.tolist() == [doubt | mark, doubt, 0]
    assert gains.intervals.origin.tolist() == [0, Origin.SUBSTITUTED, Origin.SUBSTITUTED]


def test_series_do_not_touch_each_other(columns_of: MakeColumns) -> None:
    rows = [(1, 1, 0, 10, 500), (0, 1, 0, 10, 7), (1, 2, 900, 910, 600), (0, 2, 900, 910, 8)]
    gains = energy_gained(columns_of(rows), rules_of(3), [Replacement(2, 0)])
    assert gains.intervals.series.tolist() == [0, 1]
    assert gains.intervals.gain.tolist() == [1, 100]
    assert gains.findings == []


@pytest.mark.parametrize("rows", [[], [(0, 1, 0, 0, 5)]])
def test_fewer_than_two_readings_gain_nothing(
    columns_of: MakeColumns, rows: list[tuple[int, int, int, int, int]]
) -> None:
    gains = energy_gained(columns_of(rows), rules_of())
    assert (len(gains.intervals), gains.findings, gaps_of(gains)) == (0, [], [])


def test_columns_of_different_length_are_refused(columns_of: MakeColumns) -> None:
    with pytest.raises(RegisterColumnsError, match=r"have 1 to 2 rows; give all the same\.$"):
        energy_gained(columns_of(quarters([1, 2]), quality=[0]), rules_of())


def test_a_series_without_rules_is_refused(columns_of: MakeColumns) -> None:
    with pytest.raises(RegisterColumnsError, match=r"^Series 0 to 3 occur, rules are given for 0 "):
        energy_gained(columns_of([(0, 1, 0, 0, 1), (3, 1, 0, 0, 1)]), rules_of(2))


@pytest.mark.parametrize(
    "change",
    [{"modulus_count": 0}, {"maximal_power_w": 0.0}, {"maximal_power_w": np.nan}, {"period_s": -1}],
)
def test_rules_that_say_nothing_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(RegisterColumnsError, match=r"give the register's width and the fuse's"):
        rules_of(**change)  # type: ignore[arg-type] # the wrong values are the point
