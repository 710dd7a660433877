"""Days on which a meter used far more or far less than on like days."""

import numpy as np

from metertwin.core.vee.finding import VeeFinding
from metertwin.core.vee.rules import VeeCheck, VeeRules
from metertwin.core.vee.subject import Subject


def find_unusual_days(subject: Subject, rules: VeeRules) -> list[VeeFinding]:
    """Compare the sum of each whole day with the mean of its like days.

    Days with an interval not judged or with a failed supply are neither compared nor like. Fed-in
    energy is left out: the weather makes its days, not the calendar.
    """
    days = subject.days
    factors = (rules.high_day_factor, rules.low_day_factor)
    if factors == (None, None) or subject.is_feed_in or not len(days.first_index):
        return []
    is_sound = subject.is_judged & ~subject.is_out
    is_used = np.logical_and.reduceat(is_sound, days.first_index, axis=1) & days.is_whole
    total = np.add.reduceat(
        np.where(is_sound, subject.gain, 0), days.first_index, axis=1, dtype=np.int64
    )
    alike = days.alike(rules.like_day_window_days).astype(np.float64)
    like_count = is_used @ alike
    like_total = np.where(is_used, total, 0) @ alike
    mean = like_total / np.maximum(like_count, 1.0)
    is_compared = is_used & (like_count >= rules.usage_days_min)
    findings = []
    for check, factor in zip((VeeCheck.HIGH_DAY, VeeCheck.LOW_DAY), factors, strict=True):
        if factor is None:
            continue
        limit = mean * factor
        is_beyond = total > limit if check is VeeCheck.HIGH_DAY else total < limit
        for row, day in np.argwhere(is_compared & is_beyond & (mean > 0)).tolist():
            findings.append(
                VeeFinding(
                    row,
                    int(days.first_index[day]),
                    int(days.interval_count[day]),
                    check,
                    subject.value(int(total[row, day])),
                    subject.limit(float(limit[row, day])),
                    subject.unit,
                )
            )
    return findings
