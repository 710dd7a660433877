"""Where a group's window begins when no checkpoint tells."""

from metertwin.bus.buckets import bucket_at_hand
from metertwin.bus.connection import Bus
from metertwin.bus.subjects import READING_STREAM
from metertwin.core.clock import Clock, to_us
from metertwin.core.ids import MeterId
from metertwin.twins.apps.host import AppHost
from metertwin.twins.group import TwinGroup


def received_counts(group: TwinGroup) -> dict[MeterId, int]:
    """Return the highest reading number heard of each meter."""
    counts = group.ledger.received[: len(group.columns)].tolist()
    return dict(zip(group.columns.meters, counts, strict=True))


async def begin_window(bus: Bus, group: TwinGroup, apps: AppHost, clock: Clock) -> None:
    """Say from when on a window that is not out of a checkpoint has everything."""
    if group.stream_sequence == 0:
        with bucket_at_hand(f"asking where stream {READING_STREAM} begins"):
            stream = (await bus.js.stream_info(READING_STREAM)).state
        if stream.first_seq <= 1:
            return  # all there ever was comes by the stream
    apps.window.begin(to_us(clock.now()))
