"""The last word on disconnects: no group is switched off faster than its limit.

The twin host counts what it accepts, but a group may be cut into shares of several hosts, and a
host may be given away, restarted, or wrong. All disconnects of a group pass its one gateway.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from metertwin.core.ids import CommandId

_HOUR = timedelta(hours=1)


class GroupInterlock:
    """Counts the disconnects that one group's gateway began, each once.

    Args:
        limit_count: Most within an hour.
    """

    def __init__(self, limit_count: int) -> None:
        self._limit_count = limit_count
        self._begun_at: dict[CommandId, datetime] = {}

    def remember(self, begun_at: Mapping[CommandId, datetime]) -> None:
        """Count disconnects that were begun before the gateway started."""
        self._begun_at |= begun_at

    def begin(self, command: CommandId, now: datetime) -> str:
        """Count a disconnect that begins now; return why it must not, empty when it may.

        One that was counted stays so: whether its beginning was written down may be open, and then
        it is begun again.
        """
        self._begun_at = {
            each: begun_at for each, begun_at in self._begun_at.items() if begun_at > now - _HOUR
        }
        if command in self._begun_at:
            return ""
        if len(self._begun_at) >= self._limit_count:
            return (
                f"{len(self._begun_at)} meters of the group were disconnected within the hour, "
                f"the limit is {self._limit_count}. Wait, or raise the limit in the group's "
                "settings."
            )
        self._begun_at[command] = now
        return ""
