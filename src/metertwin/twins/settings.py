"""What a twin host is told about its groups."""

import msgspec

from metertwin.core.ids import GroupId, MeterId


class GroupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One group of twins.

    Attributes:
        id: The group.
        meters: Meters known to hang on it; others that send readings get a twin as well.
        protected_meters: Usage points that must never be disconnected, such as home dialysis.
        freshness_s: A twin is in step while its newest value is not older, in the meters' time.
        disconnects_per_hour_count: Interlock against switching off a street by mistake.
    """

    id: GroupId
    meters: tuple[MeterId, ...] = ()
    protected_meters: tuple[MeterId, ...] = ()
    freshness_s: float = 900.0
    disconnects_per_hour_count: int = 5


class TwinHostSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One twin host.

    Attributes:
        name: Name of the host, shown as the owner of its groups.
        groups: The groups it hosts.
        checkpoint_every_s: Longest time between two checkpoints of a changed group, in s of this
            machine. A crash replays at most that much of the stream.
        state_every_s: Shortest time between two live state messages of a group, in s.
    """

    name: str
    groups: tuple[GroupSettings, ...]
    checkpoint_every_s: float = 10.0
    state_every_s: float = 0.5
