"""What a gateway counts of its own work; answered to `host` and shown by the API."""

from collections import Counter

import msgspec


class GatewayMetrics(msgspec.Struct, gc=False):
    """Counters since the start of the process.

    Attributes:
        polls_count: Polls that ended well.
        failures_count: Polls that failed, by kind (`meters.errors`).
        readings_count: Values taken from meters, of any origin.
        profile_rows_count: Load-profile entries among them.
        pushes_count: Deliveries meters made by themselves.
        refused_pushes_count: Deliveries that could not be understood or belong to no meter.
        commands_count: Commands that reached a final outcome, by outcome.
        messages_count: Reading messages published.
        link_s: Seconds of this machine spent waiting for meters.
        missed_slots_count: Polls left out because the one before was not over.
    """

    polls_count: int = 0
    failures_count: Counter[str] = msgspec.field(default_factory=Counter)
    readings_count: int = 0
    profile_rows_count: int = 0
    pushes_count: int = 0
    refused_pushes_count: int = 0
    commands_count: Counter[str] = msgspec.field(default_factory=Counter)
    messages_count: int = 0
    link_s: float = 0.0
    missed_slots_count: int = 0
