"""What one fetch from the bus brought: the unit that becomes durable as a whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import numpy as np

from metertwin.core.batch import Int64s, ReadingBatch
from metertwin.core.command import Command, CommandOutcome
from metertwin.core.event import Event
from metertwin.core.ids import GroupId
from metertwin.core.ledger import Hole, Kept, Ledger
from metertwin.core.output import AppOutput


@dataclass(frozen=True, slots=True, eq=False)
class LedgerRows:
    """The ledger of the meters a harvest touched, as it stands after the harvest.

    Attributes:
        meter_ids: Ids the store gave the meters, distinct, shape (n_meters,).
        received: Highest reading number heard of, shape (n_meters,).
        taken: Distinct readings taken, shape (n_meters,).
        duplicate: Deliveries dropped because their number was known, shape (n_meters,).
        holes: Missing numbers by meter id, of the meters in `meter_ids` that miss some.
    """

    meter_ids: Int64s
    received: Int64s
    taken: Int64s
    duplicate: Int64s
    holes: dict[int, list[Hole]]

    @classmethod
    def of(cls, ledger: Ledger, meter_ids: Int64s) -> Self:
        """Copy the rows of `meter_ids` out of a ledger whose rows are the store's meter ids."""
        touched = np.unique(meter_ids)
        holes = {}
        if ledger.holes:
            holes = {
                row: list(ledger.holes[row]) for row in touched.tolist() if row in ledger.holes
            }
        return cls(
            meter_ids=touched,
            received=ledger.received[touched],
            taken=ledger.taken[touched],
            duplicate=ledger.duplicate[touched],
            holes=holes,
        )


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """A message that could not be understood, kept whole so that nothing vanishes silently."""

    stream: str
    stream_sequence: int
    subject: str
    octets: bytes
    code: str
    reason: str
    refused_at: datetime


@dataclass(frozen=True, slots=True)
class GroupEpoch:
    """The highest gateway epoch heard of a group, and the readings dropped as older, in all."""

    group: GroupId
    epoch: int
    stale_count: int


@dataclass(frozen=True, slots=True)
class Harvest:
    """Everything that becomes durable in one transaction.

    Attributes:
        readings: Batches, each with its mask of the readings to store (None: all of them).
        ledger: The touched meters' ledger after these readings.
        epochs: Groups whose epoch or stale count changed.
        events: Events; those already stored are passed over.
        commands: Commands, each with the group it was seen in; likewise.
        outcomes: Answers to commands; likewise.
        outputs: What apps concluded; likewise: what was said first stands.
        refused: Messages put aside.
        positions: Last message number of each stream that this harvest covers.
    """

    readings: Sequence[tuple[ReadingBatch, Kept | None]] = ()
    ledger: LedgerRows | None = None
    epochs: Sequence[GroupEpoch] = ()
    events: Sequence[tuple[GroupId, Event]] = ()
    commands: Sequence[Command] = ()
    outcomes: Sequence[tuple[GroupId, CommandOutcome]] = ()
    outputs: Sequence[AppOutput] = ()
    refused: Sequence[RefusedMessage] = ()
    positions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a harvest's readings: they sum to the readings it kept.

    Attributes:
        stored_count: New rows.
        repeated_count: Said again what was stored already.
        corrected_count: Told a stored value anew; the one with the lower number is in the audit.
    """

    stored_count: int = 0
    repeated_count: int = 0
    corrected_count: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """What the store knows when it is opened: where to go on, and the ledger so far.

    Attributes:
        positions: Last message number covered, by stream; a stream never read is absent.
        ledger: Ledger of all meters; row i is the meter with id i.
        epochs: Every group's highest epoch and stale count.
    """

    positions: dict[str, int]
    ledger: Ledger
    epochs: dict[GroupId, GroupEpoch]
