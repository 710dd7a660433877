"""What a profile captures, and its rows as columns of integers.

A column is the clock, the status word, or a register. Load profiles are read by a range of the
clock, so a profile that does not capture the clock cannot be followed and is refused.
"""

from collections.abc import Sequence
from datetime import tzinfo

import numpy as np

from metertwin.core.clock import from_us, to_us
from metertwin.core.obis import Obis
from metertwin.core.reading import Quality, Register
from metertwin.cosem.apdu.descriptors import AttributeDescriptor, ByRange, CaptureObject
from metertwin.cosem.data import Data, octets
from metertwin.cosem.datetime import ClockStatus, encode_datetime
from metertwin.cosem.errors import CosemError
from metertwin.cosem.profile import read_profile
from metertwin.meters.errors import AnswerError, LayoutError
from metertwin.meters.model import CLOCK, DATA, DEMAND_REGISTER, MeterModel, ProfileLayout
from metertwin.meters.port import LoggedEvent, ProfileRows, ProfileShape
from metertwin.meters.session import DlmsSession

_PROFILE = 7
_BUFFER, _CAPTURE_OBJECTS, _CAPTURE_PERIOD = 2, 3, 4
_VALUE = 2
# 0-b:96.10.e: the status words of AMR profiles.
_STATUS_C, _STATUS_D = 96, 10
# Bit 4 of the status word is unused by meters and stands for our own doubt.
_METERS_BITS = 0xFF & ~Quality.SUSPECT
_INT64 = 1 << 63

_OF_CLOCK_STATUS = (
    (ClockStatus.INVALID, Quality.CLOCK_INVALID),
    (ClockStatus.DOUBTFUL, Quality.SUSPECT),
    (ClockStatus.DAYLIGHT_SAVING, Quality.DAYLIGHT_SAVING),
)


async def learn_layout(session: DlmsSession, model: MeterModel, profile: Obis) -> ProfileLayout:
    """Read what a profile captures.

    Raises:
        LayoutError: It does not capture the clock.
        MeterLinkError: The meter fails or refuses.
    """
    captured = await session.get(AttributeDescriptor(_PROFILE, profile, _CAPTURE_OBJECTS))
    period = await session.get(AttributeDescriptor(_PROFILE, profile, _CAPTURE_PERIOD))
    try:
        columns = tuple(CaptureObject.from_data(item) for item in captured.elements())
        period_s = period.integer()
    except CosemError as error:
        raise AnswerError(f"Profile {profile} cannot be understood: {error}") from error
    clocks = [column for column in columns if (column.class_id, column.attribute) == (CLOCK, 2)]
    if not clocks:
        raise LayoutError(
            f"Profile {profile} captures {', '.join(str(column.obis) for column in columns)} and "
            "no clock, so it cannot be read by time; leave it out of the profiles.",
            profile=str(profile),
        )
    status_place = next((place for place, item in enumerate(columns) if _is_status(item)), None)
    places = tuple(
        place
        for place, column in enumerate(columns)
        if DATA <= column.class_id <= DEMAND_REGISTER
        and column.attribute == _VALUE
        and place != status_place
    )
    await model.learn_scalers(session, [columns[place].obis for place in places])
    registers = []
    for place in places:
        scaler = await model.scaler_of(session, columns[place].obis)
        registers.append(Register(columns[place].obis, scaler.unit, scaler.scaler, period_s))
    shape = ProfileShape(tuple(registers), period_s)
    return ProfileLayout(profile, columns, clocks[0], places, status_place, shape)


async def read_rows(
    session: DlmsSession, layout: ProfileLayout, zone: tzinfo, first_us: int, last_us: int
) -> ProfileRows:
    """Read the entries captured from `first_us` to `last_us`, both included, in order of time."""
    buffer = await _read_range(session, layout, zone, first_us, last_us)
    try:
        rows = read_profile(buffer, layout.columns, layout.shape.period_s, zone)
        columns = [[cell.integer() for cell in rows.values[place]] for place in layout.places]
        statuses = (
            [cell.integer() & _METERS_BITS for cell in rows.values[layout.status_place]]
            if layout.status_place is not None
            else [quality_of_clock(status) for status in rows.clock_status]
        )
        integers = np.array(columns, np.int64).T.reshape(len(statuses), len(columns))
    except (CosemError, OverflowError) as error:
        raise AnswerError(f"Profile {layout.obis} cannot be understood: {error}") from error
    captured_at_us = np.fromiter(map(to_us, rows.captured_at), np.int64, len(statuses))
    quality = np.array(statuses, np.uint8)
    # Some meters round the range to whole days, some keep the newest entry first.
    order = np.argsort(captured_at_us, kind="stable")
    wanted = order[(captured_at_us[order] >= first_us) & (captured_at_us[order] <= last_us)]
    return ProfileRows(
        layout.shape.registers, integers[wanted], captured_at_us[wanted], quality[wanted]
    )


async def read_entries(
    session: DlmsSession, layout: ProfileLayout, zone: tzinfo, first_us: int, last_us: int
) -> Sequence[LoggedEvent]:
    """Read the entries of an event log: the clock and the first number beside it."""
    rows = await read_rows(session, layout, zone, first_us, last_us)
    if not layout.places:
        raise LayoutError(f"Event log {layout.obis} captures no event number.")
    codes = rows.integers[:, 0].tolist()
    return [LoggedEvent(*entry) for entry in zip(rows.captured_at_us.tolist(), codes, strict=True)]


def quality_of_clock(status: ClockStatus | None) -> int:
    """Return the `Quality` bits a clock's status means; unspecified means nothing."""
    if not status:
        return 0
    return sum(quality for bit, quality in _OF_CLOCK_STATUS if status & bit)


def fits_int64(number: int) -> bool:
    """Return whether a register's integer can be stored."""
    return -_INT64 <= number < _INT64


async def _read_range(
    session: DlmsSession, layout: ProfileLayout, zone: tzinfo, first_us: int, last_us: int
) -> Data:
    bounds = [octets(encode_datetime(from_us(bound), zone)) for bound in (first_us, last_us)]
    descriptor = AttributeDescriptor(_PROFILE, layout.obis, _BUFFER)
    return await session.get(descriptor, ByRange(layout.clock, bounds[0], bounds[1]))


def _is_status(column: CaptureObject) -> bool:
    return (
        (column.obis.c, column.obis.d) == (_STATUS_C, _STATUS_D)
        and column.attribute == _VALUE
        and column.class_id in {DATA, 3}
    )
