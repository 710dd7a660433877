"""How hours and numbers are told to customers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metertwin.apps.tariff.calendar import Calendar, Holiday, MonthDay, Season, Switch
from metertwin.apps.tariff.rating.words import period_hours, tidy

WORKDAY = (
    Switch(0, 1),
    Switch(7 * 60, 0),
    Switch(12 * 60, 1),
    Switch(13 * 60 + 30, 0),
    Switch(20 * 60, 1),
)
SATURDAY = (Switch(0, 1), Switch(7 * 60, 0), Switch(13 * 60, 1))
REST = (Switch(0, 1),)
WEEK = (0, 0, 0, 0, 0, 1, 2)
ALL_YEAR = (Season("all year", MonthDay(1, 1), WEEK, 2),)


@pytest.mark.parametrize(
    ("seasons", "holidays", "told"),
    [
        (ALL_YEAR, (), "Mon-Fri 07:00-12:00 and 13:30-20:00, Sat 07:00-13:00"),
        (ALL_YEAR, (Holiday(8, 1),), "Mon-Fri 07:00-12:00 and 13:30-20:00, Sat 07:00-13:00"),
        (
            (
                Season("winter", MonthDay(1, 1), (1,) * 7, 1),
                Season("summer", MonthDay(6, 1), (2,) * 7, 2),
            ),
            (),
            "winter: daily 07:00-13:00",
        ),
        (
            (
                Season("winter", MonthDay(1, 1), (1,) * 7, 1),
                Season("summer", MonthDay(6, 1), (1,) * 7, 1),
            ),
            (Holiday(1, 1),),
            "daily 07:00-13:00",
        ),
        (
            (Season("all year", MonthDay(1, 1), (2,) * 7, 1),),
            (Holiday(1, 1),),
            "holidays 07:00-13:00",
        ),
    ],
)
def test_the_hours_of_a_period(
    seasons: tuple[Season, ...], holidays: tuple[Holiday, ...], told: str
) -> None:
    calendar = Calendar(("peak", "valley"), (WORKDAY, SATURDAY, REST), seasons, holidays)
    assert period_hours(calendar, 0) == told


def test_hours_with_holidays_apart_are_told() -> None:
    calendar = Calendar(("peak", "valley"), (WORKDAY, SATURDAY, REST), ALL_YEAR, (Holiday(8, 1),))
    assert period_hours(calendar, 1).endswith("Sun 00:00-24:00, holidays 00:00-24:00")


def test_a_period_that_always_holds_needs_no_hours() -> None:
    assert period_hours(Calendar.always(), 0) == ""


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9), st.integers(0, 4))
def test_tidying_keeps_the_value(value: Decimal, digits: int) -> None:
    found = tidy(value, digits)
    assert found == value
    assert -int(found.as_tuple().exponent) >= digits
