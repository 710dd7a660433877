"""Counting registers that fell, told as events: reset, rollover or another meter."""

from collections.abc import Iterator
from datetime import datetime

from metertwin.core.clock import from_us
from metertwin.core.event import Event, EventSource
from metertwin.twins.columns import FallenRegisters, TwinColumns

REGISTER_FELL_CODE = -1


def fall_events(
    columns: TwinColumns, fallen: FallenRegisters, received_at: datetime
) -> Iterator[Event]:
    """Yield an event for each register that fell.

    Args:
        columns: The group's columns.
        fallen: Which registers fell, from what to what.
        received_at: When it was noticed.
    """
    for row, column, before, after, captured_at_us in zip(
        fallen.rows.tolist(),
        fallen.columns.tolist(),
        fallen.before_integers.tolist(),
        fallen.after_integers.tolist(),
        fallen.captured_at_us.tolist(),
        strict=True,
    ):
        register = columns.registers[column]
        yield Event(
            meter=columns.meters[row],
            source=EventSource.TWIN,
            code=REGISTER_FELL_CODE - column,
            name="register_fell",
            captured_at=from_us(captured_at_us),
            received_at=received_at,
            detail=f"{register.obis} fell from {before} to {after} "
            f"(x 10^{register.scaler} {register.unit.symbol}): reset, rollover or another meter.",
        )
