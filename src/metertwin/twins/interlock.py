"""What keeps a disconnect from hurting somebody.

Two rules, both checked before a command is accepted: a protected usage point is never switched
off, and a group is not switched off faster than its limit, so that a wrong list or a wrong program
darkens a few homes and not a street.
"""

from datetime import datetime, timedelta

from metertwin.core.errors import RefusedError
from metertwin.core.ids import MeterId
from metertwin.twins.settings import GroupSettings

_HOUR = timedelta(hours=1)


class InterlockError(RefusedError):
    """A disconnect that must not be."""

    code = "refused.interlock"


class DisconnectInterlock:
    """The interlock of one group.

    Args:
        settings: Protected meters and the limit.
        accepted_at: When disconnects were accepted, in order; kept up to date here.
    """

    def __init__(self, settings: GroupSettings, accepted_at: list[datetime]) -> None:
        self._settings = settings
        self._accepted_at = accepted_at

    def pass_disconnect(self, meter: MeterId, now: datetime) -> None:
        """Count a disconnect as accepted.

        Raises:
            InterlockError: The usage point is protected, or the group's limit is reached.
        """
        if meter in self._settings.protected_meters:
            raise InterlockError(
                f"Meter {meter} serves a protected usage point and is never disconnected remotely; "
                "take the protection out of the group's settings first, if that is right.",
                meter=meter,
            )
        while self._accepted_at and self._accepted_at[0] <= now - _HOUR:
            del self._accepted_at[0]
        limit_count = self._settings.disconnects_per_hour_count
        if len(self._accepted_at) >= limit_count:
            raise InterlockError(
                f"Group {self._settings.id} had {len(self._accepted_at)} disconnects within the "
                f"hour, its limit is {limit_count}; meter {meter} stays connected. Wait, or raise "
                "the limit in the group's settings.",
                meter=meter,
                group=self._settings.id,
                limit_count=limit_count,
            )
        self._accepted_at.append(now)

    def take_back(self) -> None:
        """Forget the newest disconnect counted: it did not come about."""
        if self._accepted_at:
            self._accepted_at.pop()
