"""What a recorder did since it started; for the `host` request and the metrics made of it."""

from dataclasses import dataclass, field

from metertwin.store.harvest import Harvest, Recorded


@dataclass(slots=True)
class Counters:
    """Counts since the start of the process; all only grow, except the positions' lag.

    Attributes:
        message_count: Messages read from the streams.
        stored_count: New rows.
        repeated_count: Readings that said again what was stored.
        corrected_count: Readings that told a stored value anew.
        duplicate_count: Readings dropped because their number was known.
        stale_count: Readings dropped because their gateway's epoch is over.
        refused_count: Messages put aside as damaged.
        transaction_count: Transactions made durable.
        retry_count: Transactions that had to be tried again.
        trouble: Why the store does not take anything now; empty when it does.
        positions: Last message number made durable, by stream.
    """

    message_count: int = 0
    stored_count: int = 0
    repeated_count: int = 0
    corrected_count: int = 0
    duplicate_count: int = 0
    stale_count: int = 0
    refused_count: int = 0
    transaction_count: int = 0
    retry_count: int = 0
    trouble: str = ""
    positions: dict[str, int] = field(default_factory=dict)

    def add(self, harvest: Harvest, recorded: Recorded) -> None:
        """Count a harvest that became durable."""
        self.transaction_count += 1
        self.stored_count += recorded.stored_count
        self.repeated_count += recorded.repeated_count
        self.corrected_count += recorded.corrected_count
        self.refused_count += len(harvest.refused)
        self.positions |= harvest.positions
