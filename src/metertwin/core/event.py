"""Events: what happened at a meter, by its own log or by what its twin concluded."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from metertwin.core.ids import MeterId


class EventSource(StrEnum):
    """Who says that it happened."""

    METER = "meter"  # an entry of the meter's event log
    GATEWAY = "gateway"  # the link: silent, answering again, clock off
    TWIN = "twin"  # concluded by the twin: reset, replaced, rolled over


@dataclass(frozen=True, slots=True)
class Event:
    """One event; (meter, source, captured_at, code) says which.

    Attributes:
        code: For the meter's own log the number it gives; negative numbers are ours.
        name: The event in snake_case words, for example `power_up`.
        detail: What a person should know beyond the name; may be empty.
    """

    meter: MeterId
    source: EventSource
    code: int
    name: str
    captured_at: datetime
    received_at: datetime
    detail: str = ""
