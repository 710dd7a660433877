"""What the fleet shall be and how far it is, in the cloud's bucket `fleet`."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from metertwin.bus.buckets import bucket_at_hand
from metertwin.bus.connection import Bus
from metertwin.bus.subjects import FLEET_BUCKET
from metertwin.core.errors import ConflictError

DESIRED_KEY, REPORT_KEY = "desired", "report"

T = TypeVar("T")


class AppliedMeanwhileError(ConflictError):
    """Somebody else applied a file at this moment."""

    code = "conflict.applied_meanwhile"


class Desired(msgspec.Struct, frozen=True):
    """A fleet file as it was applied; `where` is its path, for people."""

    text: str
    where: str
    applied_at: datetime


class Applied(msgspec.Struct, frozen=True):
    """The file that counts, and its revision."""

    desired: Desired
    revision: int


class Report(msgspec.Struct, frozen=True):
    """What the controller that acts says of itself.

    Attributes:
        controller: Its name.
        revision: Of the file it works on.
        doing: What it does, one sentence; empty while there is nothing to do.
        since: When that began.
        refused: Steps that failed for good under this revision, and why.
        troubles: What failed and is tried again, and why.
        is_reached: Whether all is as the file wants it.
    """

    controller: str
    revision: int
    doing: str = ""
    since: datetime | None = None
    refused: dict[str, str] = {}
    troubles: dict[str, str] = {}
    is_reached: bool = False


@dataclass(frozen=True, slots=True)
class FleetStore:
    """The bucket.

    Args:
        bus: A connection of the fleet role to the cloud's bus.
    """

    bus: Bus

    async def applied(self) -> Applied | None:
        """Return the file that counts; None before the first.

        Raises:
            UnavailableError: The bus does not answer.
        """
        found = await self._get(DESIRED_KEY, Desired)
        return None if found is None else Applied(*found)

    async def apply(self, text: str, where: str, now: datetime) -> Applied:
        """Make a file the one that counts, durably and whole; return it with its revision.

        The same text again changes nothing, unless a step of it was refused: then it is tried
        again.

        Raises:
            AppliedMeanwhileError: Somebody else applied one between our look and our write.
            UnavailableError: The bus does not answer; whether it counts is open.
        """
        before = await self.applied()
        if before is not None and before.desired.text == text:
            report = await self.report()
            if report is None or report.revision != before.revision or not report.refused:
                return before
        desired = Desired(text, where, now)
        with bucket_at_hand("applying the fleet file"):
            bucket = await self.bus.js.key_value(FLEET_BUCKET)
            content = msgspec.json.encode(desired)
            try:
                if before is None:
                    return Applied(desired, await bucket.create(DESIRED_KEY, content))
                revision = await bucket.update(DESIRED_KEY, content, before.revision)
            except KeyWrongLastSequenceError as error:
                raise AppliedMeanwhileError(
                    f"Another fleet file was applied at this moment; {where} was not. Look at "
                    "`metertwin status`, and apply it again if it shall count."
                ) from error
            return Applied(desired, revision)

    async def report(self) -> Report | None:
        """Return what the acting controller last said; raises UnavailableError."""
        found = await self._get(REPORT_KEY, Report)
        return None if found is None else found[0]

    async def tell(self, report: Report) -> None:
        """Say what is being done; raises UnavailableError."""
        with bucket_at_hand("telling what is being done"):
            bucket = await self.bus.js.key_value(FLEET_BUCKET)
            await bucket.put(REPORT_KEY, msgspec.json.encode(report))

    async def _get(self, key: str, kind: type[T]) -> tuple[T, int] | None:
        with bucket_at_hand(f"looking up {key} in bucket {FLEET_BUCKET}"):
            bucket = await self.bus.js.key_value(FLEET_BUCKET)
            try:
                entry = await bucket.get(key)
            except KeyNotFoundError:
                return None
            return msgspec.json.decode(entry.value or b"", type=kind), entry.revision or 0
