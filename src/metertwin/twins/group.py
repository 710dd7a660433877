"""The twins of one group: their registers, their ledger, and how far in the stream they are."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

from metertwin.core.batch import ReadingBatch
from metertwin.core.command import Command, CommandOutcome
from metertwin.core.errors import ConflictError, NotFoundError
from metertwin.core.ids import CommandId, LotId, MeterId, share_of
from metertwin.core.ledger import Ledger, Rows
from metertwin.core.twin import LedgerLine
from metertwin.twins.apps.window import IntervalWindow
from metertwin.twins.columns import FallenRegisters, TwinColumns
from metertwin.twins.settings import GroupSettings


class UnknownTwinError(NotFoundError):
    """The group has no twin of that meter."""

    code = "not_found.twin"


class CutOtherwiseError(ConflictError):
    """A group was cut into other shares before."""

    code = "conflict.cut_otherwise"


def check_cut(settings: GroupSettings, claimed: Sequence[LotId]) -> None:
    """Return if a group, or a share of it, is cut as it was when it was claimed before.

    Args:
        settings: As it shall be.
        claimed: What of the group was ever claimed.

    Raises:
        CutOtherwiseError: Other shares, or the group whole, have a past that would be left behind.
    """
    before_count = max(map(share_of, claimed), default=settings.shares_count)
    was_whole = settings.id in map(str, claimed)
    if before_count <= settings.shares_count and not (was_whole and settings.share):
        return
    now = f"cut into {settings.shares_count} shares" if settings.share else "whole"
    before = "whole" if was_whole else f"cut into {before_count} shares"
    raise CutOtherwiseError(
        f"Group {settings.id} shall be {now} and was {before}; its twins would lose their past. "
        "Set twins_per_container back, or begin with an empty state.",
        group=settings.id,
    )


class TwinGroup:
    """A group's twins and everything that is true of them at one place in the stream.

    Attributes:
        settings: What the host was told of the group.
        columns: Newest value of every register.
        ledger: Which readings were applied.
        stream_sequence: Number of the last message of the stream that is in `columns`.
        gateway_epoch: Highest gateway epoch heard; readings of a lower one are refused.
        stale_count: Readings refused because a gateway of an earlier epoch sent them.
        disconnects_accepted_at: Disconnects the interlock let pass within the last hour.
        commands: The newest commands with their newest answers, the oldest first.
        window: Recent captures for the group's apps; None where no app wants any.
        own_meters: Of a share: its meters, whose readings alone concern it; None for a group.
    """

    def __init__(self, settings: GroupSettings) -> None:
        self.settings = settings
        self.columns = TwinColumns()
        self.ledger = Ledger.sized(self.columns.capacity)
        self.stream_sequence = 0
        self.gateway_epoch = 0
        self.stale_count = 0
        self.disconnects_accepted_at: list[datetime] = []
        self.commands: OrderedDict[CommandId, tuple[Command, CommandOutcome]] = OrderedDict()
        self.window: IntervalWindow | None = None
        self._changed_rows: set[int] = set()
        self.own_meters = frozenset(settings.meters) if settings.share else None
        self.enrol(settings.meters)

    def enrol(self, meters: Sequence[MeterId]) -> Rows:
        """Return the rows of meters, making twins of those not yet known."""
        rows = self.columns.add_meters(meters)
        if self.columns.capacity > len(self.ledger.received):
            self.ledger.resize(self.columns.capacity)
        return rows

    def check_share(self) -> None:
        """Return if a share has no twins but those its settings give it.

        Raises:
            CutOtherwiseError: It was cut otherwise when its checkpoint was written.
        """
        others = [] if self.own_meters is None else set(self.columns.meters) - self.own_meters
        if others:
            raise CutOtherwiseError(
                f"Share {self.settings.lot} has a past with {len(others)} twins, {min(others)} "
                "among them, that its settings give to another share: the group was cut "
                "otherwise before. Set twins_per_container back, or begin with an empty state.",
                group=self.settings.id,
            )

    def own_of(self, batch: ReadingBatch) -> ReadingBatch:
        """Return what a batch has for this group: a share has the meters of its settings alone."""
        return batch if self.own_meters is None else batch.only(self.own_meters)

    def is_current(self, epoch: int, readings_count: int) -> bool:
        """Whether a message comes from the newest gateway heard of; an older one's is counted."""
        if epoch < self.gateway_epoch:
            self.stale_count += readings_count
            return False
        self.gateway_epoch = epoch
        return True

    def apply(self, batches: Sequence[ReadingBatch]) -> list[FallenRegisters]:
        """Take batches of current gateways: new readings into the columns, all into the ledger.

        Returns:
            Counting registers that fell, of each batch that has any.
        """
        with_rows = [(batch, self.enrol(batch.meters)) for batch in batches]
        for _, rows in with_rows:
            self._changed_rows.update(rows.tolist())
        kept = self.ledger.admit_batches(with_rows)
        if self.window is not None:
            for (batch, rows), flags in zip(with_rows, kept, strict=True):
                self.window.take(batch, rows, flags)
        fallen = [
            self.columns.apply(batch, rows, flags)
            for (batch, rows), flags in zip(with_rows, kept, strict=True)
        ]
        return [each for each in fallen if each is not None]

    def take_changed_rows(self) -> list[int]:
        """Return the rows that got readings since the last call."""
        rows = sorted(self._changed_rows)
        self._changed_rows.clear()
        return rows

    def row(self, meter: MeterId) -> int:
        """Return the row of a meter's twin.

        Raises:
            UnknownTwinError: There is none.
        """
        row = self.columns.row_of(meter)
        if row is None:
            raise UnknownTwinError(
                f"Group {self.settings.lot} has no twin of meter {meter}; it has "
                f"{len(self.columns)} twins. Check the meter's id and group.",
                meter=meter,
                group=self.settings.id,
            )
        return row

    def ledger_line(self, row: int) -> LedgerLine:
        """Return the ledger of one row."""
        received, taken = int(self.ledger.received[row]), int(self.ledger.taken[row])
        return LedgerLine(
            meter=self.columns.meters[row],
            received=received,
            taken=taken,
            duplicate=int(self.ledger.duplicate[row]),
            missing=received - taken,
        )

    def ledger_lines(self) -> list[LedgerLine]:
        """Return the ledger of every twin."""
        return [self.ledger_line(row) for row in range(len(self.columns))]
