"""What is checked, where the limits stand, and what may be done about it."""

from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite

from metertwin.core.errors import InvalidInputError


class VeeRulesError(InvalidInputError):
    """A limit of the rules is out of its range."""

    code = "input.vee_rules"


class VeeCheck(StrEnum):
    """What can be found against interval energies."""

    MISSING = "missing"  # not known
    NEGATIVE = "negative"  # a register that only grows gained less than nothing
    MAXIMAL_POWER = "maximal_power"  # more than the connection can carry
    SPIKE = "spike"  # far above the third largest of the day and of the other days' peaks
    ZERO_RUN = "zero_run"  # nothing for long, by a meter that had no such time before
    FLAT = "flat"  # the same value for hours: a stuck or made-up value
    HIGH_DAY = "high_day"  # far more than on like days
    LOW_DAY = "low_day"  # far less than on like days
    QUALITY = "quality"  # the meter itself doubts its clock, its data or its state
    SUM = "sum"  # the intervals do not sum to what the register gained


class LastResort(StrEnum):
    """What stands for a gap when the meter's own days say nothing."""

    UNKNOWN = "unknown"  # it stays unknown
    CLASS_AVERAGE = "class_average"  # the mean of the table's other meters at the time
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class VeeRules:
    """Limits of the checks and of estimating; docs/vee.md has the reasons for the defaults.

    A limit of `None` switches its check off.

    Attributes:
        spike_factor: A spike is above so many times the third largest interval of its day ...
        spike_usual_factor: ... and above so many times the third largest peak of other days.
        zero_run_hours: Longest time without energy that is nothing new in a meter's life.
        flat_hours: Longest time of one value other than 0 ...
        flat_gain_min: ... of at least so many counts; below, rounding makes values alike.
        high_day_factor: A day is high above so many times the mean of its like days.
        low_day_factor: A day is low below so many times the mean of its like days.
        like_day_window_days: Like days lie within so many days before or after.
        usage_days_min: Complete like days needed to call a day high or low.
        estimate_days_min: Like days needed to estimate an interval from.
        interpolation_hours: Longest gap that is bridged by a straight line.
        sum_tolerance_counts: By how many counts intervals may miss the register's gain.
        last_resort: What stands for a gap that the meter's own days say nothing about.
        replaced_after: Checks whose failure takes the measured value away, to be estimated anew;
            it stays in the audit. Not for MISSING and SUM, which have no value to take away.
    """

    spike_factor: float | None = 3.0
    spike_usual_factor: float = 1.5
    zero_run_hours: float | None = 48.0
    flat_hours: float | None = 12.0
    flat_gain_min: int = 10
    high_day_factor: float | None = 5.0
    low_day_factor: float | None = 0.05
    like_day_window_days: int = 28
    usage_days_min: int = 3
    estimate_days_min: int = 2
    interpolation_hours: float = 2.0
    sum_tolerance_counts: int = 1
    last_resort: LastResort = LastResort.UNKNOWN
    replaced_after: frozenset[VeeCheck] = field(default=frozenset({VeeCheck.NEGATIVE}))

    def __post_init__(self) -> None:
        lowest = {
            "spike_factor": 1.0,
            "spike_usual_factor": 0.0,
            "zero_run_hours": 0.0,
            "flat_hours": 0.0,
            "flat_gain_min": 1,
            "high_day_factor": 1.0,
            "low_day_factor": 0.0,
            "like_day_window_days": 1,
            "usage_days_min": 1,
            "estimate_days_min": 1,
            "interpolation_hours": 0.0,
            "sum_tolerance_counts": 0,
        }
        problems = [
            f"{name} is {value}, the least is {least:g}"
            for name, least in lowest.items()
            if (value := getattr(self, name)) is not None
            and not (isfinite(value) and value >= least)
        ]
        if self.low_day_factor is not None and self.low_day_factor > 1:
            problems.append(f"low_day_factor is {self.low_day_factor:g}, the most is 1")
        problems += [
            f"{check.value} has no value to replace"
            for check in (VeeCheck.MISSING, VeeCheck.SUM)
            if check in self.replaced_after
        ]
        if problems:
            raise VeeRulesError(f"Rules of validation cannot be used: {'; '.join(problems)}.")
